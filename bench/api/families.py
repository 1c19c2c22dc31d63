"""Objects of Python as families: functions `build_model(hp)` and hypermodels, also those of a script or a notebook."""

import re
import sys
from pathlib import Path

import search_spaces
from bench.compat.cloudpickle import dumps
from bench.data import cache
from bench.errors import SpecError
from bench.execution.models import locate_families
from bench.execution.object_source import is_importable, is_own, module_of, qualname_of, source_of
from bench.records.files import write_atomic
from search_spaces import PICKLED, FamilyLocation

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
    if is_importable(family):
        return locate_families([f"{_file_or_module(module_of(family))}:{qualname_of(family)}"])[0]
    name = re.sub(r"\W", "_", getattr(family, "__name__", type(family).__name__), flags=re.ASCII).strip("_")
    return _stored(family, name or "model")  # for a name without Latin letters


def _file_or_module(module: str) -> str:
    """The file of a module that is the user's own and in no package, so that `my.py:build_model` is the same run."""
    file = Path(str(getattr(sys.modules[module], "__file__", None)))
    return str(file) if is_own(module) and file.name == f"{module}.py" else module


def _stored(family: object, name: str) -> FamilyLocation:
    if name in search_spaces.names():
        raise SpecError(f"the name {name!r} is taken by another family: rename the object")
    try:
        content = dumps(family)
    except Exception as error:  # objects of other libraries raise many types
        raise SpecError(
            f"the family {name} cannot be sent to worker processes: {error}: build such objects inside it, or put "
            "it into a file and pass my.py:build_model"
        ) from error
    path = cache.folder().parent / "families" / f"{source_of(family)}{PICKLED}"
    write_atomic(path, content)
    return FamilyLocation(name=name, definition=f"__main__:{name}", file=str(path))
