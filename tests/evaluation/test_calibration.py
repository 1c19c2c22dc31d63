"""Calibration of a few predictions, checked by hand."""

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss

from bench.evaluation.calibration import calibration

LABELS = np.array([0, 1])
# Seed 0 is correct with confidence 0.9 and 0.6; seed 1 is wrong with 0.7 and correct with 0.6.
PROBABILITY = np.array([[[0.9, 0.1], [0.4, 0.6]], [[0.3, 0.7], [0.4, 0.6]]])


def test_expected_calibration_error_is_the_mean_gap_over_predictions() -> None:
    result = calibration(PROBABILITY, LABELS)
    # Bins: (0.5, 0.6] two, both correct, gap 0.4; (0.6, 0.7] one wrong, gap 0.7; (0.8, 0.9] one correct, gap 0.1.
    assert result.expected_calibration_error == pytest.approx((2 * 0.4 + 0.7 + 0.1) / 4)
    assert [(each.fraction, each.accuracy) for each in result.bins] == [(0.5, 1.0), (0.25, 0.0), (0.25, 1.0)]
    assert [each.confidence for each in result.bins] == pytest.approx([0.6, 0.7, 0.9])


def test_brier_score_is_the_squared_distance_from_the_one_hot_label() -> None:
    # 2 x 0.1^2, 2 x 0.4^2, 2 x 0.7^2, 2 x 0.4^2: mean 2 x 0.82 / 4.
    assert calibration(PROBABILITY, LABELS).brier_score == pytest.approx(0.41)


def test_brier_score_equals_that_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    probability, labels = random.dirichlet(np.ones(4), (1, 50)), random.integers(0, 4, 50)
    expected = brier_score_loss(labels, probability[0], labels=range(4), scale_by_half=False)
    assert calibration(probability, labels).brier_score == pytest.approx(expected)


def test_mean_confidence_is_split_by_correctness() -> None:
    result = calibration(PROBABILITY, LABELS)
    assert result.mean_confidence_correct == pytest.approx((0.9 + 0.6 + 0.6) / 3)
    assert result.mean_confidence_incorrect == pytest.approx(0.7)


def test_model_without_errors_has_no_confidence_of_errors() -> None:
    result = calibration(np.array([[[1.0, 0.0], [0.0, 1.0]]]), LABELS)
    assert (result.mean_confidence_correct, result.mean_confidence_incorrect) == (1.0, None)
    assert (result.expected_calibration_error, result.brier_score) == (0.0, 0.0)
