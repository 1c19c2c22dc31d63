"""Read compressed files with a limit on what they expand to."""

import gzip
import io
import zlib
from pathlib import Path
from typing import BinaryIO

from bench.errors import DataError

GZIP_MAGIC = b"\x1f\x8b"
MAX_BYTES = 4 * 2**30  # of a file after decompression


def open_binary(path: Path, limit: int = MAX_BYTES) -> BinaryIO:
    """Open a file for reading, decompressed if it starts like a gzip file; the caller closes it.

    Raises:
        DataError: the file cannot be opened. Reading raises it if the content is damaged or larger than `limit`.
    """
    try:
        with path.open("rb") as file:
            is_gzip = file.read(2) == GZIP_MAGIC
        return io.BufferedReader(_Bounded(path, path, limit)) if is_gzip else path.open("rb")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error


def decompressed(content: bytes, where: str, limit: int = MAX_BYTES) -> bytes:
    """The content of a file, decompressed if it starts like a gzip file.

    Raises:
        DataError: it is damaged or larger than `limit`; the message begins with `where`.
    """
    if not content.startswith(GZIP_MAGIC):
        return content
    with io.BufferedReader(_Bounded(io.BytesIO(content), where, limit)) as file:
        return file.read()


class _Bounded(io.RawIOBase):
    """The decompressed content of a gzip file; errors name it `where`."""

    def __init__(self, source: Path | BinaryIO, where: object, limit: int) -> None:
        self._where, self._limit = where, limit
        self._file = gzip.open(source)  # noqa: SIM115 - closed by close
        self._bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        try:
            count = self._file.readinto(buffer)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{self._where} cannot be decompressed: {error}: replace the file") from error
        self._bytes += count
        if self._bytes > self._limit:
            raise DataError(
                f"{self._where} expands to more than {self._limit / 2**30:.3g} GiB, which is the limit: is it the "
                "right file?"
            )
        return count

    def close(self) -> None:
        self._file.close()
        super().close()
