"""NumPy's .npz files with the arrays of images and labels; pickles in them are never loaded."""

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.data.loaders.bounded import MAX_BYTES
from bench.data.samples import Reading, Samples, Source, as_images, as_labels, as_pixels, check_same_length, pixel_scale
from bench.errors import DataError

# Names of arrays, in lower case; the first is Keras' own.
PARTS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "train": (("x_train", "y_train"), ("train_images", "train_labels"), ("images_train", "labels_train")),
    "validation": (("x_val", "y_val"), ("x_valid", "y_valid"), ("val_images", "val_labels")),
    "test": (("x_test", "y_test"), ("test_images", "test_labels"), ("images_test", "labels_test")),
    "all": (("x", "y"), ("images", "labels"), ("data", "labels"), ("data", "target"), ("arr_0", "arr_1")),
}
CLASS_NAMES = "class_names"
EXPECTED = (
    "expected x_train, y_train, x_test and y_test, or x and y, also called train_images and train_labels, images "
    "and labels and so on"
)


def read(path: Path, reading: Reading, limit: int = MAX_BYTES) -> Source:
    """Read the arrays of a file; validation images become development images.

    Raises:
        DataError: the file is damaged, too large or contains pickles, or an array is missing or invalid.
    """
    arrays = _arrays(path, limit)
    names = _class_names(arrays, path)
    found = {part: pair for part in PARTS if (pair := _pair(arrays, part)) is not None}
    train, test = found.get("train") or found.get("all"), found.get("test")
    if train is None:
        raise DataError(f"{path} contains {', '.join(arrays) or 'nothing'}: {EXPECTED}")
    samples = _samples(arrays, train, path, reading)
    if "validation" in found:
        samples = _joined(samples, _samples(arrays, found["validation"], path, reading))
    if test is not None:
        _check_same_scale(arrays[train[0]], arrays[test[0]], f"{path}: {train[0]}", f"{path}: {test[0]}")
    return Source(
        train=samples,
        test=None if test is None else _samples(arrays, test, path, reading),
        class_names=names,
    )


def _arrays(path: Path, limit: int) -> dict[str, NDArray[Any]]:
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > limit:
            raise DataError(
                f"{path} expands to {size / 2**30:.3g} GiB (at most {limit / 2**30:.3g} GiB): use a folder of images"
            )
        with np.load(path, allow_pickle=False) as file:
            return {name: _array(file, name, path) for name in file.files}
    except (OSError, zipfile.BadZipFile, ValueError, EOFError) as error:
        raise DataError(f"{path} is not an .npz file: {error}: expected a file written by numpy.savez") from error


def _array(file: Mapping[str, NDArray[Any]], name: str, path: Path) -> NDArray[Any]:
    try:
        values = file[name]
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error, SyntaxError, MemoryError) as error:
        if "allow_pickle" in str(error):
            raise DataError(
                f"{path}: {name} is an array of Python objects, which is never loaded: expected an array of numbers, "
                "e.g. np.stack(images) of images of one size"
            ) from error
        raise DataError(f"{path}: {name} is damaged: {error}: replace the file") from error
    if not isinstance(values, np.ndarray):
        raise DataError(f"{path}: {name} is not an array: {EXPECTED}")
    return values


def _class_names(arrays: Mapping[str, NDArray[Any]], path: Path) -> tuple[str, ...]:
    names = arrays.get(CLASS_NAMES)
    if names is None:
        return ()
    if names.ndim != 1 or names.dtype.kind != "U":
        raise DataError(
            f"{path}: {CLASS_NAMES} must be an array (classes,) of strings, got {names.dtype} {names.shape}"
        )
    return tuple(map(str, names))


def _pair(arrays: Mapping[str, NDArray[Any]], part: str) -> tuple[str, str] | None:
    """The names of the arrays of images and labels of a part, in their own spelling."""
    by_lower_case = {name.lower(): name for name in arrays}
    for images, labels in PARTS[part]:
        if images in by_lower_case and labels in by_lower_case:
            return by_lower_case[images], by_lower_case[labels]
    return None


def _samples(arrays: Mapping[str, NDArray[Any]], names: tuple[str, str], path: Path, reading: Reading) -> Samples:
    return as_samples(arrays[names[0]], arrays[names[1]], (f"{path}: {names[0]}", f"{path}: {names[1]}"), reading)


def as_samples(images: NDArray[Any], labels: NDArray[Any], names: tuple[str, str], reading: Reading) -> Samples:
    """Check and convert an array of images and an array of labels, called `names` in error messages.

    Raises:
        DataError: one of them is invalid.
    """
    pixels = as_images(as_pixels(images, names[0]), names[0], reading.image_size)
    checked = as_labels(labels, names[1])
    check_same_length(pixels, checked, names[0])
    return Samples(images=pixels, labels=checked, where=names[0])


def _check_same_scale(train: NDArray[Any], test: NDArray[Any], train_name: str, test_name: str) -> None:
    if pixel_scale(train, train_name) != pixel_scale(test, test_name):
        raise DataError(
            f"{train_name} and {test_name} differ in scale: one has fractions from 0 to 1, the other whole numbers "
            "from 0 to 255: store both in the same way"
        )


def _joined(first: Samples, second: Samples) -> Samples:
    if first.images.shape[1:] != second.images.shape[1:]:
        raise DataError(
            f"{first.where} has images of shape {first.images.shape[1:]}, {second.where} of {second.images.shape[1:]}: "
            "both must have the same shape"
        )
    return Samples(
        images=np.concatenate([first.images, second.images]),
        labels=np.concatenate([first.labels, second.labels]),
        where=first.where,
    )
