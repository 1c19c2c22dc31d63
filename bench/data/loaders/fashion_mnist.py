"""Load Fashion-MNIST from local folders, or else download it; checksums are always verified."""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

import numpy as np

from bench.data.dataset import DataAccess, LabeledImages, Notify
from bench.data.held_out import TestSetAccess, check_access
from bench.data.loaders import fetch, folders, idx
from bench.errors import DataError, StoreError
from bench.records.files import write_atomic

# SHA-256 of the decompressed files, smallest first, so that an unwritable cache is noticed early.
FILES: Mapping[str, str] = MappingProxyType(
    {
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    }
)
REMEDY = "Delete it and run `python -m bench data fetch fashion_mnist`."


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where to look, in the order of the fields; downloads are stored in `cache`."""

    data_dir: Path | None
    cache: Path
    system: Path  # files of the system package, if it is installed
    keras: Path
    url: str  # Keras' download, ends with /
    package: str  # of Debian and Ubuntu
    files: Mapping[str, str]  # name to SHA-256 of the decompressed bytes
    apt_options: tuple[str, ...] = ()

    @property
    def local_folders(self) -> dict[str, Path]:
        """The folders to search, by title."""
        data_dir = {"data folder": self.data_dir} if self.data_dir else {}
        return {
            **data_dir,
            "download cache": self.cache,
            "system package": self.system,
            "Keras' cache": self.keras,
        }


def default(data_dir: Path | None) -> Sources:
    """The sources of Fashion-MNIST for this machine, `data_dir` first."""
    return Sources(
        data_dir=data_dir,
        cache=folders.cache_folder() / "fashion-mnist",
        system=Path("/usr/share/datasets/fashion-mnist"),
        keras=folders.keras_folder() / "datasets" / "fashion-mnist",
        url="https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        package="dataset-fashion-mnist",
        files=FILES,
    )


def load_development(access: DataAccess, sources: Sources | None = None) -> LabeledImages:
    """The 60,000 images published for training, in their published order.

    Args:
        access: names the user's data folder.
        sources: where to look; None for `default`.

    Raises:
        DataError: no source has all four files, or the first one that does fails the checksums.
    """
    return _read("train", sources or default(access.data_dir), access.notify)


def load_test(access: TestSetAccess, sources: Sources | None = None) -> LabeledImages:
    """The 10,000 images published for testing, in their published order; otherwise like `load_development`."""
    check_access(access)
    return _read("t10k", sources or default(access.data_dir), access.notify)


def _read(prefix: str, sources: Sources, notify: Notify) -> LabeledImages:
    # All four files are verified, whichever are needed, so that hours of search do not end at a damaged test file. The
    # other two are only hashed.
    folder, source = _locate(sources, notify)
    content = {name: _read_file(folder, name, expected) for name, expected in sources.files.items()}
    images = idx.parse(content[f"{prefix}-images-idx3-ubyte"], f"{prefix}-images in {folder}")
    labels = idx.parse(content[f"{prefix}-labels-idx1-ubyte"], f"{prefix}-labels in {folder}")
    return images[..., np.newaxis], labels, source


def _locate(sources: Sources, notify: Notify) -> tuple[Path, str]:
    # Path.is_dir raises an error if a parent folder is not accessible.
    if sources.data_dir and not os.path.isdir(sources.data_dir):  # noqa: PTH112
        raise DataError(f"--data-dir or BENCH_DATA_DIR must name a folder, got {sources.data_dir}")
    failures = []
    for title, folder in sources.local_folders.items():
        missing = [name for name in sources.files if idx.find(folder, name) is None]
        if not missing:
            return folder, f"{title}, {folder}"
        failures.append(f"{title}, {folder}: {_folder_content(folder, missing, sources)}")
        if folder == sources.data_dir:
            notify(f"{failures[-1]}; trying other sources")
    downloads = {
        f"download from {urlsplit(sources.url).hostname}": _fetch_from_web,
        f"Debian package {sources.package}": _fetch_from_debian,
    }
    for title, fetch_into_cache in downloads.items():
        try:
            fetch_into_cache(sources, notify)
        except fetch.Unreachable as error:
            failures.append(f"{title}: {error}")
            notify(failures[-1])
        else:
            return sources.cache, f"download cache, {sources.cache}"
    raise DataError(_not_found(failures, sources))


def _folder_content(folder: Path, missing: list[str], sources: Sources) -> str:
    if len(missing) < len(sources.files):
        return f"{', '.join(missing)} missing"
    if idx.is_file(folder / "fashion-mnist_train.csv"):
        return "contains the CSV version, which cannot be verified against the published files and is not supported"
    return "none of the four files"


def _not_found(failures: list[str], sources: Sources) -> str:
    names = ", ".join(f"{name}.gz" for name in sources.files)
    return "\n".join(
        (
            "Fashion-MNIST was not found. Tried, in this order:",
            *(f"  - {failure}" for failure in failures),
            "Do one of these:",
            f"  - Debian, Ubuntu: apt-get install {sources.package}",
            f"  - put {names} into a folder and pass it with --data-dir or BENCH_DATA_DIR",
            "  - use --dataset digits, which needs no download",
        )
    )


def _read_file(folder: Path, name: str, expected: str) -> bytes:
    path = idx.find(folder, name) or folder / name
    try:
        return idx.checked(path.read_bytes(), expected, str(path))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}. Make it readable, or: {REMEDY}") from error
    except DataError as error:
        raise DataError(f"{error}. {REMEDY}") from error


def _fetch_from_web(sources: Sources, notify: Notify) -> None:
    host = urlsplit(sources.url).hostname
    for name, expected in sources.files.items():
        if idx.find(sources.cache, name) is None:
            notify(f"downloading {name}.gz from {host}")
            _keep(sources.cache / f"{name}.gz", fetch.from_web(f"{sources.url}{name}.gz"), expected)


def _fetch_from_debian(sources: Sources, notify: Notify) -> None:
    with tempfile.TemporaryDirectory(prefix="bench-data-") as unpacked:
        fetch.from_debian(sources.package, Path(unpacked), notify, sources.apt_options)
        folder = Path(unpacked) / "usr/share/datasets/fashion-mnist"
        for name, expected in sources.files.items():
            path = idx.find(folder, name)
            if path is None:
                raise fetch.Unreachable(f"{name} is missing from the package")
            _keep(sources.cache / path.name, path.read_bytes(), expected)


def _keep(path: Path, content: bytes, expected: str) -> None:
    try:
        idx.checked(content, expected, f"the downloaded {path.name}")
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
