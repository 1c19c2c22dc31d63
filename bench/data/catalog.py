"""Find datasets: by built-in name, by entry point, or by the path of a file."""

import difflib
import importlib.util
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from bench.data.definition import DatasetDefinition
from bench.errors import BenchError, DataError, SpecError
from bench.machine import extensions

SETS = Path(__file__).parent / "sets"
GROUP = "keras_family_bench.datasets"  # of entry points, each a DatasetDefinition


@dataclass(frozen=True, slots=True)
class DatasetLocation:
    """Where a dataset is defined and where its files may be; sent to workers with every task."""

    name: str  # letters, digits and _
    path: Path | None = None  # absolute path of the file that defines it; None for a built-in or an entry point
    data_dir: Path | None = None  # folder with its files, if the user named one


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
        raise SpecError(f"unknown dataset {dataset!r}: valid names are {', '.join(names())}{_hint(dataset)}")
    if dataset in _built_in() and dataset in extensions(GROUP):
        value = extensions(GROUP)[dataset].value
        raise SpecError(f"dataset {dataset!r} is both built in and the entry point {value}: rename the entry point")
    return DatasetLocation(dataset, data_dir=data_dir)


def definition(location: DatasetLocation) -> DatasetDefinition:
    """The definition of the dataset at `location`; reads none of its images.

    Raises:
        SpecError: there is no such dataset.
        DataError: it cannot be imported, or does not define exactly one DatasetDefinition.
    """
    if location.path is not None:
        return _only_definition(_import_file(location.path))
    if location.name in _built_in():
        return _only_definition(importlib.import_module(f"bench.data.sets.{location.name}"))
    if location.name not in extensions(GROUP):
        raise SpecError(f"there is no dataset {location.name!r}: valid names are {', '.join(names())}")
    entry_point = extensions(GROUP)[location.name]
    try:
        loaded = entry_point.load()
    except Exception as error:
        raise DataError(f"dataset {location.name!r}: {entry_point.value} {_import_failure(error)}") from error
    if not isinstance(loaded, DatasetDefinition):
        raise DataError(
            f"dataset {location.name!r}: the entry point {entry_point.value} must be a DatasetDefinition, "
            f"got {type(loaded).__name__}"
        )
    return loaded


def _built_in() -> frozenset[str]:
    return frozenset(file.stem for file in SETS.glob("[!_]*.py"))


def _hint(dataset: str) -> str:
    if Path(f"{dataset}.py").is_file():
        return f". To use the file in this folder: {dataset}.py"
    nearest = difflib.get_close_matches(dataset.lower().replace("-", "_"), names(), n=1, cutoff=0.5)
    return f". Did you mean {nearest[0]}?" if nearest else ""


def _locate_file(path: Path, data_dir: Path | None) -> DatasetLocation:
    if path.suffix != ".py" or not path.is_file():
        problem = "is not a Python file" if path.exists() else "does not exist"
        raise SpecError(
            f"{path} {problem}: expected the name of a dataset, or the path of a Python file that defines one"
        )
    if not re.fullmatch(r"\w+", path.stem, re.ASCII):
        raise SpecError(f"{path}: the file name becomes the dataset's name and must consist of letters, digits and _")
    if path.stem in names():
        raise SpecError(f"{path}: the name {path.stem!r} is taken by another dataset: rename the file")
    return DatasetLocation(path.stem, path=path.resolve(), data_dir=data_dir)


def _import_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"bench_dataset_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise DataError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look up their module there
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise DataError(f"{path} {_import_failure(error)}") from error
    return module


def _import_failure(error: Exception) -> str:
    kind = "" if isinstance(error, BenchError) else f"{type(error).__name__}: "
    return f"cannot be imported: {kind}{error}"


def _only_definition(module: ModuleType) -> DatasetDefinition:
    definitions = {id(value): value for value in vars(module).values() if isinstance(value, DatasetDefinition)}
    if len(definitions) != 1:
        raise DataError(
            f"{module.__file__} must define exactly one DatasetDefinition, e.g. DATASET = DatasetDefinition(...), "
            f"found {len(definitions)}: see {SETS / 'digits.py'} for an example"
        )
    return next(iter(definitions.values()))
