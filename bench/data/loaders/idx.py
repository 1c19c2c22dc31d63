"""The IDX format, in which MNIST and its relatives are published: find files, verify them, parse them."""

import gzip
import hashlib
import os
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataError

GZIP_MAGIC = b"\x1f\x8b"
UNSIGNED_BYTE = 8


def find(folder: Path, name: str) -> Path | None:
    """The file `name` (as train-images-idx3-ubyte) in `folder`, compressed or not, also with .idx3 for -idx3."""
    spellings = (name, name.replace("-idx", ".idx"))
    candidates = (folder / f"{spelling}{suffix}" for spelling in spellings for suffix in (".gz", ""))
    return next((candidate for candidate in candidates if is_file(candidate)), None)


def is_file(path: Path) -> bool:
    """Whether `path` is a file that this process can see."""
    # Path.is_file raises where a parent folder may not be entered, such as another user's home.
    return os.path.isfile(path)  # noqa: PTH113


def checked(content: bytes, expected: str, where: str) -> bytes:
    """The bytes of a file, decompressed and verified.

    Args:
        content: of the file, compressed or not.
        expected: SHA-256 of the decompressed bytes, hexadecimal: mirrors recompress.
        where: name of the file in an error.

    Raises:
        DataError: the checksum differs, or the file is damaged.
    """
    try:
        plain = gzip.decompress(content) if content.startswith(GZIP_MAGIC) else content
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{where} is damaged: its {len(content):,} bytes cannot be decompressed ({error}). Expected SHA-256 "
            f"{expected} after decompression, found {_sha256(content)} for the compressed file"
        ) from error
    actual = _sha256(plain)
    if actual != expected:
        raise DataError(
            f"{where} differs from the published file. Expected SHA-256 {expected}, found {actual} "
            f"({len(plain):,} bytes{' after decompression' if plain is not content else ''})"
        )
    return plain


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def parse(content: bytes, where: str) -> NDArray[np.uint8]:
    """The array in `content`, read-only, of the shape in the header.

    The header is two zero bytes, the type (8: unsigned byte), the number of dimensions, and each size as a big-endian
    32-bit number.

    Raises:
        DataError: the header is of another format or type, or the number of values is not that of the header.
    """
    if content[:3] != bytes((0, 0, UNSIGNED_BYTE)) or len(content) < 4 or len(content) < 4 + 4 * content[3]:
        raise DataError(
            f"{where} is not an IDX file of unsigned bytes: it starts with {content[:4].hex(' ') or 'nothing'}"
        )
    start = 4 + 4 * content[3]
    shape = tuple(int(size) for size in np.frombuffer(content[4:start], dtype=">u4"))
    values = np.frombuffer(content, dtype=np.uint8, offset=start)
    if values.size != np.prod(shape, dtype=np.int64):
        raise DataError(f"{where}: the header says an array of shape {shape}, but {values.size:,} values follow")
    return values.reshape(shape)
