"""Calibration on answers few enough to check by hand."""

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss

from bench.evaluation.calibration import calibration

LABELS = np.array([0, 1])
# Seed 0 is right with 0.9 and right with 0.6; seed 1 is wrong with 0.7 and right with 0.6.
PROBABILITY = np.array([[[0.9, 0.1], [0.4, 0.6]], [[0.3, 0.7], [0.4, 0.6]]])


def test_expected_calibration_error_is_the_mean_distance_over_answers() -> None:
    found = calibration(PROBABILITY, LABELS)
    # Bins: (0.5, 0.6] two, both right, 0.4 away; (0.6, 0.7] one wrong, 0.7 away; (0.8, 0.9] one right, 0.1 away.
    assert found.expected_calibration_error == pytest.approx((2 * 0.4 + 0.7 + 0.1) / 4)
    assert [(one.fraction, one.accuracy) for one in found.bins] == [(0.5, 1.0), (0.25, 0.0), (0.25, 1.0)]
    assert [one.confidence for one in found.bins] == pytest.approx([0.6, 0.7, 0.9])


def test_brier_score_is_the_squared_distance_from_the_truth() -> None:
    # 2 x 0.1^2, 2 x 0.4^2, 2 x 0.7^2, 2 x 0.4^2: mean 2 x 0.82 / 4.
    assert calibration(PROBABILITY, LABELS).brier_score == pytest.approx(0.41)


def test_brier_score_is_that_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    probability, labels = random.dirichlet(np.ones(4), (1, 50)), random.integers(0, 4, 50)
    expected = brier_score_loss(labels, probability[0], labels=range(4), scale_by_half=False)
    assert calibration(probability, labels).brier_score == pytest.approx(expected)


def test_confidence_is_told_apart_where_right_and_where_wrong() -> None:
    found = calibration(PROBABILITY, LABELS)
    assert found.mean_confidence_correct == pytest.approx((0.9 + 0.6 + 0.6) / 3)
    assert found.mean_confidence_incorrect == pytest.approx(0.7)


def test_faultless_model_has_no_confidence_where_wrong() -> None:
    found = calibration(np.array([[[1.0, 0.0], [0.0, 1.0]]]), LABELS)
    assert (found.mean_confidence_correct, found.mean_confidence_incorrect) == (1.0, None)
    assert (found.expected_calibration_error, found.brier_score) == (0.0, 0.0)
