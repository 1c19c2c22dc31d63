"""Text files with the names of classes."""

from pathlib import Path

from bench.errors import DataError

MAX_BYTES = 2**20
EXPECTED = "expected a text file with one class name per line, in the order of the labels"


def read(path: Path) -> tuple[str, ...]:
    """The class names in a file.

    Raises:
        DataError: the file cannot be read, is too large, or contains no names.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"{path} has more than {MAX_BYTES:,} bytes: {EXPECTED}")
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}: {EXPECTED}") from error
    names = tuple(line.strip() for line in lines if line.strip())
    if not names:
        raise DataError(f"{path} is empty: {EXPECTED}")
    return names
