"""Families of Keras models, one file each; the file name, without `.py`, is the value of --family.

To add one, create a folder `search_spaces/`, without an `__init__.py`, in the working directory or any other folder on
the Python path, and put a file into it:

    from search_spaces import Family

    class Mine(Family):
        def architecture(self, hp, images): ...

An installed package can provide its class as an entry point in the group `keras_family_bench.families`. Files whose
names start with an underscore are not families: here, they contain the base class, the training recipe and digests.

A family need not be in such a folder: `my.py:build_model` and `package.module:Object` are families, too. These and
entry points may be any hypermodel of Keras Tuner (a class or an instance), or a function `build_model(hp)`.
"""

import ast
import importlib
import sys
from contextlib import suppress
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from pkgutil import extend_path
from typing import TYPE_CHECKING, Any

from search_spaces import _location
from search_spaces._digest import canonical_source, code_digest, module_files, package_folders
from search_spaces._location import PICKLED, FamilyLocation, family_module, is_definition, is_module_name

if TYPE_CHECKING:
    from search_spaces._family import Family

__all__ = [
    "PICKLED",
    "Family",
    "FamilyLocation",
    "add_current_folder",
    "canonical_source",
    "code_digest",
    "family_module",
    "is_definition",
    "is_module_name",
    "load",
    "locate",
    "names",
    "source_digest",
]
__path__ = extend_path(__path__, __name__)

GROUP = "keras_family_bench.families"  # of entry points


def __getattr__(name: str) -> "type[Family]":
    # Imported lazily: it imports Keras, but listing names and computing digests must be fast.
    if name == "Family":
        from search_spaces._family import Family

        return Family
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def add_current_folder() -> None:
    """Find families in `./search_spaces/`, in this process and in its child processes.

    `python -m bench` has the current folder on the Python path, but the script `bench` does not.
    """
    with suppress(FileNotFoundError):  # the current folder has been deleted
        folder = Path.cwd()
        if (folder / __name__).is_dir() and str(folder) not in sys.path:
            sys.path.append(str(folder))  # last, so that its files do not shadow installed packages
    __path__[:] = extend_path(__path__, __name__)


def names() -> tuple[str, ...]:
    """Names of all families, sorted; imports none of them."""
    files = (file.stem for folder in __path__ for file in Path(folder).glob("[!_]*.py"))
    return tuple(sorted({name for name in (*files, *_entry_points()) if name.isidentifier()}))


def locate(text: str) -> FamilyLocation:
    """Locate a family by its name, or by file or module and object; imports nothing.

    Raises:
        ValueError: there is none, it is defined twice, or its name is that of another family.
        SyntaxError: its file is not valid Python.
    """
    if not is_definition(text):
        _module(text)
        return FamilyLocation(name=text)
    location = _location.locate(text)
    if location.name == "all" or location.name in names():
        taken = "means every family" if location.name == "all" else "is taken by another family"
        raise ValueError(
            f"the name {location.name!r} of {location.definition} {taken}: choose another one with "
            f"NAME={text.rpartition('=')[2]}"
        )
    return location


def load(family: str | FamilyLocation) -> Any:
    """Load a family: the only subclass of Family defined in its file, or the object of its entry point or location.

    Raises:
        ValueError: there is no such family, or it is defined twice.
        Exception: whatever its import raises.
    """
    name = family if isinstance(family, str) else family.name
    if not isinstance(family, str) and family.definition is not None:
        return _location.load(family)
    module_name = _module(name)
    if not module_name.startswith(f"{__name__}."):
        return _entry_points()[name].load()
    from search_spaces._family import Family

    module = importlib.import_module(module_name)
    defined = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Family) and value.__module__ == module.__name__
    ]
    if len(defined) != 1:
        raise ValueError(f"{module.__file__} must define one subclass of Family, found {len(defined)}")
    if defined[0].architecture is Family.architecture:
        raise ValueError(f"{module.__file__}: {defined[0].__name__} must define architecture(hp, images)")
    return defined[0]


def source_digest(family: str | FamilyLocation) -> str:
    """Twelve hexadecimal digits that depend on the code of a family.

    This includes its file, modules that it imports (directly or indirectly) from its folder or this package, and, for
    families in folders `search_spaces` and others that import this package, the shared base class and recipe.

    Raises:
        ValueError: there is no such family, it is defined twice, or its file defines no subclass.
        SyntaxError: a file is not valid Python.
    """
    if not isinstance(family, str) and family.definition is not None:
        return _location.digest(family)
    name = family if isinstance(family, str) else family.name
    module = _module(name)
    folders = package_folders(module) | {__name__: list(__path__)}
    files = module_files((module, f"{__name__}._family"), folders)
    if module == f"{__name__}.{name}":
        _check_subclass(files[module])
    return code_digest(*(files[module] for module in sorted(files)))


def _module(name: str) -> str:
    """The name of the module that defines the family `name`."""
    files = [file for folder in __path__ if (file := Path(folder) / f"{name}.py").is_file()]
    # A second copy of this package on the path, such as a checkout, is ignored, as for every Python package.
    files = [file for file in files if file == files[0] or not (file.parent / "__init__.py").is_file()]
    entry_point = _entry_points().get(name)
    definitions = [*map(str, files), *([entry_point.value] if entry_point else [])]
    if len(definitions) > 1:
        raise ValueError(f"family {name!r} is defined more than once, rename one: {', '.join(definitions)}")
    if not definitions:
        hint = f". To use the file in this folder: {name}.py:build_model" if Path(f"{name}.py").is_file() else ""
        raise ValueError(f"there is no family {name!r}: valid names are {', '.join(names())}{hint}")
    return entry_point.module if entry_point else f"{__name__}.{name}"


def _check_subclass(file: Path) -> None:
    """Check, without importing `file`, that it could define a family; `load` checks the rest."""
    if not any(isinstance(node, ast.ClassDef) and node.bases for node in ast.walk(ast.parse(file.read_bytes()))):
        raise ValueError(
            f"{file} must define a subclass of search_spaces.Family, found none: add it, or, if other families import "
            f"the file, rename it to _{file.name}"
        )


def _entry_points() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}
