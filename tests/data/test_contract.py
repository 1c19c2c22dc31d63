"""Every file of bench/data/sets keeps the contract; a new file is tested without a new test."""

from pathlib import Path

import numpy as np
import pytest

from bench.data import catalog
from bench.data.dataset import Dataset
from bench.data.development import development, facts
from bench.data.held_out import sealed_test
from bench.data.splits import split
from bench.errors import DataError
from bench.records.spec import Budget

NAMES = catalog.names()


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No server answers and no program is found: what is not on this machine already stays away."""
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    for variable in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.fixture
def dataset(name: str, offline: None) -> Dataset:
    try:
        return development(name)
    except DataError:
        pytest.skip(f"{name} is not on this machine: `python -m bench data fetch {name}` gets it")


def test_constants_are_of_the_stated_types(name: str) -> None:
    found = catalog.module(name)
    assert name.replace("_", "").isalnum()
    assert found.TITLE
    assert found.LICENCE
    assert all(isinstance(label, str) for label in found.CLASS_NAMES)
    assert len(found.IMAGE_SHAPE) == 3
    assert len(found.CLASS_NAMES) <= found.N_TEST
    assert isinstance(catalog.default_budget(name), Budget)


def test_two_loads_are_equal(dataset: Dataset) -> None:
    assert development(dataset.name).checksum == dataset.checksum


def test_arrays_cannot_be_changed(dataset: Dataset) -> None:
    with pytest.raises(ValueError, match="read-only"):
        dataset.images[0] = 0
    with pytest.raises(ValueError, match="read-only"):
        dataset.labels[0] = 1


def test_facts_state_the_size_of_the_test_part(dataset: Dataset) -> None:
    assert facts(dataset).n_test == len(sealed_test(dataset.name))


def test_no_test_image_is_a_development_image(dataset: Dataset) -> None:
    seen = {image.tobytes() for image in dataset.images}
    assert not any(image.tobytes() in seen for image in sealed_test(dataset.name).images)


def test_split_covers_each_image_once_and_each_class_alike(dataset: Dataset) -> None:
    train, validation = split(dataset)
    assert np.array_equal(np.sort(np.concatenate([train, validation])), np.arange(len(dataset)))
    shares = [np.bincount(dataset.labels[part], minlength=len(dataset.class_names)) for part in (train, validation)]
    # Stratified: of each class a sixth, give or take the rounding of one image.
    assert np.all(np.abs(shares[0] - 5 * shares[1]) <= 6)
