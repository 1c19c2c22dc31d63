"""The IDX format of MNIST and similar datasets: find, verify and parse files."""

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.data.loaders.bounded import decompressed
from bench.data.loaders.folders import is_file
from bench.errors import DataError

UNSIGNED_BYTE = 8


def find(folder: Path, name: str) -> Path | None:
    """Find the file `name` (e.g. train-images-idx3-ubyte), compressed or not, also spelled with .idx3 for -idx3."""
    spellings = dict.fromkeys((name, name.replace("-idx", ".idx")))
    candidates = (folder / f"{spelling}{suffix}" for spelling in spellings for suffix in (".gz", ""))
    return next((candidate for candidate in candidates if is_file(candidate)), None)


def checked(content: bytes, expected: str, where: str) -> bytes:
    """Decompress and verify the content of a file.

    Args:
        content: content of the file, compressed or not.
        expected: hexadecimal SHA-256 of the decompressed bytes, since mirrors recompress files, or of `content`.
        where: the file's name in error messages.

    Raises:
        DataError: the checksum differs, or the file is damaged.
    """
    try:
        values = decompressed(content, where)
    except DataError as error:
        raise DataError(
            f"{error} (expected SHA-256 {expected} after decompression, found {_sha256(content)} for the "
            f"{len(content):,} compressed bytes)"
        ) from error
    actual = _sha256(values)
    if expected not in (actual, _sha256(content)):
        raise DataError(
            f"{where} differs from the published file. Expected SHA-256 {expected}, found {actual} "
            f"({len(values):,} bytes{' after decompression' if values is not content else ''})"
        )
    return values


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def parse(content: bytes, where: str) -> NDArray[np.uint8]:
    """Parse `content` as a read-only array with the shape given in the header.

    The header is two zero bytes, the type (8: unsigned byte), the number of dimensions, and each size as a big-endian
    32-bit number.

    Raises:
        DataError: the header has another format or type, or does not match the number of values.
    """
    if content[:3] != bytes((0, 0, UNSIGNED_BYTE)) or len(content) < 4 or len(content) < 4 + 4 * content[3]:
        raise DataError(
            f"{where} must be an IDX file of unsigned bytes, but starts with {content[:4].hex(' ') or 'nothing'}, "
            "not with 00 00 08 and the number of dimensions: replace the file"
        )
    start = 4 + 4 * content[3]
    shape = tuple(int(size) for size in np.frombuffer(content[4:start], dtype=">u4"))
    values = np.frombuffer(content, dtype=np.uint8, offset=start)
    if values.size != np.prod(shape, dtype=np.int64):
        raise DataError(
            f"{where}: the header declares shape {shape}, but {values.size:,} values follow: replace the file"
        )
    return values.reshape(shape)
