"""The split of the development images."""

import hashlib

import numpy as np
import pytest

from bench.data import catalog
from bench.data.dataset import Dataset
from bench.data.development import load_development
from bench.data.splits import split, validation_size
from bench.errors import DataError
from image_files import tiny_dataset


def with_labels(labels: list[int]) -> Dataset:
    images = np.arange(4 * len(labels), dtype=np.uint8).reshape(-1, 2, 2, 1)  # distinct
    return tiny_dataset(images=images, labels=np.array(labels))


def test_a_sixth_is_for_validation() -> None:
    assert validation_size(60_000) == 10_000


def test_split_is_stratified_and_sorted() -> None:
    dataset = with_labels([0, 1] * 12)
    train, validation = split(dataset)
    # 24 images: 4 for validation, 2 of each class.
    assert dataset.labels[validation].tolist().count(0) == 2
    assert len(validation) == 4
    assert train.tolist() == sorted(set(range(24)) - set(validation.tolist()))


def test_class_with_one_image_is_refused() -> None:
    with pytest.raises(DataError, match="tiny: 24 images cannot be split by class"):
        split(with_labels([0] * 23 + [1]))


def test_split_of_digits_is_that_of_protocol_1() -> None:
    # A change here makes older scores incomparable: raise bench.records.spec.PROTOCOL_VERSION with them.
    _, validation = split(load_development(catalog.locate("digits")))
    digest = hashlib.sha256(validation.astype("<i8").tobytes()).hexdigest()
    assert digest == "056a04d44652166215d309cfbf09124e1e622e072a0a43336811e8f4bdd03015"
