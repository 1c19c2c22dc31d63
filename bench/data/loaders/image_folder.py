"""A folder of images by class: `CLASS/image.png`, or `train/CLASS/image.png` and `test/CLASS/image.png`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.data.dataset import Notify
from bench.data.loaders import confined
from bench.data.loaders.images import EXPECTED_FILES, SUFFIXES, Header, read_header, read_image
from bench.data.samples import Allocate, Reading, Samples, Source
from bench.errors import DataError

TRAIN, VALIDATION, TEST = ("train", "training"), ("val", "valid", "validation"), ("test", "testing")
NOTIFY_EVERY = 20_000  # images
MAX_BYTES = 32 * 2**30  # of all decoded images


@dataclass(frozen=True, slots=True)
class _Labeled:
    path: Path
    label: int


def is_image(path: Path) -> bool:
    """Whether a file has the name of an image."""
    return path.suffix.lower() in SUFFIXES


def read(root: Path, reading: Reading, allocate: Allocate, notify: Notify) -> Source:
    """Read all images of a folder; classes are sorted by name.

    Images of a folder `val/` become development images, since this suite makes its own validation split. If any image
    is in color, all are converted to RGB.

    Raises:
        DataError: the folder has another layout, a file is not an image, or sizes differ and none is asked for.
    """
    parts = _parts(root)
    names = _class_names(root, parts)
    train = [item for folder in parts["train"] for item in _labeled(folder, names, root)]
    test = [item for folder in parts["test"] for item in _labeled(folder, names, root)]
    headers = [read_header(item.path) for item in (*train, *test)]
    channels = 1 if all(header.is_gray for header in headers) else 3
    size = reading.image_size or _common_size([item.path for item in (*train, *test)], headers)
    _check_total(root, (len(headers), *size, channels))

    def decode(items: Sequence[_Labeled], where: str) -> Samples:
        images = allocate((len(items), *size, channels))
        for number, item in enumerate(items):
            images[number] = read_image(item.path, channels, size)
            if (number + 1) % NOTIFY_EVERY == 0:
                notify(f"decoded {number + 1:,} of {len(items):,} images in {where}")
        return Samples(images=images, labels=np.array([item.label for item in items], dtype=np.int64), where=where)

    where = str(root) if not test else f"{root}/train"
    return Source(
        train=decode(train, where),
        test=decode(test, f"{root}/test") if test else None,
        class_names=names,
        grouped=True,
    )


def _parts(root: Path) -> dict[str, list[Path]]:
    """The folders that contain class folders, for training and for testing."""
    subfolders = {path.name.lower(): path for path in confined.entries(root, root) if path.is_dir()}
    # A folder called "train" may also be the class of images of trains.
    splits = {name: path for name, path in subfolders.items() if _has_folders(path, root)}
    train, validation, test = (
        [splits[name] for name in names if name in splits] for names in (TRAIN, VALIDATION, TEST)
    )
    if not train:
        return {"train": [root], "test": []}
    if validation and not test:
        raise DataError(
            f"{root} has the folders {train[0].name}/ and {validation[0].name}/ but no test/: rename "
            f"{validation[0].name}/ to test/ (this suite makes its own validation split)"
        )
    known = {*train, *validation, *test}
    if extra := [path.name for path in subfolders.values() if path not in known]:
        if extra[0].lower() in TEST + VALIDATION:
            raise DataError(
                f"{root}: {extra[0]}/ has no class folders, although {train[0].name}/ has. If only the training images "
                f"have labels, pass the path {train[0]}: a test set is then split off"
            )
        raise DataError(
            f"{root} has the folder {extra[0]}/ next to {train[0].name}/: expected only train/, val/ and test/"
        )
    return {"train": train + validation, "test": test}


def _has_folders(folder: Path, root: Path) -> bool:
    return any(path.is_dir() for path in confined.entries(folder, root))


def _class_names(root: Path, parts: dict[str, list[Path]]) -> tuple[str, ...]:
    def names(folders: Sequence[Path]) -> set[str]:
        return {path.name for folder in folders for path in confined.entries(folder, root) if path.is_dir()}

    train, test = names(parts["train"]), names(parts["test"])
    if not train:
        raise DataError(f"{root} has no class folders: expected {root}/CLASS/IMAGE, one folder per class")
    if len(train) == 1:
        raise DataError(f"{root} has a single class, {min(train)!r}: at least two class folders are needed")
    if parts["test"] and train != test:
        only = min(train ^ test)
        there, missing = ("train", "test") if only in train else ("test", "train")
        raise DataError(
            f"{root}: class {only!r} is in {there}/ but not in {missing}/: both need the same class folders"
        )
    return tuple(sorted(train))


def _labeled(folder: Path, names: Sequence[str], root: Path) -> list[_Labeled]:
    items = []
    for path in confined.entries(folder, root):
        if is_image(path) and path.is_file():
            raise DataError(f"{path} is in no class folder: move it to {folder}/CLASS/{path.name}, or remove it")
    for label, name in enumerate(names):
        images = confined.entries(folder / name, root) if (folder / name).is_dir() else []
        for path in images:
            if path.is_dir():
                raise DataError(
                    f"{folder / name} contains the folder {path.name}/: expected only images; pass {folder}"
                    f"/{name} itself if its folders are the classes"
                )
            if not is_image(path):
                raise DataError(f"{path} is not an image: remove it; {EXPECTED_FILES}")
        if not images and folder.name.lower() not in VALIDATION:
            raise DataError(f"{folder / name} contains no images: add some, or remove the folder")
        items += [_Labeled(path, label) for path in images]
    return items


def _check_total(root: Path, shape: tuple[int, ...]) -> None:
    if (size := math.prod(shape)) > MAX_BYTES:
        raise DataError(
            f"{root}: {shape[0]:,} images of {shape[1]} x {shape[2]} pixels take {size / 2**30:.1f} GiB (at most "
            f"{MAX_BYTES / 2**30:.0f} GiB): make them smaller with --image-size, e.g. --image-size 64x64"
        )


def _common_size(paths: Sequence[Path], headers: Sequence[Header]) -> tuple[int, int]:
    first = headers[0]
    for path, header in zip(paths, headers, strict=True):
        if (header.height, header.width) != (first.height, first.width):
            raise DataError(
                f"{path} has {header.height} x {header.width} pixels, but {paths[0]} has {first.height} x "
                f"{first.width}: resize all images with --image-size, e.g. --image-size 64x64"
            )
    return first.height, first.width
