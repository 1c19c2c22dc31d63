"""Calibration: whether a model's confidence matches its accuracy.

The confidence of a prediction is the probability of the predicted class; among predictions made with a confidence of
80%, a calibrated model classifies 80% correctly. Probabilities have shape (k, n, classes) for k seeds and n images.
Predictions of all seeds are pooled, never averaged into an ensemble.

Source: Guo et al. 2017, On Calibration of Modern Neural Networks, https://arxiv.org/abs/1706.04599.
"""

from dataclasses import dataclass

import numpy as np

from bench.evaluation.arrays import BoolArray, FloatArray, IntArray

BINS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityBin:
    """The predictions in one of BINS equally wide bins of a reliability diagram, each without its lower end."""

    fraction: float  # of all predictions; in [0, 1], as are all fields
    confidence: float  # mean
    accuracy: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Calibration metrics of one model."""

    expected_calibration_error: float  # mean over predictions of |confidence - accuracy| of their bin, in [0, 1]
    brier_score: float  # mean over predictions of the squared distance from the one-hot label, in [0, 2]
    mean_confidence_correct: float | None  # over correct predictions; None if there are none
    mean_confidence_incorrect: float | None
    bins: tuple[ReliabilityBin, ...]  # non-empty ones, by confidence


def calibration(probability: FloatArray, labels: IntArray) -> Calibration:
    """Calibration metrics of one model.

    Args:
        probability: shape (k, n, classes); each row sums to 1.
        labels: true class numbers, shape (n,).
    """
    confidence = probability.max(axis=-1).ravel()
    correct = (probability.argmax(axis=-1) == labels).ravel()
    reliability = _reliability_bins(confidence, correct)
    of_true = probability[:, np.arange(len(labels)), labels]
    # Sum over classes of (p - y)^2, where y is 1 for the true class and 0 for the others.
    brier = (probability**2).sum(axis=-1) - 2 * of_true + 1
    return Calibration(
        expected_calibration_error=sum(each.fraction * abs(each.confidence - each.accuracy) for each in reliability),
        brier_score=float(brier.mean()),
        mean_confidence_correct=float(confidence[correct].mean()) if correct.any() else None,
        mean_confidence_incorrect=float(confidence[~correct].mean()) if not correct.all() else None,
        bins=reliability,
    )


def _reliability_bins(confidence: FloatArray, correct: BoolArray) -> tuple[ReliabilityBin, ...]:
    number = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    counts = np.bincount(number)
    confidence_sums = np.bincount(number, weights=confidence)
    correct_counts = np.bincount(number, weights=correct)
    return tuple(
        ReliabilityBin(
            fraction=float(counts[index] / len(confidence)),
            confidence=float(confidence_sums[index] / counts[index]),
            accuracy=float(correct_counts[index] / counts[index]),
        )
        for index in np.flatnonzero(counts).tolist()
    )
