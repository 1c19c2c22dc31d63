"""Splits of the development images into training and validation images, the same for every family.

Also splits off a test set from images that come without one. Byte-equal images are always on the same side.
"""

import numpy as np
from numpy.typing import NDArray

from bench.data.dataset import Dataset
from bench.data.duplicates import first_copies, first_copies_in
from bench.errors import DataError
from bench.seeds import derive_seed
from bench.signals import defer_signals

VALIDATION_DIVISOR = 6  # a sixth of the development images: 10,000 of 60,000
TEST_DIVISOR = 5  # a fifth of the images
MAX_NAMED = 3  # classes in an error message
MIN_DISTINCT = 5  # images of a class, so that a fifth of them is an image

Sides = tuple[NDArray[np.int64], NDArray[np.int64]]


def validation_size(n: int) -> int:
    """Number of validation images among `n` distinct development images: a sixth, rounded down."""
    return n // VALIDATION_DIVISOR


def split(dataset: Dataset, number: int = 0) -> Sides:
    """Sorted indices of the training and the validation images of one split, stratified by class.

    Search k of every family uses split k. Changing seeds, size or algorithm changes the protocol: raise
    `PROTOCOL_VERSION`. If there are duplicates, the share of validation images is a sixth of the distinct images.

    Raises:
        DataError: a class has fewer than two distinct images, or there are fewer validation images than classes.
    """
    copies = first_copies_in(dataset)
    size = validation_size(_distinct(copies))
    try:
        return _split(dataset.labels, copies, size, derive_seed(number, "validation split"))
    except ValueError as error:
        raise DataError(
            f"{dataset.name}: {len(dataset)} images cannot be split by class: {error}. Add images of rare classes"
        ) from error


def split_sizes(dataset: Dataset) -> tuple[int, int]:
    """Number of training and validation images of split 0."""
    if _distinct(first_copies_in(dataset)) < len(dataset):
        train, validation = split(dataset)
        return len(train), len(validation)
    # scikit-learn takes a second to import.
    n_validation = validation_size(len(dataset))
    return len(dataset) - n_validation, n_validation


def split_off_test_set(
    images: NDArray[np.uint8], labels: NDArray[np.int64], names: tuple[str, ...], where: str
) -> Sides:
    """Sorted indices of the development images and of a test set, a fifth of the images, stratified by class.

    Args:
        images: all images.
        labels: their labels, each in [0, number of classes).
        names: class names, by label.
        where: the files, for error messages.

    Raises:
        DataError: a class has fewer than five distinct images.
    """
    copies = first_copies(images)
    distinct = copies == np.arange(len(copies))
    counts = np.bincount(labels[distinct], minlength=len(names))
    smallest = int(counts.argmin())
    if counts[smallest] < MIN_DISTINCT:
        raise DataError(
            f"{where}: class {names[smallest]!r} has {counts[smallest]} distinct "
            f"image{'' if counts[smallest] == 1 else 's'}{_copies_text(labels, copies, names, smallest)}, at least "
            f"{MIN_DISTINCT} are needed to split off a test set: add other images, remove the class, or provide a test "
            "set"
        )
    return _split(labels, copies, int(distinct.sum()) // TEST_DIVISOR, derive_seed(0, "test split"))


def check_splittable(dataset: Dataset) -> None:
    """Check that the development images can be split into training and validation images.

    Raises:
        DataError: a class has fewer than two distinct images, or there are fewer validation images than classes.
    """
    copies = first_copies_in(dataset)
    counts = np.bincount(dataset.labels[copies == np.arange(len(copies))], minlength=len(dataset.class_names))
    smallest = int(counts.argmin())
    if counts[smallest] < 2:
        raise DataError(
            f"{dataset.source}: class {dataset.class_names[smallest]!r} has {counts[smallest]} distinct development "
            f"image{'' if counts[smallest] == 1 else 's'}"
            f"{_copies_text(dataset.labels, copies, dataset.class_names, smallest)}, at least 2 are needed for a "
            "training and a validation image: add other images, or remove the class"
        )
    needed = len(dataset.class_names) * VALIDATION_DIVISOR
    if _distinct(copies) < needed:
        raise DataError(
            f"{dataset.source}: {_distinct(copies)} distinct development images, at least {needed} are needed for one "
            f"validation image for each of {len(dataset.class_names)} classes: add images"
        )


def _distinct(copies: NDArray[np.int64]) -> int:
    return int((copies == np.arange(len(copies))).sum())


def _copies_text(labels: NDArray[np.int64], copies: NDArray[np.int64], names: tuple[str, ...], label: int) -> str:
    """How many images of a class are copies, and of which classes; empty if there are none."""
    members = np.flatnonzero(labels == label)
    repeated = members[copies[members] != members]
    if not repeated.size:
        return ""
    classes = [repr(names[each]) for each in np.unique(labels[copies[repeated]])]
    shown = ", ".join(classes[:MAX_NAMED]) + (", ..." if len(classes) > MAX_NAMED else "")
    return f" ({len(repeated):,} of its {len(members):,} images equal earlier images of {shown})"


def _split(labels: NDArray[np.int64], copies: NDArray[np.int64], size: int, seed: int) -> Sides:
    """Split distinct images, `size` of them to the second side; duplicates follow their first copy."""
    with defer_signals():
        from sklearn.model_selection import train_test_split

    distinct = np.flatnonzero(copies == np.arange(len(copies)))
    _, second = train_test_split(distinct, test_size=size, stratify=labels[distinct], random_state=seed)
    is_second = np.zeros(len(copies), dtype=bool)
    is_second[second] = True
    return np.flatnonzero(~is_second[copies]), np.flatnonzero(is_second[copies])
