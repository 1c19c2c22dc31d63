"""File writes that survive a kill at any moment: atomic replacement and line-wise appending."""

import errno
import io
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock

from bench.errors import StoreError

MIN_FREE_BYTES = 50 * 2**20
LOCK_FILE = ".lock"
PROBE_SECONDS = 0.5  # `is_locked` of another process keeps a lock from being acquired for less than this


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Convert an OSError while writing `path` to a StoreError with a remedy."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = "Free up space, or choose another folder" if full else "Choose a writable folder"
        raise StoreError(f"cannot write {path}: {error.strerror or error}. {remedy}") from error


def write_atomic(path: Path, content: bytes) -> None:
    """Write `content` to `path` completely or not at all; it is on disk when this returns.

    Raises:
        StoreError: the file cannot be written; an existing file is unchanged.
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
        return  # Windows cannot open folders
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def append_line(path: Path, line: bytes) -> None:
    """Append `line`, which ends with a line break, to the file at `path`; it is on disk when this returns.

    Several processes may append to the same file.

    Raises:
        StoreError: the line cannot be written; the file is unchanged, except that a torn last line is removed.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Unbuffered, since a failed buffered write would be retried when the file is closed.
        with path.open("ab+", buffering=0) as file:
            _lock_until_closed(file)
            complete = _complete_bytes(file)
            if complete < file.seek(0, os.SEEK_END):
                file.truncate(complete)  # a line torn by a kill must not merge with the new one
            try:
                remaining = memoryview(line)
                while remaining:
                    remaining = remaining[file.write(remaining) :]
                os.fsync(file.fileno())
            except OSError:
                file.truncate(complete)
                raise
        if complete == 0:
            _fsync_folder(path.parent)


def _lock_until_closed(file: io.FileIO) -> None:
    """Lock `file` as soon as no other process has locked it, where the file system has locks."""
    if sys.platform == "win32":
        return
    import fcntl

    with suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_EX)


def _complete_bytes(file: io.FileIO) -> int:
    """Bytes up to the end of the last complete line."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 1))
    if file.read(1) in (b"", b"\n"):
        return size
    file.seek(0)
    return file.readall().rfind(b"\n") + 1


def require_results_dir(results: Path) -> None:
    """Check that the results folder exists.

    Raises:
        StoreError: it does not exist, or is a file.
    """
    require_no_file(results)
    if not results.is_dir():
        raise StoreError(
            f"there is no results folder {results}: choose one with --results, or create it with "
            "`python -m bench run --family cnn`"
        )


def require_no_file(results: Path) -> None:
    """Check that the results folder is not a file; it may be missing.

    Raises:
        StoreError: it is a file.
    """
    if results.exists() and not results.is_dir():
        raise StoreError(f"expected a results folder, found the file {results}: choose a folder with --results")


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Create `folder` if needed, and lock it for this process inside the block.

    Raises:
        StoreError: another process holds the lock.
    """
    lock = filelock.FileLock(folder / LOCK_FILE)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=PROBE_SECONDS)
        except filelock.Timeout as error:
            raise StoreError(
                f"another process is using {folder}: wait until it ends, or stop it and repeat the command"
            ) from error
    try:
        yield
    finally:
        lock.release()


def is_locked(folder: Path) -> bool:
    """Whether a process has locked `folder`; changes no file, and may be called at any time by any process.

    True also if that is unknown: on a file system without locks, and on Windows while another process asks.
    """
    file = folder / LOCK_FILE
    try:
        if not file.exists():
            return False
        if sys.platform == "win32":
            with filelock.FileLock(file, timeout=0):
                return False
        import fcntl

        with file.open("rb") as opened:
            # A shared lock, so that processes that ask at the same time do not see each other; closing releases it.
            fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    return False


def check_writable(results: Path) -> None:
    """Check before training that `results` is writable and has free space.

    Raises:
        StoreError: it cannot be created or written, or has less than 50 MiB of free space.
    """
    require_no_file(results)
    with writing(results):
        results.mkdir(parents=True, exist_ok=True)
        # A unique name, since another process may check at the same time.
        with tempfile.TemporaryFile(prefix=".write-probe", dir=results) as probe:
            probe.write(b"ok")
            probe.flush()
            os.fsync(probe.fileno())
        free = shutil.disk_usage(results).free
    if free < MIN_FREE_BYTES:
        raise StoreError(
            f"{results} has {free / 2**20:.1f} MiB of free space, at least {MIN_FREE_BYTES // 2**20} MiB are required: "
            "free up space, or choose another folder with --results"
        )
