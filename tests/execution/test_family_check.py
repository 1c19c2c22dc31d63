"""What a check of a family reports about presets."""

import pytest

import search_spaces
from bench.execution.family_check import _coverage
from bench.tuning.presets import PLANS
from bench.tuning.space import count_candidates, parameters
from builders import make_dataset
from search_spaces import FamilyLocation

pytestmark = pytest.mark.slow


def test_coverage_of_a_preset_is_that_of_its_space() -> None:
    from bench.training.check import CandidateCost
    from bench.training.family import Space

    dataset = make_dataset(name="fashion_mnist", image_shape=(28, 28, 1))
    cnn = search_spaces.load("cnn")
    costs = [CandidateCost(parameters=1, multiply_adds=1, step_seconds=1.0)]
    space = cnn(dataset.image_shape, len(dataset.class_names)).space()
    quick, *_ = _coverage(FamilyLocation(name="cnn"), dataset, Space(hyperparameters=space, own_recipe=None), costs)
    limit = PLANS["fashion_mnist", "cnn", "quick"].multiply_adds
    limited = cnn(dataset.image_shape, len(dataset.class_names), multiply_adds=limit).space()
    size, unlimited = (count_candidates(parameters(each)) for each in (limited, space))
    assert size is not None
    assert size != unlimited
    # Hyperband with 4 trials of up to 3 epochs draws 3 candidates for 1 epoch and 2 for 3 epochs.
    assert (quick.candidates, quick.share) == (5, 5 / size)
