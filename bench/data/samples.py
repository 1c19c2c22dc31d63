"""Images and labels as files contain them: what a loader of a file format returns, and the checks all of them share."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataError, SpecError

BLOCK_BYTES = 2**25  # arrays are processed in blocks, so that temporary arrays stay small
RESCALE = "rescale all pixels, e.g. by (x - low) / (high - low) with the limits of the training images"
EXPECTED_PIXELS = "expected whole numbers from 0 to 255, or fractions from 0 to 1"

# Takes a shape; returns an array of zeros, in memory or in a temporary file.
Allocate = Callable[[tuple[int, ...]], NDArray[np.uint8]]


@dataclass(frozen=True, slots=True)
class Reading:
    """How the user wants files to be read."""

    image_size: tuple[int, int] | None = None  # height, width; None to keep the size
    class_names: tuple[str, ...] = ()  # in the order of the labels; empty for the names that the files contain

    def __post_init__(self) -> None:
        size = self.image_size
        if size is None:
            return
        if not isinstance(size, tuple) or len(size) != 2 or not all(isinstance(n, int) and n > 0 for n in size):
            raise SpecError(f"image_size must be (height, width), two positive whole numbers, got {size!r}")


UNCHANGED = Reading()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Samples:
    """Images uint8 (n, height, width, channels) and labels int64 (n,)."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    where: str  # the files they come from, for error messages


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Source:
    """The content of the files of a dataset."""

    train: Samples
    test: Samples | None  # None if the files do not name a test set
    class_names: tuple[str, ...] = ()  # empty if the files have none
    grouped: bool = False  # whether the images are in the order of their classes, in several parts of the files


def as_pixels(values: NDArray[Any], where: str) -> NDArray[np.uint8]:
    """Convert pixels of any number type to whole numbers from 0 to 255; fractions from 0 to 1 are scaled.

    Raises:
        DataError: a value is not a number, not finite, out of range, or a fraction above 1.
    """
    if values.dtype == np.uint8:
        return values
    if values.dtype.kind not in "biuf":
        raise DataError(f"{where} has pixels of type {values.dtype}: {EXPECTED_PIXELS}")
    scale = pixel_scale(values, where)
    pixels = np.empty(values.shape, np.uint8)
    for block in blocks(values):
        pixels[block] = np.rint(values[block] * scale)
    return pixels


def pixel_scale(values: NDArray[Any], where: str) -> int:
    """255 for fractions from 0 to 1 and for booleans, 1 for whole numbers from 0 to 255.

    Raises:
        DataError: a value is not finite, out of range, or a fraction above 1.
    """
    if values.dtype.kind in "bu" and values.dtype.itemsize == 1:
        return 255 if values.dtype.kind == "b" else 1
    largest, first_fraction = 0.0, ""
    for block in blocks(values):
        part = values[block]
        _refuse(~np.isfinite(part), values, block, where, "replace it, or remove the image")
        _refuse((part < 0) | (part > 255), values, block, where, RESCALE)
        largest = max(largest, float(part.max(initial=0)))
        if not first_fraction and (fractions := part != np.rint(part)).any():
            first_fraction = _first(fractions, values, block, where)
    if largest > 1 and first_fraction:
        raise DataError(f"{first_fraction}, although other pixels are larger than 1: {EXPECTED_PIXELS}: {RESCALE}")
    return 255 if values.dtype.kind == "f" and largest <= 1 else 1


def blocks(values: NDArray[Any]) -> Iterator[slice]:
    """Parts of an array along its first axis, of BLOCK_BYTES or a single row."""
    rows = max(1, BLOCK_BYTES * len(values) // max(1, values.nbytes))
    return (slice(start, start + rows) for start in range(0, len(values), rows))


def _refuse(invalid: NDArray[np.bool_], values: NDArray[Any], block: slice, where: str, advice: str) -> None:
    if invalid.any():
        raise DataError(f"{_first(invalid, values, block, where)}: {EXPECTED_PIXELS}: {advice}")


def _first(selected: NDArray[np.bool_], values: NDArray[Any], block: slice, where: str) -> str:
    index = np.argwhere(selected)[0]
    index[0] += block.start
    return f"{where}[{', '.join(map(str, index))}] is {values[tuple(index)]:g}"


def as_labels(values: NDArray[Any], where: str) -> NDArray[np.int64]:
    """Convert labels of shape (n,) or (n, 1) to int64.

    Raises:
        DataError: they have another shape, or one of them is not a whole number.
    """
    expected = "expected whole numbers from 0 to the number of classes minus 1, one per image"
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        hint = "; for one-hot labels, store labels.argmax(axis=1)" if values.ndim == 2 else ""
        raise DataError(f"{where} has labels of shape {values.shape}: {expected}{hint}")
    if values.dtype.kind not in "biuf":
        found = f", such as {values.tolist()[0]!r}" if len(values) else ""
        raise DataError(f"{where} has labels of type {values.dtype}{found}: {expected}")
    if values.dtype.kind == "f":
        invalid = np.flatnonzero(~np.isfinite(values) | (values != np.rint(values)))
        if len(invalid):
            raise DataError(f"{where}[{invalid[0]}] is {values[invalid[0]]:g}: {expected}")
    return values.astype(np.int64)


def as_images(values: NDArray[np.uint8], where: str, size: tuple[int, int] | None) -> NDArray[np.uint8]:
    """Give pixels the shape (n, height, width, channels).

    Args:
        values: (n, height, width), (n, height, width, channels), or rows of pixels (n, height * width * channels) of
            square images unless `size` says otherwise.
        where: the array's name in error messages.
        size: height and width of --image-size, if it was given.

    Raises:
        DataError: they have another shape.
    """
    if values.ndim == 2:
        return values.reshape(-1, *row_shape(values.shape[1], where, size))
    if values.ndim == 3:
        values = values[..., np.newaxis]
    if values.ndim != 4 or values.shape[-1] not in (1, 3, 4) or 0 in values.shape[1:]:
        hint = "; move the channels to the last axis" if values.ndim == 4 and values.shape[1] in (1, 3) else ""
        raise DataError(
            f"{where} has images of shape {values.shape}: expected (images, height, width) or (images, height, "
            f"width, channels) with 1, 3 or 4 channels{hint}"
        )
    return values


def row_shape(pixels: int, where: str, size: tuple[int, int] | None) -> tuple[int, int, int]:
    """Height, width and channels of an image that is stored as a row of pixels, channels last.

    Raises:
        DataError: it is not square, gray or RGB, and `size` does not fit either.
    """
    for channels in (1, 3):
        if size is not None and size[0] * size[1] * channels == pixels:
            return *size, channels
    for channels in (1, 3):
        side = round((pixels / channels) ** 0.5)
        if pixels and side * side * channels == pixels:
            return side, side, channels
    raise DataError(
        f"{where} has {pixels:,} values per image: expected those of square images, height * width or "
        "height * width * 3; for others, pass --image-size HEIGHTxWIDTH"
    )


def check_same_length(images: NDArray[Any], labels: NDArray[Any], where: str) -> None:
    """Check that there is one label per image, and at least one image.

    Raises:
        DataError: there is not.
    """
    if len(images) != len(labels):
        raise DataError(
            f"{where}: {len(images):,} images but {len(labels):,} labels: one label per image is needed: check "
            "that both are from the same files"
        )
    if len(images) == 0:
        raise DataError(f"{where}: no images")


def class_names(source: Source, asked: Sequence[str]) -> tuple[str, ...]:
    """The names of the classes: those that the user asked for, else those in the files, else the labels as text.

    Raises:
        DataError: the labels have gaps, there is a single class, a part lacks a class, or the names do not fit.
    """
    labels = source.train.labels
    smallest, largest = int(labels.min()), int(labels.max())
    if smallest < 0:
        raise DataError(f"{source.train.where}: label {smallest}: labels must be 0 or larger")
    if largest >= len(labels):
        raise DataError(
            f"{source.train.where}: label {largest}, but there are {len(labels)} images: labels must be 0 to the "
            "number of classes minus 1"
        )
    known = source.class_names
    if any(name in known and known.index(name) != label for label, name in enumerate(asked)):
        raise DataError(
            f"{source.train.where}: the classes are {', '.join(known)}, in the order of the labels, but --class-names "
            f"is {', '.join(asked)}: remove it, or give the names in that order"
        )
    given = tuple(asked) or known
    classes = max(len(given), largest + 1)
    for part in filter(None, (source.train, source.test)):
        _check_classes(part, classes, given, is_train=part is source.train)
    names = given or tuple(map(str, range(classes)))
    if len(names) != classes:
        raise DataError(
            f"{source.train.where} has {classes} classes, but {len(names)} class names were given: "
            f"{', '.join(names)}: give one name per class"
        )
    if len(set(names)) != len(names) or not all(names):
        raise DataError(f"class names must be distinct and not empty, got {', '.join(map(repr, names))}")
    if classes < 2:
        raise DataError(
            f"{source.train.where} has a single class, {names[0]!r}: at least two are needed: check "
            "the labels, or add images of another class"
        )
    return names


def _check_classes(part: Samples, classes: int, names: Sequence[str], *, is_train: bool) -> None:
    if (invalid := part.labels[(part.labels < 0) | (part.labels >= classes)]).size:
        raise DataError(
            f"{part.where}: label {invalid[0]}, but the training labels are 0 to {classes - 1}: remove the images with "
            "this label, or add training images with it"
        )
    missing = np.flatnonzero(np.bincount(part.labels, minlength=classes) == 0)
    if missing.size:
        first = int(missing[0])
        name = f" ({names[first]})" if names and first < len(names) else ""
        if is_train and first == 0 and missing.size == 1:
            hint = "labels start at 0, subtract 1 from all of them"
        elif names or not is_train:
            hint = "add images with this label"
        else:
            hint = "add images with this label, or renumber the labels, e.g. by np.unique(y, return_inverse=True)[1]"
        raise DataError(
            f"{part.where}: no image has label {first}{name}, labels must be 0 to {classes - 1} without gaps: {hint}"
        )
