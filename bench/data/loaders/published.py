"""Published datasets: find their files on this machine, or else download them; checksums are always verified."""

import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from bench.data.dataset import DataAccess, LabeledImages, Notify
from bench.data.held_out import TestSetAccess, check_access
from bench.data.loaders import fetch, idx
from bench.data.loaders.folders import is_dir
from bench.errors import DataError, StoreError
from bench.records.files import write_atomic

Pixels = NDArray[np.uint8]
Labels = NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSet(ABC):
    """The files of one form in which a dataset is published."""

    files: Mapping[str, str]  # name to checksum; the smallest first, so that an unwritable cache is noticed early
    url: str | None = None  # where they can be downloaded, ends with /; None if they cannot
    spellings: Mapping[str, tuple[str, ...]] | None = None  # other names of a file

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the files."""
        return tuple(self.files)

    def find(self, folder: Path, name: str) -> Path | None:
        """The file `name` in a folder, in any of its spellings, compressed or not."""
        found = (idx.find(folder, spelling) for spelling in (name, *(self.spellings or {}).get(name, ())))
        return next((path for path in found if path is not None), None)

    @abstractmethod
    def read(self, folder: Path, *, test: bool, remedy: str) -> tuple[Pixels, Labels]:
        """Verify all files; return the test set or the development images.

        Raises:
            DataError: a file is damaged or differs from the published one; the message ends with `remedy`.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedFiles(FileSet):
    """Files that are verified byte for byte before they are parsed.

    Their checksums are SHA-256 of the decompressed bytes, or of the file as published.
    """

    parse: Callable[[Mapping[str, bytes], str, bool], tuple[Pixels, Labels]]  # decompressed content, folder, test

    def read(self, folder: Path, *, test: bool, remedy: str) -> tuple[Pixels, Labels]:
        """Verify all files, then parse them."""
        # All are verified, whichever are needed, so that hours of search do not end at a damaged test file.
        content = {name: self._verified(folder, name, remedy) for name in self.files}
        return self.parse(content, str(folder), test)

    def _verified(self, folder: Path, name: str, remedy: str) -> bytes:
        path = self.find(folder, name) or folder / name
        try:
            return idx.checked(path.read_bytes(), self.files[name], str(path))
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror}. Make it readable, or: {remedy}") from error
        except DataError as error:
            raise DataError(f"{error}. {remedy}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where to look, in the order of the fields; downloads are stored in `cache`."""

    title: str  # for readers
    name: str  # of the dataset, for advice
    data_dir: Path | None
    cache: Path
    system: Path | None = None  # files of the system package, if it is installed
    keras: Path | None = None
    file_sets: tuple[FileSet, ...]  # the preferred form first
    package: str | None = None  # of Debian and Ubuntu
    apt_options: tuple[str, ...] = ()

    @property
    def local_folders(self) -> dict[str, Path]:
        """The folders to search, by title."""
        places = {
            "data folder": self.data_dir,
            "download cache": self.cache,
            "system package": self.system,
            "Keras' cache": self.keras,
        }
        return {title: folder for title, folder in places.items() if folder is not None}

    def remedy(self, folder: Path) -> str:
        """What to do with a file in `folder` that is damaged or another one."""
        fetch = f"run `python -m bench data fetch {self.name}`."
        if folder == self.data_dir:  # files of MNIST, Fashion-MNIST and Kuzushiji-MNIST have the same names
            choose = f"Choose the folder of {self.title} with --data-dir or BENCH_DATA_DIR"
            return f"{choose}, or remove the file and {fetch}"
        return f"Delete it and {fetch}"


def load_development(access: DataAccess, sources: Sources) -> LabeledImages:
    """The images published for training, in their published order.

    Raises:
        DataError: no source has all files, or the first one that does fails the checksums.
    """
    return _read(sources, access.notify, test=False)


def load_test(access: TestSetAccess, sources: Sources) -> LabeledImages:
    """The images published for testing, in their published order; otherwise like `load_development`."""
    check_access(access)
    return _read(sources, access.notify, test=True)


def parse_idx(content: Mapping[str, bytes], folder: str, test: bool) -> tuple[Pixels, Labels]:
    """Images and labels of the four IDX files of MNIST and its relatives."""
    prefix = "t10k" if test else "train"
    images = idx.parse(content[f"{prefix}-images-idx3-ubyte"], f"{prefix}-images in {folder}")
    labels = idx.parse(content[f"{prefix}-labels-idx1-ubyte"], f"{prefix}-labels in {folder}")
    return images[..., np.newaxis], labels


def _read(sources: Sources, notify: Notify, *, test: bool) -> LabeledImages:
    folder, file_set, source = _locate(sources, notify)
    return *file_set.read(folder, test=test, remedy=sources.remedy(folder)), source


def _locate(sources: Sources, notify: Notify) -> tuple[Path, FileSet, str]:
    if sources.data_dir and not is_dir(sources.data_dir):
        raise DataError(f"--data-dir or BENCH_DATA_DIR must name a folder, got {sources.data_dir}")
    failures = []
    for title, folder in sources.local_folders.items():
        for file_set in sources.file_sets:
            if not _missing(file_set, folder):
                return folder, file_set, f"{title}, {folder}"
        failures.append(f"{title}, {folder}: {_folder_content(folder, sources)}")
        if folder == sources.data_dir:
            notify(f"{failures[-1]}; trying other sources")
    for title, file_set, fetch_into_cache in _downloads(sources):
        try:
            fetch_into_cache(sources, file_set, notify)
        except fetch.Unreachable as error:
            failures.append(f"{title}: {error}")
            notify(failures[-1])
        else:
            return sources.cache, file_set, f"download cache, {sources.cache}"
    raise DataError(_not_found(failures, sources))


def _missing(file_set: FileSet, folder: Path) -> list[str]:
    return [name for name in file_set.names if file_set.find(folder, name) is None]


def _folder_content(folder: Path, sources: Sources) -> str:
    for file_set in sources.file_sets:
        if len(missing := _missing(file_set, folder)) < len(file_set.names):
            return f"{', '.join(missing)} missing"
    return "none of the files"


def _downloads(sources: Sources) -> "list[tuple[str, FileSet, Callable[[Sources, FileSet, Notify], None]]]":
    """Title, form and function of each download to try."""
    downloads: list[tuple[str, FileSet, Callable[[Sources, FileSet, Notify], None]]] = [
        (f"download from {urlsplit(file_set.url).hostname}", file_set, _fetch_from_web)
        for file_set in sources.file_sets
        if file_set.url is not None
    ]
    if sources.package is not None:
        downloads.append((f"Debian package {sources.package}", sources.file_sets[0], _fetch_from_debian))
    return downloads


def _not_found(failures: list[str], sources: Sources) -> str:
    install = [f"Debian, Ubuntu: apt-get install {sources.package}"] if sources.package else []
    forms = " or ".join(", ".join(map(_published_name, file_set.names)) for file_set in sources.file_sets)
    return "\n".join(
        (
            f"{sources.title} was not found. Tried, in this order:",
            *(f"  - {failure}" for failure in failures),
            "Do one of these:",
            *(f"  - {line}" for line in install),
            f"  - put {forms} into a folder and pass it with --data-dir or BENCH_DATA_DIR",
            "  - use --dataset digits, which needs no download",
        )
    )


def _published_name(name: str) -> str:
    """The name under which a file is published: IDX files are compressed."""
    return f"{name}.gz" if name.endswith("-ubyte") else name


def _fetch_from_web(sources: Sources, file_set: FileSet, notify: Notify) -> None:
    host = urlsplit(file_set.url or "").hostname
    for name in file_set.names:
        if file_set.find(sources.cache, name) is None:
            published = _published_name(name)
            notify(f"downloading {published} from {host}")
            _keep(sources.cache / published, fetch.from_web(f"{file_set.url}{published}"), file_set, name)


def _fetch_from_debian(sources: Sources, file_set: FileSet, notify: Notify) -> None:
    with tempfile.TemporaryDirectory(prefix="bench-data-") as unpacked:
        fetch.from_debian(str(sources.package), Path(unpacked), notify, sources.apt_options)
        folder = Path(unpacked) / "usr/share/datasets" / str(sources.package).removeprefix("dataset-")
        for name in file_set.names:
            path = file_set.find(folder, name)
            if path is None:
                raise fetch.Unreachable(f"{name} is missing from the package")
            _keep(sources.cache / path.name, path.read_bytes(), file_set, name)


def _keep(path: Path, content: bytes, file_set: FileSet, name: str) -> None:
    try:
        if isinstance(file_set, VerifiedFiles):
            idx.checked(content, file_set.files[name], f"the downloaded {path.name}")
        write_atomic(path, content)
    except DataError as error:
        # A proxy's error page, for example: the next source may still work.
        raise fetch.Unreachable(str(error)) from error
    except StoreError as error:
        raise DataError(
            f"cannot write downloads to {path.parent}: {error.__cause__ or error}. "
            "Free up space, choose another cache folder with XDG_CACHE_HOME, or use --data-dir to pass a folder that "
            "contains the files"
        ) from error
