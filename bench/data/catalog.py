"""Find datasets: by built-in name, by entry point, or by the path of a file or folder."""

import importlib
import os
import re
import sys
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from bench.data.dataset import Notify, quiet
from bench.data.definition import DatasetDefinition
from bench.data.loaders import folders
from bench.data.samples import UNCHANGED, Reading
from bench.errors import BenchError, DataError, SpecError, check_name
from bench.extensions import check_no_extension, extensions, load_extension

if TYPE_CHECKING:
    from bench.data.importing import Arrays

SETS = Path(__file__).parent / "sets"
GROUP = "keras_family_bench.datasets"  # of entry points, each a DatasetDefinition
EXPECTED = "expected the name of a dataset, or the path of images or of a Python file that defines a dataset"


@dataclass(frozen=True, slots=True)
class DatasetLocation:
    """Where a dataset is defined and where its files may be; sent to workers with every task."""

    name: str  # letters, digits and _
    # Absolute path of the Python file that defines it, or of its files; None for a built-in, an entry point or arrays.
    path: Path | None = None
    data_dir: Path | None = None  # folder with its files, if the user named one
    reading: Reading = UNCHANGED  # how the files at `path` are read
    digest: str | None = None  # of an imported dataset

    @property
    def files_dir(self) -> Path | None:
        """The folder that the user named for its files: `data_dir`, else BENCH_DATA_DIR on this machine."""
        return self.data_dir or folders.user_folder()

    def definition(self) -> DatasetDefinition:
        """The definition of the dataset; reads none of its images.

        Raises:
            SpecError: there is no such dataset.
            DataError: its file cannot be imported, or does not define exactly one DatasetDefinition.
            ExtensionError: its entry point cannot be imported, or is not a DatasetDefinition.
        """
        if self.digest is not None:
            return self._imported(self.digest)
        if self.path is not None:
            return _only_definition(_import_file(self.path))
        if self.name in _built_in():
            return _only_definition(importlib.import_module(f"bench.data.sets.{self.name}"))
        _check_known(self.name)
        definition: DatasetDefinition = load_extension(
            extensions(GROUP)[self.name], DatasetDefinition, "a DatasetDefinition"
        )
        return definition

    def _imported(self, digest: str) -> DatasetDefinition:
        """The definition of an imported dataset; imports its files again if it was deleted or on another machine."""
        from bench.data import imported

        title = self.name if self.path is None else self.path.name
        source = "arrays" if self.path is None else str(self.path)
        found = imported.definition(digest, title, source)
        if found is None and self.path is not None and folders.exists(self.path):
            from bench.data.importing import import_path

            if import_path(self.path, self.reading) != digest:
                raise DataError(f"{self.path} has changed since the run was started: restore it, or start a new run")
            found = imported.definition(digest, title, source)
        if found is None:
            raise DataError(
                f"dataset {self.name!r} is not on this machine: expected its decoded images in the cache, with digest "
                f"{digest}, or its files at {source}: repeat the command that started the run"
            )
        return found


def names() -> tuple[str, ...]:
    """Names of all built-in and installed datasets, sorted; imports none of them."""
    return tuple(sorted({*_built_in(), *extensions(GROUP)}))


def locate(
    dataset: str, data_dir: Path | None = None, reading: Reading = UNCHANGED, notify: Notify = quiet
) -> DatasetLocation:
    """Locate a dataset by its name or its path; images at a path are imported, unless they have not changed since.

    Args:
        dataset: a name, the path of a Python file that defines a dataset, or that of images.
        data_dir: folder with the files of a dataset that is given by name.
        reading: how images at a path are to be read.
        notify: called with a one-line message before steps longer than a second.

    Raises:
        SpecError: there is no such dataset, its name is invalid or defined twice, or `data_dir` or `reading` does not
            apply to it.
        DataError: the files at the path are not a valid dataset.
    """
    path = Path(dataset)
    if dataset in names() or path.suffix == ".py":
        if reading != UNCHANGED:
            raise SpecError(
                f"--image-size and --class-names are for images given by path, not for the dataset {dataset!r}: remove "
                "them"
            )
        if path.suffix == ".py":
            return _locate_file(path, data_dir)
        if data_dir is None and folders.exists(path):
            notify(f"{dataset} is the known dataset; for your images at the path of the same name, pass ./{dataset}")
        return _locate_name(dataset, data_dir)
    if not folders.exists(path):
        if path.name == dataset and path.suffix == "":
            _check_known(dataset, "and no such path exists")
        raise SpecError(f"{path} does not exist: {EXPECTED}")
    if data_dir is not None:
        raise SpecError(f"--data-dir is for datasets given by name, not for the images at {path}: remove it")
    from bench.data.importing import import_path

    absolute = _absolute(path)
    digest = import_path(absolute, reading, notify)
    return DatasetLocation(_name_at(absolute), path=absolute, reading=reading, digest=digest)


def from_arrays(
    train: "Arrays", test: "Arrays | None" = None, *, name: str = "arrays", reading: Reading = UNCHANGED
) -> DatasetLocation:
    """Make arrays a dataset, as in `from_arrays((x_train, y_train), (x_test, y_test))`.

    Args:
        train: development images (n, height, width) or (n, height, width, channels), and integer labels (n,).
        test: the same for the test set; None to split off a fifth of the images.
        name: letters, digits and _; under this name, other arrays are another dataset with runs of its own.
        reading: size and class names, if they are to be changed.

    Raises:
        SpecError: the name is invalid or taken.
        DataError: an array is invalid.
    """
    if not re.fullmatch(r"\w+", name, re.ASCII) or name in names():
        raise SpecError(f"name must consist of letters, digits and _, and be no other dataset's, got {name!r}")
    from bench.data.importing import import_arrays

    return DatasetLocation(name, reading=reading, digest=import_arrays(train, test, reading))


def name_of(dataset: str) -> str:
    """The name of a dataset that is given by name or path; reads nothing."""
    return dataset if dataset in names() or not folders.exists(Path(dataset)) else _name_at(_absolute(Path(dataset)))


def _name_at(path: Path) -> str:
    """The name of the dataset at `path`, an absolute path; unlike that of any dataset given by name."""
    from bench.data import imported

    if path.suffix == ".py":
        return path.stem
    name = imported.name_of(path)
    return f"{name}_files" if name in names() else name


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 - Path.resolve would follow links, which have their own names


def _locate_name(dataset: str, data_dir: Path | None) -> DatasetLocation:
    if dataset in _built_in():
        check_no_extension("dataset", dataset, GROUP)
    return DatasetLocation(dataset, data_dir=data_dir)


def _built_in() -> frozenset[str]:
    return frozenset(file.stem for file in SETS.glob("[!_]*.py"))


def _check_known(dataset: str, also: str = "") -> None:
    file = f"{dataset}.py"
    hint = f"To use the file in this folder: {file}" if Path(file).is_file() else None
    check_name("dataset", dataset, names(), hint, also=also)


def _locate_file(path: Path, data_dir: Path | None) -> DatasetLocation:
    if not path.is_file():
        problem = "is not a file" if folders.exists(path) else "does not exist"
        raise SpecError(f"{path} {problem}: {EXPECTED}")
    if not re.fullmatch(r"\w+", path.stem, re.ASCII):
        raise SpecError(
            f"{path}: the file name is the dataset's name and must consist of letters, digits and _: rename the file"
        )
    if path.stem in names():
        raise SpecError(f"{path}: the name {path.stem!r} is taken by another dataset: rename the file")
    return DatasetLocation(path.stem, path=path.resolve(), data_dir=data_dir)


def _import_file(path: Path) -> ModuleType:
    module = ModuleType(f"bench_dataset_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses look up their module there
    try:
        SourceFileLoader(module.__name__, str(path)).exec_module(module)
    except (Exception, SystemExit) as error:
        kind = "" if isinstance(error, BenchError) else f"{type(error).__name__}: "
        raise DataError(f"{path} cannot be imported: {kind}{error}") from error
    return module


def _only_definition(module: ModuleType) -> DatasetDefinition:
    definitions = {id(value): value for value in vars(module).values() if isinstance(value, DatasetDefinition)}
    if len(definitions) != 1:
        raise DataError(
            f"{module.__file__} must define exactly one DatasetDefinition, e.g. DATASET = DatasetDefinition(...), "
            f"found {len(definitions)}: see {SETS / 'digits.py'} for an example"
        )
    return next(iter(definitions.values()))
