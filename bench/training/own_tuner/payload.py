"""A user's objects in a folder: pickled once, with large arrays in files that all workers map into memory."""

import hashlib
import io
import pickle
import shutil
import sys
from pathlib import Path
from types import FunctionType
from typing import IO, Any

import numpy as np

from bench.compat.cloudpickle import Pickler
from bench.records.files import writing

MIN_BYTES = 2**16  # smaller arrays are pickled
OBJECTS = "objects.pickle"


def write(folder: Path | None, content: Any) -> str:
    """Store an object, unless `folder` is None; returns a digest of its arrays.

    Raises:
        StoreError: the folder cannot be written.
        Exception: a part of the object cannot be pickled.
    """
    if folder is None:
        return _dump(content, io.BytesIO(), None)
    with writing(folder):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        with (folder / OBJECTS).open("wb") as file:
            return _dump(content, file, folder)


def _dump(content: Any, file: IO[bytes], folder: Path | None) -> str:
    pickler = _Pickler(file, folder)
    pickler.dump(content)
    pickler.dump(dict(pickler.main))
    return pickler.digest.hexdigest()[:32]


def read(folder: Path) -> Any:
    """A new copy of the stored object; changes of its large arrays stay in this process.

    Functions and classes of the script that stored it become part of the main module, where pickle looks for them when
    a trial saves a model that uses them.
    """
    with (folder / OBJECTS).open("rb") as file:
        unpickler = _Unpickler(file, folder)
        content, main = unpickler.load(), unpickler.load()
    vars(sys.modules["__main__"]).update(main)
    return content


def is_large(obj: Any) -> bool:
    """Whether an object is an array that is stored in a file of its own."""
    return _is_array(obj) and obj.nbytes >= MIN_BYTES


def _is_array(obj: Any) -> bool:
    return type(obj) in (np.ndarray, np.memmap) and not obj.dtype.hasobject


def _may_have_texts(obj: Any) -> bool:
    """Whether an object is an array of NumPy or pandas whose elements may be texts."""
    library = type(obj).__module__.partition(".")[0]
    return library in ("numpy", "pandas") and str(getattr(obj, "dtype", "")) in ("object", "str", "string")


class _Pickler(Pickler):
    def __init__(self, file: IO[bytes], folder: Path | None) -> None:
        super().__init__(file)
        self.digest = hashlib.sha256()
        self.main: dict[str, Any] = {}  # functions and classes of the main module, by name
        self._folder = folder
        self._names: dict[int, tuple[str | None, Any]] = {}  # of files, by id of the array, which is kept alive

    def persistent_id(self, obj: Any) -> str | None:
        if isinstance(obj, FunctionType | type) and obj.__module__ == "__main__":
            self.main[obj.__qualname__] = obj
        if _may_have_texts(obj):  # other objects may have addresses
            texts = (each for each in np.asarray(obj, object).ravel() if isinstance(each, str))
            self.digest.update("\0".join(texts).encode(errors="replace"))
        if not _is_array(obj):
            return None
        if id(obj) not in self._names:
            array = np.ascontiguousarray(obj)  # with at least one dimension
            self.digest.update(f"{array.shape} {array.dtype.str}".encode())
            self.digest.update(array.view(np.uint8).data)
            name = f"{len(self._names)}.npy" if is_large(obj) else None
            if name is not None and self._folder is not None:
                np.save(self._folder / name, array, allow_pickle=False)
            self._names[id(obj)] = name, obj
        return self._names[id(obj)][0]


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: Any, folder: Path) -> None:
        super().__init__(file)
        self._folder = folder

    def persistent_load(self, name: Any) -> Any:
        # "c": what a trial writes stays in its process.
        return np.load(self._folder / name, mmap_mode="c", allow_pickle=False)
