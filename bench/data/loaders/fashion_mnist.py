"""Where the bytes of Fashion-MNIST come from: folders of this machine, then the network; always checked."""

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

import numpy as np

from bench.data.dataset import Notify, Part
from bench.data.loaders import fetch, folders, idx
from bench.errors import DataError, StoreError
from bench.records.files import write_atomic

# SHA-256 of the decompressed files, smallest first, so that a cache that cannot be written is noticed early.
FILES: Mapping[str, str] = MappingProxyType(
    {
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    }
)
REPLACE = "Delete it and run `python -m bench data fetch fashion_mnist`."


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where to look, in the order of the fields; what the network gives is kept in `cache`."""

    data_dir: Path | None
    cache: Path
    system: Path  # files of the system package, where it is installed
    keras: Path
    url: str  # Keras' download, ends with /
    package: str  # of Debian and Ubuntu
    files: Mapping[str, str]  # name to SHA-256 of the decompressed bytes
    apt_options: tuple[str, ...] = ()

    @property
    def places(self) -> tuple[tuple[str, Path], ...]:
        """Name and path of each folder to look in."""
        named = (("data folder", self.data_dir),) if self.data_dir else ()
        return (
            *named,
            ("the suite's cache", self.cache),
            ("system package", self.system),
            ("Keras' cache", self.keras),
        )


def default(data_dir: Path | None) -> Sources:
    """Where Fashion-MNIST is looked for on this machine, `data_dir` first."""
    return Sources(
        data_dir=data_dir,
        cache=folders.cache_folder() / "fashion-mnist",
        system=Path("/usr/share/datasets/fashion-mnist"),
        keras=folders.keras_folder() / "datasets" / "fashion-mnist",
        url="https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        package="dataset-fashion-mnist",
        files=FILES,
    )


def read(prefix: str, sources: Sources, notify: Notify) -> Part:
    """The part whose files start with `prefix` ("train" or "t10k"), from the first source that has all four files.

    All four are checked, whichever part is asked for: hours of search must not end at a damaged test file. Of the other
    part nothing but the checksum is looked at.

    Raises:
        DataError: no source has the files, or the first that has them holds other bytes than the published ones.
    """
    folder, source = _locate(sources, notify)
    content = {name: _read_file(folder, name, expected) for name, expected in sources.files.items()}
    images = idx.parse(content[f"{prefix}-images-idx3-ubyte"], f"{prefix}-images in {folder}")
    labels = idx.parse(content[f"{prefix}-labels-idx1-ubyte"], f"{prefix}-labels in {folder}")
    return images[..., np.newaxis], labels, source


def _locate(sources: Sources, notify: Notify) -> tuple[Path, str]:
    # Path.is_dir raises where a parent folder may not be entered.
    if sources.data_dir and not os.path.isdir(sources.data_dir):  # noqa: PTH112
        raise DataError(f"{sources.data_dir} is not a folder: --data-dir or BENCH_DATA_DIR must name one")
    tried = []
    for title, folder in sources.places:
        lacking = [name for name in sources.files if idx.find(folder, name) is None]
        if not lacking:
            return folder, f"{title}, {folder}"
        tried.append(f"{title}, {folder}: {_what_is_there(folder, lacking, sources)}")
        if folder == sources.data_dir:
            notify(f"{tried[-1]}; looking elsewhere")
    ways: tuple[tuple[str, Callable[[Sources, Notify], None]], ...] = (
        (f"download from {urlsplit(sources.url).hostname}", _fetch_from_web),
        (f"Debian package {sources.package}", _fetch_from_debian),
    )
    for title, fetch_into_cache in ways:
        try:
            fetch_into_cache(sources, notify)
        except fetch.Unreachable as error:
            tried.append(f"{title}: {error}")
            notify(tried[-1])
        else:
            return sources.cache, f"the suite's cache, {sources.cache}"
    raise DataError(_nothing_found(tried, sources))


def _what_is_there(folder: Path, lacking: list[str], sources: Sources) -> str:
    if len(lacking) < len(sources.files):
        return f"lacks {', '.join(lacking)}"
    if idx.is_file(folder / "fashion-mnist_train.csv"):
        return "holds the CSV form, which cannot be checked against the published files and is not read"
    return "none of the four files"


def _nothing_found(tried: list[str], sources: Sources) -> str:
    names = ", ".join(f"{name}.gz" for name in sources.files)
    return "\n".join(
        (
            "Fashion-MNIST was not found. Tried in this order:",
            *(f"  - {line}" for line in tried),
            "Any one of these helps:",
            f"  - Debian, Ubuntu: apt-get install {sources.package}",
            f"  - put {names} into a folder, and name it with --data-dir or BENCH_DATA_DIR",
            "  - --dataset digits, which needs no network",
        )
    )


def _read_file(folder: Path, name: str, expected: str) -> bytes:
    path = idx.find(folder, name) or folder / name
    try:
        return idx.checked(path.read_bytes(), expected, str(path))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}. Make it readable, or: {REPLACE}") from error
    except DataError as error:
        raise DataError(f"{error}. {REPLACE}") from error


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
                raise fetch.Unreachable(f"the package lacks {name}")
            _keep(sources.cache / path.name, path.read_bytes(), expected)


def _keep(path: Path, content: bytes, expected: str) -> None:
    try:
        idx.checked(content, expected, f"what came as {path.name}")
        write_atomic(path, content)
    except DataError as error:
        # A proxy's error page is no file of the user's: the next source may still answer.
        raise fetch.Unreachable(str(error)) from error
    except StoreError as error:
        raise DataError(
            f"downloads are kept in {path.parent}, which cannot be written ({error.__cause__ or error}). "
            "Free space, name another cache folder with XDG_CACHE_HOME, or a folder that has the files with --data-dir"
        ) from error
