"""Writing files so that a kill at any moment leaves them whole: replaced at once, or appended line by line."""

import errno
import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from bench.errors import StoreError

MIN_FREE_BYTES = 50 * 2**20


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What goes wrong inside with writing `path` is a StoreError that says what to do."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = "Free space, or choose another folder" if full else "Choose a folder that can be written"
        raise StoreError(f"cannot write {path}: {error.strerror or error}. {remedy} with --results") from error


def write_atomic(path: Path, content: bytes) -> None:
    """Put `content` at `path` whole or not at all, on disk when this returns.

    Raises:
        StoreError: the file cannot be written; a file that was there before is untouched.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(0o644)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        _fsync_folder(path.parent)


def _fsync_folder(folder: Path) -> None:
    if os.name == "nt":
        return  # Windows opens no folders
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def append_line(path: Path, line: bytes) -> None:
    """Add `line`, which ends with a line break, to the file at `path`; it is on disk when this returns.

    Raises:
        StoreError: it cannot be written; the file is as it was, but for a torn last line, which is cut off.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Unbuffered: a buffer that could not be written would be written again when the file is closed.
        with path.open("ab+", buffering=0) as file:
            whole = _whole_bytes(file)
            # What a kill left of a line, long ago or just now, must not glue itself to the next one.
            file.truncate(whole)
            try:
                left = memoryview(line)
                while left:
                    left = left[file.write(left) :]
                os.fsync(file.fileno())
            except OSError:
                file.truncate(whole)
                raise
        if whole == 0:
            _fsync_folder(path.parent)


def _whole_bytes(file: io.FileIO) -> int:
    """Bytes up to the end of the last whole line."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 1))
    if file.read(1) in (b"", b"\n"):
        return size
    file.seek(0)
    return file.readall().rfind(b"\n") + 1


def require_results_dir(results: Path) -> None:
    """Find out that there is no such folder before saying that nothing is in it.

    Raises:
        StoreError: `results` is no folder.
    """
    if not results.is_dir():
        raise StoreError(
            f"there is no results folder {results}: name one with --results, or make it with `python -m bench run`"
        )


def lock_folder(folder: Path) -> filelock.FileLock:
    """Make `folder` where it is not there, and lock it until the lock is released, or this process dies.

    It holds as long as somebody keeps the object that is returned.

    Raises:
        StoreError: another process works on it.
    """
    lock = filelock.FileLock(folder / ".lock")
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout as error:
            raise StoreError(f"another process is working on {folder}: wait for it, or end it and run again") from error
    return lock


def check_writable(results: Path) -> None:
    """Find out before hours are spent whether `results` can be written and has room.

    Raises:
        StoreError: it cannot be made, cannot be written, or has less than 50 MiB free.
    """
    with writing(results):
        results.mkdir(parents=True, exist_ok=True)
        # Its name is its own: another process may be looking, too.
        with tempfile.TemporaryFile(prefix=".write-probe", dir=results) as probe:
            probe.write(b"ok")
            probe.flush()
            os.fsync(probe.fileno())
        free = shutil.disk_usage(results).free
    if free < MIN_FREE_BYTES:
        raise StoreError(
            f"{results} has {free / 2**20:.1f} MiB free, at least {MIN_FREE_BYTES // 2**20} MiB are needed: "
            "free space or choose another folder with --results"
        )
