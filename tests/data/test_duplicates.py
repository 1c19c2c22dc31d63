"""Byte-equal images are found and counted, and never straddle a split that the suite makes."""

import numpy as np
import pytest

from bench.data.dataset import Dataset
from bench.data.duplicates import count, first_copies
from bench.data.splits import split, split_off_test_set, split_sizes
from bench.errors import DataError
from bench.records.dataset import DuplicateCounts
from image_files import noise, tiny_dataset

NAMES = ("a", "b")


def dataset(copies: list[int]) -> Dataset:
    return tiny_dataset(images=noise(max(copies) + 1, 3, 3, 1)[copies], labels=np.array(copies) % 2)


def test_first_copies() -> None:
    assert first_copies(noise(3, 2, 2, 1)[[0, 1, 0, 2, 1]]).tolist() == [0, 1, 0, 3, 1]


def test_no_images_have_no_first_copies() -> None:
    assert first_copies(np.zeros((0, 2, 2, 1), np.uint8)).tolist() == []


def test_counts() -> None:
    images = noise(5, 2, 2, 1)
    # Development: 0 again, twice. Test: 3 again; 1 twice is in development, both count.
    counts = count(images[[0, 1, 0, 0, 2]], images[[3, 3, 1, 1, 4]])
    assert counts == DuplicateCounts(development=2, test=2, shared=2)


@pytest.mark.parametrize("number", range(5))
def test_duplicates_are_on_one_side_of_every_validation_split(number: int) -> None:
    copies = [*range(60), *range(0, 60, 3), *range(0, 60, 7), *[5] * 9]
    data = dataset(copies)
    train, validation = split(data, number)
    assert sorted([*train, *validation]) == list(range(len(copies)))
    identities = np.array(copies)
    assert not set(identities[train]) & set(identities[validation])
    assert len(set(identities[validation])) == 10  # a sixth of 60 distinct images


def test_split_without_duplicates_does_not_depend_on_the_pixels() -> None:
    # Published records rely on it: only labels and number decide.
    one, other = dataset(list(range(60))), dataset(list(range(60)))
    object.__setattr__(other, "images", noise(60, 3, 3, 1, seed=9))
    assert split(one)[1].tolist() == split(other)[1].tolist()


def test_sizes_are_those_of_the_split() -> None:
    for copies in ([*range(60)], [*range(60), *range(30)]):
        data = dataset(copies)
        assert split_sizes(data) == tuple(map(len, split(data)))


def test_duplicates_are_on_one_side_of_the_test_split() -> None:
    copies = np.array([*range(50), *range(0, 50, 2), *[7] * 20])
    images = noise(50, 3, 3, 1)[copies]
    development, test = split_off_test_set(images, copies % 2, NAMES, "files")
    assert sorted([*development, *test]) == list(range(len(copies)))
    assert not set(copies[development]) & set(copies[test])
    assert len(set(copies[test])) == 10  # a fifth of 50


def test_test_split_is_stratified_and_the_same_every_time() -> None:
    images, labels = noise(100, 3, 3, 1), np.arange(100) // 80
    _, test = split_off_test_set(images, labels, NAMES, "files")
    assert np.bincount(labels[test]).tolist() == [16, 4]
    assert np.array_equal(test, split_off_test_set(images, labels, NAMES, "files")[1])
    assert np.array_equal(test, np.sort(test))


def test_class_without_enough_distinct_images_is_named() -> None:
    images = noise(40, 3, 3, 1)
    images[36:] = images[36]
    labels = (np.arange(40) >= 33).astype(int)  # seven images of b, four of them distinct
    expected = (
        r"files: class 'b' has 4 distinct images \(3 of its 7 images equal earlier images of 'b'\), at least 5 are "
        "needed to split off a test set: add other images"
    )
    with pytest.raises(DataError, match=expected):
        split_off_test_set(images, labels, NAMES, "files")
    images[33:] = images[0]
    with pytest.raises(DataError, match=r"has 0 distinct images \(7 of its 7 images equal earlier images of 'a'\)"):
        split_off_test_set(images, labels, NAMES, "files")


@pytest.mark.parametrize("classes", range(2, 12))
def test_smallest_allowed_classes_are_in_the_test_set(classes: int) -> None:
    labels = np.repeat(np.arange(classes), [5] * (classes - 1) + [9])
    _, test = split_off_test_set(noise(len(labels), 3, 3, 1), labels, tuple(map(str, range(classes))), "files")
    assert set(labels[test]) == set(range(classes))
