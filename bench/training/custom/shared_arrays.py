"""The inputs of a `fit` that takes arrays: in files that all workers map into memory, and without copies in Keras."""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import keras
import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from bench.compat.tensorflow import ALIGNMENT, shared_tensor
from bench.data import cache
from bench.data.dataset import Dataset
from bench.training.custom.interface import PixelInput

MIN_BYTES = 2**26  # smaller arrays are not shared
BLOCK_IMAGES = 4_096  # converted at once
UNUSED_SECONDS = 86_400  # after which a file is removed


def shared_inputs(dataset: Dataset, indices: NDArray[np.int64], inputs: PixelInput) -> NDArray[Any]:
    """The images at `indices` as a model receives them; large arrays are memory-mapped, and may be written to.

    Raises:
        DataError: the folder of the file cannot be written.
    """
    size = len(indices) * int(np.prod(inputs.shape)) * np.dtype(inputs.dtype).itemsize
    if size < MIN_BYTES:
        return inputs.arrays(dataset.images[indices])
    key = f"{dataset.checksum} {inputs.shape} {inputs.dtype} {inputs.scale}".encode() + indices.tobytes()
    with cache.writing() as folder:
        path = folder.parent / "arrays" / f"{hashlib.sha256(key).hexdigest()[:32]}.npy"
        path.parent.mkdir(exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            if not path.exists():
                _remove_unused(path.parent)
                _write(path, dataset.images, indices, inputs)
            path.touch()
    # "c": what a `fit` writes stays in its process.
    mapped: NDArray[Any] = np.load(path, mmap_mode="c", allow_pickle=False)
    return mapped


def _write(path: Path, images: NDArray[np.uint8], indices: NDArray[np.int64], inputs: PixelInput) -> None:
    unfinished = path.with_suffix(".part")
    shape = (len(indices), *inputs.shape)
    array = np.lib.format.open_memmap(unfinished, mode="w+", dtype=np.dtype(inputs.dtype), shape=shape)
    for start in range(0, len(indices), BLOCK_IMAGES):
        block = slice(start, start + BLOCK_IMAGES)
        array[block] = inputs.arrays(images[indices[block]])
    array.flush()
    unfinished.rename(path)


def _remove_unused(folder: Path) -> None:
    for path in (*folder.glob("*.npy"), *folder.glob("*.part")):  # the latter of writes that were killed
        # Another process may have removed it, or it may be of another user.
        with suppress(FileNotFoundError, PermissionError):
            if time.time() - path.stat().st_mtime > UNUSED_SECONDS:
                path.unlink()


@contextmanager
def passing_shared_tensors(model: keras.Model) -> Iterator[None]:
    """Inside the block, Keras' `model.fit` gets memory-mapped arrays as tensors in their memory, without a copy."""
    if type(model).fit is not keras.Model.fit:  # one of the user's own, which may expect arrays
        yield
        return
    original = model.fit

    def fit(*arguments: Any, **named: Any) -> Any:
        return original(*map(_shared, arguments), **{name: _shared(value) for name, value in named.items()})

    model.fit = fit
    try:
        yield
    finally:
        del model.fit


def _shared(value: Any) -> Any:
    if type(value) in (list, tuple):
        return type(value)(map(_shared, value))
    if type(value) is dict:
        return {name: _shared(each) for name, each in value.items()}
    is_file = isinstance(value, np.memmap) and value.flags.c_contiguous and value.flags.writeable
    # Strings, dates and numbers of another machine's byte order cannot be tensors in their memory.
    is_file = is_file and value.dtype.isnative and value.dtype.kind in "biufc"
    # TensorFlow expects its own alignment, which parts of an array may not have.
    return shared_tensor(value) if is_file and value.ctypes.data % ALIGNMENT == 0 else value
