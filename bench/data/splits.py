"""Splits of the development images into training and validation images, the same for every family.

Also splits off a test set from images that come without one. Byte-equal images are always on the same side.
"""

import numpy as np
from numpy.typing import NDArray

from bench.data.dataset import Dataset
from bench.data.duplicates import first_copies, first_copies_in
from bench.errors import DataError
from bench.evaluation.text import counted
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
    size = validation_size(len(_distinct(copies)))
    try:
        return _split(dataset.labels, copies, size, derive_seed(number, "validation split"))
    except ValueError as error:
        raise DataError(
            f"{dataset.name}: {len(dataset)} images cannot be split by class: {error}. Add images of rare classes"
        ) from error


def split_sizes(dataset: Dataset) -> tuple[int, int]:
    """Number of training and validation images of split 0."""
    if len(_distinct(first_copies_in(dataset))) < len(dataset):
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
    why = "to split off a test set: add other images, remove the class, or provide a test set"
    _require_distinct(labels, copies, names, where, minimum=MIN_DISTINCT, why=why)
    return _split(labels, copies, len(_distinct(copies)) // TEST_DIVISOR, derive_seed(0, "test split"))


def check_splittable(dataset: Dataset) -> None:
    """Check that the development images can be split into training and validation images.

    Raises:
        DataError: a class has fewer than two distinct images, or there are fewer validation images than classes.
    """
    copies = first_copies_in(dataset)
    where = f"{dataset.source}, development images"
    why = "for a training and a validation image: add other images, or remove the class"
    _require_distinct(dataset.labels, copies, dataset.class_names, where, minimum=2, why=why)
    needed = len(dataset.class_names) * VALIDATION_DIVISOR
    if (found := len(_distinct(copies))) < needed:
        raise DataError(
            f"{dataset.source}: {found} distinct development images, at least {needed} are needed for one "
            f"validation image of each of {len(dataset.class_names)} classes: add images"
        )


def _distinct(copies: NDArray[np.int64]) -> NDArray[np.int64]:
    """The indices of the images that equal no earlier one."""
    return np.flatnonzero(copies == np.arange(len(copies)))


def _require_distinct(
    labels: NDArray[np.int64], copies: NDArray[np.int64], names: tuple[str, ...], where: str, *, minimum: int, why: str
) -> None:
    """Raise a DataError, which ends with `why`, unless every class has `minimum` distinct images."""
    counts = np.bincount(labels[_distinct(copies)], minlength=len(names))
    smallest = int(counts.argmin())
    if counts[smallest] < minimum:
        raise DataError(
            f"{where}: class {names[smallest]!r} has {counted(int(counts[smallest]), 'distinct image')}"
            f"{_copies_text(labels, copies, names, smallest)}, at least {minimum} are needed {why}"
        )


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

    distinct = _distinct(copies)
    _, second = train_test_split(distinct, test_size=size, stratify=labels[distinct], random_state=seed)
    is_second = np.zeros(len(copies), dtype=bool)
    is_second[second] = True
    return np.flatnonzero(~is_second[copies]), np.flatnonzero(is_second[copies])
