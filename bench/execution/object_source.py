"""The code of an object of a script or a notebook, with everything that it refers to there, as a digest."""

import dis
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import reduce
from hashlib import sha256
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from bench.errors import SpecError
from search_spaces import canonical_source, code_digest

PLAIN = (bool, int, float, complex, str, bytes, type(None))
MAX_BYTES = 1_000  # of longer ones, such as arrays, the text would take several times as much memory
LIBRARIES = ("bench", "keras", "keras_tuner", "search_spaces", "tensorflow")  # also from a checkout
# Members of a class that say nothing about its code, or depend on its place.
BOOKKEEPING = frozenset(
    {
        *("__dict__", "__doc__", "__firstlineno__", "__module__", "__qualname__", "__static_attributes__"),
        "__slotnames__",  # since an instance was pickled
        "__weakref__",
    }
)


def source_of(obj: object) -> str:
    """Twelve hexadecimal digits that depend on the code of an object, and of what it uses of its script or notebook."""
    return digest(obj, _own_source, _parts)


def digest(obj: object, own: Callable[[Any], str], parts: Callable[[Any], Iterable[Any]]) -> str:
    """Twelve hexadecimal digits that depend on the sources of an object and of what it refers to.

    Args:
        obj: the object.
        own: returns the source of an object itself.
        parts: returns the objects that an object refers to.
    """
    return sha256("\n".join(_sources(obj, own, parts, {})).encode()).hexdigest()[:12]


def _sources(
    obj: Any, own: Callable[[Any], str], parts: Callable[[Any], Iterable[Any]], seen: dict[int, tuple[int, Any]]
) -> Iterator[str]:
    """The sources for `digest`; `seen` has the objects before this one with their numbers, by id."""
    if isinstance(obj, bytes) and len(obj) > MAX_BYTES:
        yield sha256(obj).hexdigest()
    elif isinstance(obj, PLAIN):  # each time: small numbers and many strings exist once
        yield repr(obj)
    elif id(obj) in seen:
        yield f"object {seen[id(obj)][0]}"
    else:
        seen[id(obj)] = len(seen), obj  # kept, so that no other object gets its id
        yield own(obj)
        for part in parts(obj):
            yield from _sources(part, own, parts, seen)
        yield "end"


def _own_source(obj: Any) -> str:
    """The source of a function, the name of anything else."""
    if isinstance(obj, ModuleType):
        return file_digest(obj.__name__)
    if isinstance(obj, FunctionType | type):
        name = f"{file_digest(module_of(obj))}:{qualname_of(obj)}"
        return name if isinstance(obj, type) or is_importable(obj) else function_source(obj)
    return type(obj).__name__


def _parts(obj: Any) -> Iterable[Any]:
    """What an object refers to."""
    if isinstance(obj, ModuleType) or is_importable(obj):
        return ()
    if isinstance(obj, FunctionType):
        return *used_globals(obj), *enclosed(obj)
    if isinstance(obj, MethodType):
        return obj.__func__, obj.__self__
    return members(obj) if isinstance(obj, type) else content(obj)


def members(kind: type) -> Iterable[Any]:
    """The bases, methods and attributes of a class."""
    found = (value for name, value in vars(kind).items() if name not in BOOKKEEPING)
    return *kind.__bases__, *(getattr(each, "__func__", each) for each in found)


def content(obj: Any) -> Iterable[Any]:
    """The content of a container, or what pickle would store of another object."""
    if isinstance(obj, dict):
        return *obj, *obj.values()
    if isinstance(obj, list | tuple):
        return obj
    if isinstance(obj, set | frozenset):
        return sorted(obj, key=repr)
    if any(module_of(each).partition(".")[0] == "keras" for each in type(obj).__mro__):
        with suppress(Exception):  # a user's code may raise anything
            # Keras would pickle the content of a .keras file, which contains the time.
            weights: list[Any] = getattr(obj, "get_weights", list)()
            # The configuration of a user's class may lack its attributes.
            plain = {name: value for name, value in vars(obj).items() if isinstance(value, PLAIN) and name[0] != "_"}
            attributes = {} if module_of(type(obj)).partition(".")[0] == "keras" else plain
            return type(obj), _unnumbered([obj.get_config(), attributes]), *(each.tobytes() for each in weights)
    try:
        reduced = obj.__reduce_ex__(2)
    except Exception:  # noqa: BLE001 - a user's code may raise anything; it cannot be pickled either
        return ()
    return reduced if isinstance(reduced, tuple) else (reduced,)


def _unnumbered(config: Any) -> Any:
    """A configuration in which names of layers do not depend on how many were made before them."""
    if isinstance(config, str):
        return re.sub(r"_\d+$", "", config)
    if isinstance(config, dict):
        return {name: _unnumbered(value) for name, value in config.items()}
    return [*map(_unnumbered, config)] if isinstance(config, list | tuple) else config


def used_globals(function: FunctionType) -> list[Any]:
    """The values of the global variables that a function uses."""
    names = dict.fromkeys(global_names(function.__code__))
    return [function.__globals__[name] for name in names if name in function.__globals__]


def enclosed(function: FunctionType) -> Iterator[Any]:
    """The values of the enclosing variables and the defaults of a function."""
    for cell in function.__closure__ or ():
        with suppress(ValueError):  # not yet set
            yield cell.cell_contents
    yield from function.__defaults__ or ()
    yield function.__kwdefaults__ or {}


def global_names(code: CodeType) -> Iterator[str]:
    """The names of the global variables that code uses."""
    yield from (each.argval for each in dis.get_instructions(code) if each.opname in ("LOAD_GLOBAL", "LOAD_NAME"))
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from global_names(each)


def function_source(function: FunctionType) -> str:
    """The code of a function, as `canonical_source` writes it.

    Raises:
        SpecError: it is not available.
    """
    try:
        source = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError) as error:
        raise SpecError(
            f"the source of {function.__qualname__} is not available, so that its code cannot be recorded: put it into "
            "a file and pass my.py:build_model"
        ) from error
    try:
        return canonical_source(source)
    except SyntaxError:  # a part of a statement, such as a lambda
        return source


def file_digest(module: str) -> str:
    """The digest of a module of the user's own; the name of an installed one, whose version is recorded anyway."""
    file = Path(str(getattr(sys.modules.get(module), "__file__", None)))
    return code_digest(file) if is_own(module) and module != "__main__" else module


def is_own(module: str) -> bool:
    """Whether a module is the script or the notebook, or a file of the user's own that is not installed."""
    file = Path(str(getattr(sys.modules.get(module), "__file__", None)))
    if {"site-packages", "dist-packages"} & {*file.parts} or file.suffix != ".py":
        return module == "__main__"
    return module.partition(".")[0] not in {*sys.stdlib_module_names, *LIBRARIES}


def is_importable(obj: Any) -> bool:
    """Whether another process finds an object by its module and its name."""
    module = sys.modules.get(module_of(obj))
    if module is None or module.__name__ == "__main__":
        return False
    try:
        return reduce(getattr, qualname_of(obj).split("."), module) is obj
    except AttributeError:
        return False


def module_of(obj: Any) -> str:
    """The name of its module."""
    return str(getattr(obj, "__module__", None))


def qualname_of(obj: Any) -> str:
    """Its name in its module, dotted; empty if it has none."""
    return str(getattr(obj, "__qualname__", ""))
