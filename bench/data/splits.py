"""Splits of the development images into training and validation images, the same for every family."""

import numpy as np
from numpy.typing import NDArray

from bench.data.dataset import Dataset
from bench.errors import DataError
from bench.seeds import derive_seed

VALIDATION_DIVISOR = 6  # a sixth of the development images: 10,000 of 60,000


def validation_size(n: int) -> int:
    """Number of validation images among `n` development images: a sixth, rounded down."""
    return n // VALIDATION_DIVISOR


def split(dataset: Dataset, number: int = 0) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sorted indices of the training and the validation images of one split, stratified by class.

    Search k of every family uses split k. Changing seeds, size or algorithm changes the protocol: raise
    `PROTOCOL_VERSION`.

    Raises:
        DataError: a class has fewer than two images, or there are fewer validation images than classes.
    """
    # scikit-learn takes a second to import, and facts() needs only the sizes.
    from sklearn.model_selection import train_test_split

    try:
        train, validation = train_test_split(
            np.arange(len(dataset), dtype=np.int64),
            test_size=validation_size(len(dataset)),
            stratify=dataset.labels,
            random_state=derive_seed(number, "validation split"),
        )
    except ValueError as error:
        raise DataError(
            f"{dataset.name}: {len(dataset)} images cannot be split by class: {error}. Add images of rare classes"
        ) from error
    return np.sort(train), np.sort(validation)
