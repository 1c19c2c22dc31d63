"""Imported datasets on disk: arrays in .npy files, which all processes map into memory, named by their digest.

    imported/<digest>/dataset.json, development-images.npy, development-labels.npy, test-images.npy, test-labels.npy
    imported/paths/<digest of a path and how it is read>.json: which of them its files became

The digest of a dataset is that of dataset.json, which has the checksums of all arrays. Equal content is stored once,
whatever files it came from.
"""

import errno
import hashlib
import math
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.data.dataset import Dataset
from bench.data.loaders import folders
from bench.data.samples import Reading
from bench.errors import DataError, RecordError, StoreError
from bench.records.dataset import DuplicateCounts
from bench.records.encoding import encode, read_json
from bench.records.files import write_atomic

# Raised when the same files give other arrays: another way to decode, to convert, to order or to split off a test set.
IMPORT_VERSION = 3
DIGEST_CHARACTERS = 32
METADATA = "dataset.json"
TEMPORARY = ".import-"  # prefix of folders that are not yet complete
LEFTOVER_SECONDS = 86_400
REMEDY = "Free up space, or choose another folder with XDG_CACHE_HOME"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What is known of an imported dataset without reading its arrays."""

    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]  # height, width, channels
    n_development: int
    n_test: int
    own_test_set: bool  # False if the test set was split off by this suite
    checksum: str  # of the development images and labels
    test_checksum: str
    duplicates: DuplicateCounts


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedPath:
    """Which dataset the files at a path became."""

    fingerprint: str  # of the files
    digest: str


def folder() -> Path:
    """The folder of all imported datasets."""
    return folders.cache_folder() / "imported"


def store(development: Dataset, test: Dataset, duplicates: DuplicateCounts, *, own_test_set: bool) -> str:
    """Store a dataset; returns its digest.

    Raises:
        DataError: the folder cannot be written.
    """
    metadata = Metadata(
        class_names=development.class_names,
        image_shape=development.image_shape,
        n_development=len(development),
        n_test=len(test),
        own_test_set=own_test_set,
        checksum=development.checksum,
        test_checksum=test.checksum,
        duplicates=duplicates,
    )
    content = encode(metadata, Path(METADATA), indent=1)
    digest = _digest(content)
    with writing() as target:
        if (target / digest / METADATA).exists():
            return digest
        _remove_leftovers(target)
        with tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=target) as name:
            temporary = Path(name) / digest
            temporary.mkdir()
            for part, dataset in (("development", development), ("test", test)):
                np.save(temporary / f"{part}-images.npy", dataset.images, allow_pickle=False)
                np.save(temporary / f"{part}-labels.npy", dataset.labels, allow_pickle=False)
            (temporary / METADATA).write_bytes(content)
            _move(temporary, target / digest)
    return digest


def _move(temporary: Path, final: Path) -> None:
    try:
        temporary.rename(final)
    except OSError:
        if (final / METADATA).exists():  # another process was faster
            return
        shutil.rmtree(final)  # what an interrupted deletion left
        temporary.rename(final)


def _remove_leftovers(target: Path) -> None:
    """Remove what killed imports left."""
    for path in target.glob(f"{TEMPORARY}*"):
        with suppress(FileNotFoundError):  # another import has just ended
            if time.time() - path.stat().st_mtime > LEFTOVER_SECONDS:
                shutil.rmtree(path, ignore_errors=True)


def metadata(digest: str) -> Metadata | None:
    """The metadata of an imported dataset; None if it is not on this machine.

    Raises:
        DataError: it is damaged.
    """
    path = folder() / digest / METADATA
    if not path.exists():
        return None
    try:
        found: Metadata = read_json(Metadata, path)
        intact = _digest(path.read_bytes()) == digest
    except (RecordError, OSError) as error:
        raise DataError(f"{error}. {_delete(digest)}") from error
    if not intact:
        raise DataError(f"{path} was changed. {_delete(digest)}")
    return found


def images_and_labels(digest: str, part: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The memory-mapped images and the labels of a part, "development" or "test".

    Raises:
        DataError: a file is missing or damaged.
    """
    try:
        images, labels = (
            np.load(folder() / digest / f"{part}-{kind}.npy", mmap_mode="r", allow_pickle=False)
            for kind in ("images", "labels")
        )
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"the imported dataset {digest} is damaged: {error}. {_delete(digest)}") from error
    return images, np.array(labels)


def remembered(path: Path, reading: Reading) -> ImportedPath | None:
    """The last import of a path; None if there is none that can be read."""
    file = _path_file(path, reading)
    try:
        found: ImportedPath | None = read_json(ImportedPath, file) if file.exists() else None
    except RecordError:
        return None
    return found


def remember(path: Path, reading: Reading, imported: ImportedPath) -> None:
    """Note which dataset a path became.

    Raises:
        DataError: the folder cannot be written.
    """
    file = _path_file(path, reading)
    try:
        write_atomic(file, encode(imported, file))
    except StoreError as error:
        raise DataError(f"cannot write {file}: {error.__cause__ or error}. {REMEDY}") from error


@contextmanager
def writing() -> Iterator[Path]:
    """The folder of all imported datasets, created if needed.

    Raises:
        DataError: it cannot be created or written.
    """
    target = folder()
    try:
        target.mkdir(parents=True, exist_ok=True)
        yield target
    except OSError as error:
        raise DataError(f"cannot write decoded images to {target}: {error.strerror or error}. {REMEDY}") from error


def allocate(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """An array of zeros in a temporary file, which disappears with the array.

    Raises:
        DataError: the folder cannot be written.
    """
    with writing() as target, tempfile.TemporaryFile(dir=target) as file:
        if math.prod(shape) > shutil.disk_usage(target).free:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # now, since filling the array would crash
        return np.memmap(file, dtype=np.uint8, mode="w+", shape=shape)


def _path_file(path: Path, reading: Reading) -> Path:
    key = encode({"path": str(path), "reading": asdict(reading), "version": IMPORT_VERSION}, path)
    return folder() / "paths" / f"{_digest(key)}.json"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:DIGEST_CHARACTERS]


def _delete(digest: str) -> str:
    return f"Delete the folder {folder() / digest} and repeat the command"
