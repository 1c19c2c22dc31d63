"""cloudpickle: code of a script or a notebook keeps its source, which tracebacks and TensorFlow's AutoGraph need."""

import linecache
import pickle
from collections import ChainMap
from hashlib import sha256
from io import BytesIO
from types import CodeType
from typing import IO, Any, ClassVar

import cloudpickle


def dumps(obj: Any) -> bytes:
    """The pickled object, for `pickle.loads`.

    Raises:
        Exception: a part of the object cannot be pickled.
    """
    file = BytesIO()
    Pickler(file).dump(obj)
    return file.getvalue()


def _reduce_code(code: CodeType) -> tuple[Any, ...]:
    _, arguments = cloudpickle.Pickler.dispatch_table[CodeType](code)
    name, lines = code.co_filename, linecache.getlines(code.co_filename)
    if lines:
        # A name of its own, since the file may change before the code is loaded and while it is used.
        name = f"<{sha256(''.join(lines).encode()).hexdigest()[:8]}>{name}"
    return _load_code, (arguments, name, lines)


def _load_code(arguments: tuple[Any, ...], name: str, lines: list[str]) -> CodeType:
    if lines:
        linecache.cache[name] = len("".join(lines)), None, lines, name  # None: there is no such file to compare with
    return CodeType(*arguments).replace(co_filename=name)


class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Pickles code with its source; cloudpickle itself replaces the name of its file by the same text for all code."""

    dispatch_table: ClassVar[Any] = ChainMap({CodeType: _reduce_code}, cloudpickle.Pickler.dispatch_table)

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
