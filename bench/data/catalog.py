"""Find datasets: by built-in name, by entry point, or by the path of a file."""

import difflib
import importlib
import re
import sys
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

from bench.data.definition import DatasetDefinition
from bench.data.loaders import folders
from bench.errors import BenchError, DataError, ExtensionError, SpecError
from bench.machine import extensions, load_extension

SETS = Path(__file__).parent / "sets"
GROUP = "keras_family_bench.datasets"  # of entry points, each a DatasetDefinition


@dataclass(frozen=True, slots=True)
class DatasetLocation:
    """Where a dataset is defined and where its files may be; sent to workers with every task."""

    name: str  # letters, digits and _
    path: Path | None = None  # absolute path of the file that defines it; None for a built-in or an entry point
    data_dir: Path | None = None  # folder with its files, if the user named one

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
        if self.path is not None:
            return _only_definition(_import_file(self.path))
        if self.name in _built_in():
            return _only_definition(importlib.import_module(f"bench.data.sets.{self.name}"))
        if (entry_point := extensions(GROUP).get(self.name)) is None:
            raise _unknown(self.name)
        loaded = load_extension(entry_point)
        if not isinstance(loaded, DatasetDefinition):
            raise ExtensionError(
                f"dataset {self.name!r}: the entry point {entry_point.value} must be a DatasetDefinition, got "
                f"{type(loaded).__name__}"
            )
        return loaded


def names() -> tuple[str, ...]:
    """Names of all built-in and installed datasets, sorted; imports none of them."""
    return tuple(sorted({*_built_in(), *extensions(GROUP)}))


def locate(dataset: str, data_dir: Path | None = None) -> DatasetLocation:
    """Locate a dataset by its name, or by the path of a Python file (recognized by `.py` or a folder in it).

    Raises:
        SpecError: there is no such dataset, or its name is invalid or defined twice.
    """
    path = Path(dataset)
    if path.suffix == ".py" or path.name != dataset:
        return _locate_file(path, data_dir)
    if dataset not in names():
        raise _unknown(dataset)
    if dataset in _built_in() and dataset in extensions(GROUP):
        value = extensions(GROUP)[dataset].value
        raise SpecError(f"dataset {dataset!r} is both built in and the entry point {value}: rename the entry point")
    return DatasetLocation(dataset, data_dir=data_dir)


def _built_in() -> frozenset[str]:
    return frozenset(file.stem for file in SETS.glob("[!_]*.py"))


def _unknown(dataset: str) -> SpecError:
    nearest = difflib.get_close_matches(dataset.lower().replace("-", "_"), names(), n=1, cutoff=0.5)
    hint = f". Did you mean {nearest[0]}?" if nearest else ""
    if Path(f"{dataset}.py").is_file():
        hint = f". To use the file in this folder: {dataset}.py"
    return SpecError(f"unknown dataset {dataset!r}: valid names are {', '.join(names())}{hint}")


def _locate_file(path: Path, data_dir: Path | None) -> DatasetLocation:
    if path.suffix != ".py" or not path.is_file():
        problem = "is not a Python file" if path.exists() else "does not exist"
        raise SpecError(
            f"{path} {problem}: expected the name of a dataset, or the path of a Python file that defines one"
        )
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
    except Exception as error:
        raise _import_error(str(path), error) from error
    return module


def _import_error(where: str, error: Exception) -> DataError:
    kind = "" if isinstance(error, BenchError) else f"{type(error).__name__}: "
    return DataError(f"{where} cannot be imported: {kind}{error}")


def _only_definition(module: ModuleType) -> DatasetDefinition:
    definitions = {id(value): value for value in vars(module).values() if isinstance(value, DatasetDefinition)}
    if len(definitions) != 1:
        raise DataError(
            f"{module.__file__} must define exactly one DatasetDefinition, e.g. DATASET = DatasetDefinition(...), "
            f"found {len(definitions)}: see {SETS / 'digits.py'} for an example"
        )
    return next(iter(definitions.values()))
