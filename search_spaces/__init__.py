"""Families of Keras models: each file here without a leading underscore is one, and its name is what --family takes.

A folder `search_spaces/` elsewhere on the Python path adds its files, so a family of your own needs no change here.
"""

import ast
import hashlib
import importlib
from pathlib import Path
from pkgutil import extend_path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from search_spaces._family import Family

__path__ = extend_path(__path__, __name__)


def names() -> tuple[str, ...]:
    """Every family's name, in alphabetical order; reads file names and imports nothing."""
    files = (file for folder in __path__ for file in Path(folder).glob("[!_]*.py"))
    return tuple(sorted({file.stem for file in files if file.stem.isidentifier()}))


def load(name: str) -> "type[Family]":
    """The family class in the file `name`: the one subclass of Family that the file itself defines.

    Raises:
        ValueError: the file does not define exactly one.
    """
    from search_spaces._family import Family

    module = importlib.import_module(f"{__name__}.{name}")
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Family) and value.__module__ == module.__name__
    ]
    if len(found) != 1:
        raise ValueError(f"{module.__file__} must define one subclass of Family, found {len(found)}")
    return found[0]


def source_digest(name: str) -> str:
    """Twelve hexadecimal digits that change with the code of a family, its base class or its recipe."""
    return code_digest(*map(_file, (name, "_family", "_recipe")))


def code_digest(*files: Path | str) -> str:
    """Twelve hexadecimal digits that change with the code in `files`.

    Comments, docstrings and layout do not count, so that explaining a family better does not make it another one.
    """
    digest = hashlib.sha256()
    for file in map(Path, files):
        tree = ast.parse(file.read_text(encoding="utf-8"), str(file))
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
                del node.body[0]
        digest.update(ast.unparse(ast.fix_missing_locations(tree)).encode())
    return digest.hexdigest()[:12]


def _file(stem: str) -> Path:
    return next(path for folder in __path__ if (path := Path(folder) / f"{stem}.py").exists())
