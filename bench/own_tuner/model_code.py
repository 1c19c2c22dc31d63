"""The text of the code of a hypermodel, as a digest: to warn if it has changed since a search began."""

import ast
import inspect
import linecache
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from types import FunctionType, MethodType, ModuleType
from typing import Any

from bench.errors import SpecError
from bench.execution.object_source import (
    content,
    digest,
    enclosed,
    file_digest,
    function_source,
    global_names,
    is_own,
    members,
    module_of,
    qualname_of,
    used_globals,
)
from search_spaces import canonical_source


def text_of(obj: object) -> str:
    """Twelve hexadecimal digits that are the same whenever an unchanged script or notebook cell runs.

    They depend on the text of all code of the user's own that an object refers to. A variable counts by the statement
    that assigns it: what it holds may be counted, measured or trained.
    """
    return digest(obj, _own_text, _parts)


def _own_text(obj: Any) -> str:
    """The text of a function or a module of the user's own, the name of anything else."""
    if isinstance(obj, ModuleType):  # where a library has a module may depend on its version
        return file_digest(obj.__name__).rpartition(".")[2]
    if isinstance(obj, FunctionType) and is_own(module_of(obj)):
        with suppress(SpecError):  # its source is not available
            return "\n".join((function_source(obj), *_assignments(obj)))
    return qualname_of(obj) if isinstance(obj, FunctionType | type) else type(obj).__name__


def _parts(obj: Any) -> Iterable[Any]:
    """What an object refers to."""
    if isinstance(obj, MethodType):
        return obj.__func__, obj.__self__
    if isinstance(obj, partial):
        return obj.func, obj.args, obj.keywords
    if isinstance(obj, dict | list | tuple | set | frozenset):
        return content(obj)
    return _own_parts(obj) if is_own(module_of(obj)) else ()


def _own_parts(obj: Any) -> Iterable[Any]:
    """What a function, a class or an instance of the user's own refers to."""
    if isinstance(obj, FunctionType):
        return *_code_of_globals(obj), *enclosed(obj)
    if isinstance(obj, type):
        return members(obj)
    with suppress(TypeError, ValueError):  # a class without a signature, or without attributes
        # Other attributes may be state.
        arguments = inspect.signature(type(obj)).parameters
        return type(obj), {name: value for name, value in vars(obj).items() if name in arguments}
    return (type(obj),)


def _code_of_globals(function: FunctionType) -> Iterator[Any]:
    """The functions, classes and modules in global variables that a function uses, and the user's classes of others."""
    for value in used_globals(function):
        if isinstance(value, FunctionType | MethodType | ModuleType | partial | type):
            yield value
        elif is_own(module_of(type(value))):
            yield type(value)


def _assignments(function: FunctionType) -> list[str]:
    """The statements of its script or notebook that assign the global variables that a function uses."""
    names, found = {*global_names(function.__code__)}, set[str]()
    is_notebook = "get_ipython" in function.__globals__
    texts = function.__globals__["In"] if is_notebook else ["".join(linecache.getlines(function.__code__.co_filename))]
    for text in reversed(texts):  # the last cell that assigns a variable counts
        assigned = set[str]()
        for statement in _assigning(text):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            parts = [part for target in targets for part in ast.walk(target)]  # such as `sizes` in `sizes["first"]`
            used = [part for part in parts if isinstance(part, ast.Name) and part.id in names]
            if used:
                found.add(canonical_source(str(ast.get_source_segment(text, statement))))
                assigned |= {part.id for part in used if isinstance(part.ctx, ast.Store)}
        names -= assigned
    return sorted(found)


def _assigning(text: str) -> Iterator[ast.Assign | ast.AnnAssign | ast.AugAssign]:
    """The statements of a script or a cell that assign global variables."""
    with suppress(SyntaxError):
        for statement in ast.parse(text).body:
            if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                nodes = ast.walk(statement)
                yield from (each for each in nodes if isinstance(each, ast.Assign | ast.AnnAssign | ast.AugAssign))
