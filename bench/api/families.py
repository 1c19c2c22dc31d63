"""Objects of Python as families: functions `build_model(hp)` and hypermodels, also those of a script or a notebook."""

import inspect
import pickle
import re
import sys
import textwrap
from collections.abc import Iterator
from functools import reduce
from hashlib import sha256
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import cloudpickle

import search_spaces
from bench.data import cache
from bench.errors import SpecError
from bench.execution.models import locate_families
from bench.records.files import write_atomic
from search_spaces import PICKLED, FamilyLocation, canonical_source, code_digest

EXPECTED = "family must be the name of a family, my.py:build_model, a function build_model(hp), or a hypermodel"


def locate_family(family: object) -> FamilyLocation:
    """Where a family is; an object that worker processes cannot import is stored for them.

    Raises:
        SpecError: it is no family, or cannot be pickled.
    """
    if isinstance(family, str):
        return locate_families([family])[0]
    if not callable(getattr(family, "build", family)):
        raise SpecError(f"{EXPECTED}; got {type(family).__name__}")
    name = re.sub(r"\W", "_", getattr(family, "__name__", type(family).__name__), flags=re.ASCII).strip("_")
    if _is_importable(family):
        return locate_families([f"{name}={_module(family)}:{_qualname(family)}"])[0]
    return _stored(family, name)


def _stored(family: object, name: str) -> FamilyLocation:
    if name in search_spaces.names():
        raise SpecError(f"the name {name!r} is taken by another family: rename the object")
    try:
        content = cloudpickle.dumps(family)
    except (pickle.PicklingError, TypeError) as error:
        raise SpecError(
            f"the family {name} cannot be sent to worker processes: {error}: build such objects inside of it, or put "
            "it into a file and pass my.py:build_model"
        ) from error
    with cache.writing() as folder:
        path = folder.parent / "families" / f"{source_of(family)}{PICKLED}"
        write_atomic(path, content)
    return FamilyLocation(name=name, definition=f"__main__:{name}", file=str(path))


def source_of(obj: object) -> str:
    """Twelve hexadecimal digits that depend on the code of an object, and of what it uses of its script or notebook."""
    return sha256("\n".join(_sources(obj, set())).encode()).hexdigest()[:12]


def _sources(obj: Any, seen: set[int]) -> Iterator[str]:
    """The source of an object, and of the functions, classes and values that it refers to."""
    if id(obj) in seen:
        return
    seen.add(id(obj))
    if isinstance(obj, ModuleType):
        yield _file_digest(obj.__name__)
    elif isinstance(obj, FunctionType | type):
        if _is_importable(obj):
            yield f"{_file_digest(_module(obj))}:{_qualname(obj)}"
            return
        yield _source(obj)
        members = [obj] if isinstance(obj, FunctionType) else list(vars(obj).values())
        for function in (each for each in members if isinstance(each, FunctionType)):
            for used in _used(function):
                yield from _sources(used, seen)
    elif isinstance(obj, dict | list | tuple) or type(obj).__module__ == "builtins":
        yield repr(obj)
    else:
        yield from _sources(type(obj), seen)
        yield from (f"{name}={value!r}" for name, value in sorted(getattr(obj, "__dict__", {}).items()))


def _used(function: FunctionType) -> Iterator[Any]:
    """The values that a function refers to: globals, enclosing variables, defaults."""
    names = dict.fromkeys(_names(function.__code__))
    yield from (function.__globals__[name] for name in names if name in function.__globals__)
    yield from (cell.cell_contents for cell in function.__closure__ or ())
    yield from function.__defaults__ or ()


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _names(each)


def _source(obj: Any) -> str:
    try:
        source = inspect.getsource(obj)
    except (OSError, TypeError) as error:
        raise SpecError(
            f"the source of {obj.__qualname__} is not available, so that its code cannot be recorded: put it into a "
            "file and pass my.py:build_model"
        ) from error
    try:
        return canonical_source(textwrap.dedent(source))
    except SyntaxError:  # a part of a statement, such as a lambda
        return source


def _file_digest(module: str) -> str:
    """The digest of a module of the user's own; the name of an installed one, whose version is recorded anyway."""
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None or not Path(file).is_relative_to(Path.cwd()) or "site-packages" in file:
        return module
    return code_digest(Path(file))


def _is_importable(obj: Any) -> bool:
    """Whether another process finds an object by its module and its name."""
    module = sys.modules.get(_module(obj))
    if module is None or module.__name__ == "__main__":
        return False
    try:
        return reduce(getattr, _qualname(obj).split("."), module) is obj
    except AttributeError:
        return False


def _module(obj: Any) -> str:
    return str(getattr(obj, "__module__", None))


def _qualname(obj: Any) -> str:
    return str(getattr(obj, "__qualname__", ""))
