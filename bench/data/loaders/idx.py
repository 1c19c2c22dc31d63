"""Files of the IDX format, in which MNIST and its relatives are published: find, check, parse."""

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
    """Whether `path` is a file that can be seen from here."""
    # Path.is_file raises where a parent folder may not be entered, such as another user's home.
    return os.path.isfile(path)  # noqa: PTH113


def checked(content: bytes, expected: str, where: str) -> bytes:
    """The bytes of a file, decompressed, known to be the published ones.

    Args:
        content: of the file. Only decompressed bytes are compared, since mirrors compress anew.
        expected: SHA-256 of the decompressed bytes, hexadecimal.
        where: what an error calls the file.

    Raises:
        DataError: they are other bytes, or the file is truncated.
    """
    try:
        plain = gzip.decompress(content) if content.startswith(GZIP_MAGIC) else content
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{where} is damaged: its {len(content):,} bytes cannot be decompressed ({error}). Expected SHA-256 "
            f"{expected} after decompression, found {_sha256(content)} for the compressed file"
        ) from error
    found = _sha256(plain)
    if found != expected:
        raise DataError(
            f"{where} does not hold the published bytes. Expected SHA-256 {expected}, found {found} "
            f"({len(plain):,} bytes{' after decompression' if plain is not content else ''})"
        )
    return plain


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def parse(content: bytes, where: str) -> NDArray[np.uint8]:
    """The array in `content`, read-only, its shape as the header says.

    The header is two zero bytes, the type (8: unsigned byte), the number of dimensions, and each size as a big-endian
    32-bit number.

    Raises:
        DataError: the header is of another format or type, or announces another number of values than there are.
    """
    if content[:3] != bytes((0, 0, UNSIGNED_BYTE)) or len(content) < 4 or len(content) < 4 + 4 * content[3]:
        raise DataError(
            f"{where} is not an IDX file of unsigned bytes: it starts with {content[:4].hex(' ') or 'nothing'}"
        )
    start = 4 + 4 * content[3]
    shape = tuple(int(size) for size in np.frombuffer(content[4:start], dtype=">u4"))
    values = np.frombuffer(content, dtype=np.uint8, offset=start)
    if values.size != np.prod(shape, dtype=np.int64):
        raise DataError(f"{where}: the header announces an array {shape}, {values.size:,} values follow")
    return values.reshape(shape)
