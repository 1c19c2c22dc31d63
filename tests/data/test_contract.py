"""The contract that every built-in dataset keeps; a new file in bench/data/sets is tested without a new test."""

from pathlib import Path

import numpy as np
import pytest

from bench.data import catalog
from bench.data.catalog import DatasetLocation
from bench.data.dataset import Dataset
from bench.data.development import facts, load_development
from bench.data.splits import split
from bench.errors import DataError
from held_out import open_test_set


@pytest.fixture(params=catalog.names())
def location(request: pytest.FixtureRequest) -> DatasetLocation:
    return catalog.locate(request.param)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No server answers and no program is found: only files on this machine are used."""
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    for variable in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.fixture
def dataset(location: DatasetLocation, offline: None) -> Dataset:
    try:
        return load_development(location)
    except DataError as error:
        if "was not found" not in str(error):
            raise
        pytest.skip(f"{location.name} is not on this machine: `python -m bench data fetch {location.name}` gets it")


def test_two_loads_are_equal(location: DatasetLocation, dataset: Dataset) -> None:
    assert load_development(location).checksum == dataset.checksum


def test_arrays_cannot_be_changed(dataset: Dataset) -> None:
    with pytest.raises(ValueError, match="read-only"):
        dataset.images[0] = 0
    with pytest.raises(ValueError, match="read-only"):
        dataset.labels[0] = 1


def test_test_set_has_the_stated_size_and_no_development_image(
    location: DatasetLocation, dataset: Dataset, tmp_path: Path
) -> None:
    test = open_test_set(location.name, tmp_path)
    assert facts(location, dataset).n_test == len(test)
    development_images = {image.tobytes() for image in dataset.images}
    assert not any(image.tobytes() in development_images for image in test.images)


def test_split_has_each_image_once_and_is_stratified(dataset: Dataset) -> None:
    train, validation = split(dataset)
    assert np.array_equal(np.sort(np.concatenate([train, validation])), np.arange(len(dataset)))
    counts = [np.bincount(dataset.labels[part], minlength=len(dataset.class_names)) for part in (train, validation)]
    # A sixth of each class, up to rounding by one image.
    assert np.all(np.abs(counts[0] - 5 * counts[1]) <= 6)
