"""Folders of users: list them without leaving them, skip files that operating systems add, tell when one changes."""

import hashlib
import os
import stat
from pathlib import Path

from bench.errors import DataError

SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini", "__macosx"})


def entries(folder: Path, root: Path) -> list[Path]:
    """Files and folders in `folder`, sorted by name, without hidden files.

    Args:
        folder: the folder, inside `root` or `root` itself.
        root: the dataset's folder, which no link may leave.

    Raises:
        DataError: it cannot be read, contains a name that is not UTF-8, or a link that leaves `root` or leads nowhere.
    """
    try:
        with os.scandir(folder) as listing:
            found = sorted(listing, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror}") from error
    visible = [entry for entry in found if not _is_system_file(entry.name)]
    for entry in visible:
        if not _is_utf8(entry.name):
            raise DataError(f"{folder} contains {os.fsencode(entry.name)!r}, a name that is not UTF-8: rename it")
        if entry.is_symlink():
            _check_link(Path(entry.path), root)
    return [Path(entry.path) for entry in visible]


def _is_system_file(name: str) -> bool:
    return name.startswith(".") or name.lower() in SYSTEM_FILES


def _is_utf8(name: str) -> bool:
    try:
        return bool(name.encode())
    except UnicodeEncodeError:  # Python reads other bytes as surrogates
        return False


def _check_link(link: Path, root: Path) -> None:
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop, before Python 3.13
        raise DataError(f"{link} is a link that leads nowhere: remove it") from error
    if not target.is_relative_to(root.resolve()):
        raise DataError(f"{link} is a link that leaves the folder {root}: copy the file into the folder")


def fingerprint(path: Path) -> str:
    """A digest of names, sizes and times of the file at `path`, or of all files in the folder, that changes with them.

    Raises:
        DataError: a folder cannot be read, or a link leaves it.
    """
    digest = hashlib.sha256()
    _add(path, path, digest, set())
    return digest.hexdigest()


def _add(path: Path, root: Path, digest: "hashlib._Hash", above: set[tuple[int, int]]) -> None:
    try:
        found = path.stat()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    name = str(path.relative_to(root))
    # The change time, unlike the modification time, cannot be set by a program that restores it, such as an archiver.
    digest.update(f"{name}\0{found.st_mode}\0{found.st_size}\0{found.st_mtime_ns}\0{found.st_ctime_ns}\n".encode())
    identity = (found.st_dev, found.st_ino)
    if stat.S_ISDIR(found.st_mode) and identity not in above:  # a link may lead to a folder above
        for entry in entries(path, root):
            _add(entry, root, digest, above | {identity})
