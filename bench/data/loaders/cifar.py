"""The archives of CIFAR-10: batches of planar 32x32 color images."""

import io
import pickle
import tarfile
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.data.loaders.published import Labels, Pixels
from bench.errors import DataError

PYTHON_ARCHIVE, BINARY_ARCHIVE = "cifar-10-python.tar.gz", "cifar-10-binary.tar.gz"
TRAINING_BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
SHAPE = (3, 32, 32)  # of an image: channels, height, width
RECORD_BYTES = 1 + 3 * 32 * 32  # a label and an image


def parse_python(content: Mapping[str, bytes], folder: str, test: bool) -> tuple[Pixels, Labels]:
    """Images and labels of the archive for Python, which Keras downloads."""
    return _parse(
        content[PYTHON_ARCHIVE], f"{PYTHON_ARCHIVE} in {folder}", test, "cifar-10-batches-py/{}", _python_batch
    )


def parse_binary(content: Mapping[str, bytes], folder: str, test: bool) -> tuple[Pixels, Labels]:
    """Images and labels of the archive of binary files."""
    where = f"{BINARY_ARCHIVE} in {folder}"
    return _parse(content[BINARY_ARCHIVE], where, test, "cifar-10-batches-bin/{}.bin", _binary_batch)


def _parse(
    archive: bytes, where: str, test: bool, member: str, parse: Callable[[bytes], tuple[Pixels, Labels]]
) -> tuple[Pixels, Labels]:
    batches = ["test_batch"] if test else TRAINING_BATCHES
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            parts = [parse(_member(files, member.format(batch))) for batch in batches]
    except (tarfile.TarError, KeyError, ValueError, pickle.UnpicklingError) as error:
        raise DataError(f"{where} does not contain the published files: {error}") from error
    images = np.concatenate([images for images, _ in parts])
    return np.ascontiguousarray(images.transpose(0, 2, 3, 1)), np.concatenate([labels for _, labels in parts])


def _member(files: tarfile.TarFile, name: str) -> bytes:
    file = files.extractfile(name)
    if file is None:
        raise KeyError(name)
    return file.read()


def _binary_batch(content: bytes) -> tuple[Pixels, Labels]:
    records = np.frombuffer(content, np.uint8).reshape(-1, RECORD_BYTES)
    return records[:, 1:].reshape(-1, *SHAPE), records[:, 0]


def _python_batch(content: bytes) -> tuple[Pixels, Labels]:
    batch = _ArrayUnpickler(io.BytesIO(content), encoding="bytes").load()
    images: NDArray[Any] = batch[b"data"]
    return images.reshape(-1, *SHAPE), np.array(batch[b"labels"], dtype=np.uint8)


class _ArrayUnpickler(pickle.Unpickler):
    """Loads NumPy arrays and built-in types only; the archive's checksum has been verified besides."""

    def find_class(self, module: str, name: str) -> Any:
        # NumPy's own, whatever the module was called when the archive was made.
        allowed = {"_reconstruct": np.zeros(0).__reduce__()[0], "ndarray": np.ndarray, "dtype": np.dtype}
        if module.partition(".")[0] != "numpy" or name not in allowed:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed")
        return allowed[name]
