"""The description of a dataset."""

import json
from dataclasses import asdict

import pytest

from bench.data import catalog
from bench.data.dataset import Dataset
from bench.data.description import Description, describe
from bench.data.development import load_development

DIGITS = catalog.locate("digits")


@pytest.fixture
def dataset() -> Dataset:
    return load_development(DIGITS)


@pytest.fixture
def description(dataset: Dataset) -> Description:
    return describe(DIGITS, dataset)


def test_numbers_of_digits(description: Description) -> None:
    sizes = (description.images, description.n_train, description.n_validation, description.n_test)
    assert sizes == (1437, 1198, 239, 360)
    assert (description.smallest_pixel, description.largest_pixel, description.dtype) == (0, 255, "uint8")
    assert sum(row.images for row in description.classes) == 1437
    assert all(row.images == row.train + row.validation for row in description.classes)


def test_text_shows_every_fact(description: Description, dataset: Dataset) -> None:
    text = description.text()
    for expected in ("8 x 8 x 1 uint8", "1,198 train, 239 validation", "360 images, held out", "0 to 255"):
        assert expected in text
    for expected in (dataset.checksum, dataset.source, dataset.license):
        assert expected in text


def test_fields_can_be_written_as_json(description: Description) -> None:
    assert json.loads(json.dumps(asdict(description)))["classes"][3]["name"] == "3"
