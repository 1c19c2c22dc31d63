"""A dataset's definition is validated when it is built, and what its loaders return when it is loaded."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bench.data import DatasetDefinition
from bench.errors import DataError

IMAGES = np.zeros((4, 2, 2, 1), dtype=np.uint8)
LABELS = np.array([0, 1, 1, 0])


def make(**changes: Any) -> DatasetDefinition:
    fields: dict[str, Any] = {
        "title": "Tiny",
        "class_names": ("a", "b"),
        "license": "CC0",
        "image_shape": (2, 2, 1),
        "n_test": 2,
        "development": lambda _: (IMAGES, LABELS, "a test"),
        "test": lambda _: (IMAGES, LABELS, "a test"),
    }
    return DatasetDefinition(**fields | changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"title": ""}, "title must be text, got ''"),
        ({"license": None}, "license must be text, got None"),
        (
            {"class_names": ["a", "b"]},
            r"class_names must be a tuple of at least two distinct strings, got \[",
        ),
        ({"class_names": "ab"}, "class_names must be"),
        ({"class_names": ("a",)}, "class_names must be"),
        ({"class_names": ("a", "a")}, "class_names must be"),
        ({"class_names": (0, 1)}, "class_names must be"),
        ({"image_shape": (28, 28)}, r"image_shape must be a tuple \(height, width, channels\)"),
        ({"image_shape": (28, 28, 0)}, "image_shape must be"),
        ({"image_shape": (2.0, 2, 1)}, "image_shape must be"),
        ({"n_test": 1}, "n_test must be a whole number, at least one image for each of 2 classes, got 1"),
        ({"n_test": 2.5}, "n_test must be"),
        ({"development": None}, "development must be a function, got None"),
        ({"test": "test"}, "test must be a function"),
    ],
)
def test_invalid_definition_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=f"DatasetDefinition: {message}"):
        make(**changes)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (None, r"a loader must return \(images, labels, source\): two arrays and a string, got NoneType"),
        ((IMAGES, LABELS), r"got \['ndarray', 'ndarray'\]"),
        ((IMAGES, [0, 1, 1, 0], "a test"), r"got \['ndarray', 'list', 'str'\]"),
        ((IMAGES.reshape(4, 4, 1, 1), LABELS, "a test"), r"image_shape is \(2, 2, 1\), but .* are \(4, 1, 1\)"),
    ],
)
def test_invalid_arrays_are_refused(returned: Any, message: str) -> None:
    with pytest.raises(DataError, match=f"tiny: .*{message}"):
        make().assemble("tiny", returned)


def test_subclass_of_an_array_is_an_array() -> None:
    assert len(make().assemble("tiny", (np.zeros((4, 2, 2, 1), np.uint8).view(np.memmap), LABELS, "a test"))) == 4


def test_definition_can_be_varied() -> None:
    assert replace(make(), title="Other").title == "Other"
