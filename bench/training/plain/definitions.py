"""The source of classes and functions with everything that they refer to in their own modules."""

import ast
import builtins
import inspect
import sys
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib import import_module
from importlib.util import resolve_name
from typing import Any

from bench.errors import ModelError

# Everything else that a module imports is written out, so that the code does not depend on it.
LIBRARIES = frozenset({"keras", "numpy", "tensorflow", *sys.stdlib_module_names})

_Definition = ast.FunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign


class Definitions:
    """Source code, in the order in which Python can execute it, without docstrings, comments and type hints."""

    def __init__(self) -> None:
        self.imports: set[str] = set()  # statements
        self.code: dict[str, str] = {}  # by name
        self._modules: dict[str, str] = {}  # of each name

    def add(self, objects: Iterable[Any]) -> None:
        """Add the definitions of classes and functions.

        Raises:
            ModelError: the source of one is not available, or two definitions have the same name.
        """
        for each in objects:
            self._add(each.__module__, each.__name__)

    def _add(self, module: str, name: str) -> None:
        if name in self._modules:
            if self._modules[name] != module:
                raise ModelError(f"{name} is defined in both {self._modules[name]} and {module}: rename one")
            return
        statement = _statements(module).get(name)
        if statement is None:
            raise ModelError(f"the source of {module}.{name} is not available")
        if isinstance(statement, ast.Import | ast.ImportFrom):
            self._import(statement, name, module)
            return
        self._modules[name] = module
        compact = _compact(statement)
        for used in _names(compact):
            if used in _statements(module) and used != name:
                self._add(module, used)
        self.code[name] = ast.unparse(compact)

    def _import(self, statement: ast.Import | ast.ImportFrom, name: str, module: str) -> None:
        alias = next(each for each in statement.names if (each.asname or each.name.partition(".")[0]) == name)
        if isinstance(statement, ast.ImportFrom):
            package = import_module(module).__package__ if statement.level else None
            source = ("." * statement.level) + (statement.module or "")
            source = source if package is None else resolve_name(source, package)
            if source.partition(".")[0] not in LIBRARIES:
                self._add(source, alias.name)
                return
            self.imports.add(ast.unparse(ast.ImportFrom(module=source, names=[alias], level=0)))
        elif alias.name.partition(".")[0] in LIBRARIES:
            self.imports.add(ast.unparse(ast.Import(names=[alias])))
        else:
            raise ModelError(f"{module} imports {alias.name}, which plain Keras code cannot: import its names instead")


@lru_cache(maxsize=32)
def _statements(module: str) -> dict[str, ast.stmt]:
    """The statements at the top of a module that bind a name, by name."""
    try:
        tree = ast.parse(inspect.getsource(import_module(module)))
    except (ImportError, OSError, TypeError, SyntaxError) as error:
        raise ModelError(f"the source of {module} is not available: {error}") from error
    return {name: statement for statement in tree.body for name in _bound(statement)}


def _bound(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        yield statement.name
    elif isinstance(statement, ast.Assign):
        yield from (each.id for target in statement.targets for each in ast.walk(target) if isinstance(each, ast.Name))
    elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        yield statement.target.id
    elif isinstance(statement, ast.Import | ast.ImportFrom):
        yield from (alias.asname or alias.name.partition(".")[0] for alias in statement.names)


def _names(statement: ast.stmt) -> Iterator[str]:
    """Names that a statement refers to, in order, without Python's own."""
    names = (node.id for node in ast.walk(statement) if isinstance(node, ast.Name))
    yield from dict.fromkeys(name for name in names if not hasattr(builtins, name))


def _compact(statement: ast.stmt) -> ast.stmt:
    """A copy without docstrings and type hints, whose names would be written out as well."""
    copy = ast.parse(ast.unparse(statement)).body[0]
    for node in ast.walk(copy):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        if isinstance(node, ast.arg):
            node.annotation = None
    if isinstance(copy, ast.AnnAssign) and copy.value is not None:
        copy = ast.Assign(targets=[copy.target], value=copy.value, lineno=copy.lineno)
    return ast.fix_missing_locations(copy)
