"""One line on each family, dataset, tuner and reference model, from docstrings; imports no family, dataset or tuner."""

import ast
from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import TYPE_CHECKING

import search_spaces
from bench.evaluation.text import capitalized

if TYPE_CHECKING:
    from bench.baselines.tutorials import Tutorial


def families() -> dict[str, str]:
    """Families by name."""
    from bench.extensions import extensions

    return _described(search_spaces.names(), search_spaces.__path__, extensions(search_spaces.GROUP))


def datasets() -> dict[str, str]:
    """Datasets by name."""
    from bench.data import catalog
    from bench.extensions import extensions

    return _described(catalog.names(), [str(catalog.SETS)], extensions(catalog.GROUP))


def tuners() -> dict[str, str]:
    """Tuners by name."""
    from bench.extensions import extensions
    from bench.tuning import tuners

    return _described(tuners.names(), tuners.__path__, extensions(tuners.GROUP))


def reference_models() -> dict[str, str]:
    """Reference models by name."""
    from bench.baselines.catalog import CLASSIFIERS, NAMES
    from bench.baselines.tutorials import TUTORIALS

    return {
        name: capitalized(CLASSIFIERS[name].recipe) if name in CLASSIFIERS else _tutorial(TUTORIALS[name])
        for name in NAMES
    }


def _tutorial(tutorial: "Tutorial") -> str:
    layers = (tutorial.layers.__doc__ or tutorial.name).rstrip(".")
    return f"{layers}; {tutorial.output}, batches of {tutorial.batch_size}, {tutorial.epochs} epochs"


def _described(names: Iterable[str], folders: Iterable[str], entry_points: Mapping[str, EntryPoint]) -> dict[str, str]:
    files = {file.stem: file for folder in folders for file in Path(folder).glob("[!_]*.py")}
    return {name: _first_line(files[name]) if name in files else f"from {entry_points[name].value}" for name in names}


def _first_line(file: Path) -> str:
    try:
        text = ast.get_docstring(ast.parse(file.read_bytes()))
    except (SyntaxError, ValueError) as error:  # ValueError: null bytes
        return f"not valid Python: {error}"
    return (text or str(file)).splitlines()[0].rstrip(".")
