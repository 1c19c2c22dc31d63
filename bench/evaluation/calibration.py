"""How sure a model is, and whether it may be: a calibrated model is right in 80 % of the cases in which it says 80 %.

Arrays of probabilities have shape (k, n, classes), k seeds and n images. The confidence of an answer is the probability
of the class that is answered. All numbers are of single refits: seeds are pooled, never averaged into one answer.

Source: Guo et al. 2017, On Calibration of Modern Neural Networks, https://arxiv.org/abs/1706.04599.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

BINS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Correctness of similar confidence."""

    low: float  # confidences from here, exclusive, to `high`; in [0, 1]
    high: float
    share: float  # of all answers, in [0, 1]
    confidence: float  # mean, in [0, 1]
    accuracy: float  # share of right answers, in [0, 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What a model's probabilities are worth."""

    expected_calibration_error: float  # mean over answers of |confidence - accuracy| of their bin, in [0, 1]
    brier_score: float  # mean over answers of the squared distance from the one-hot truth, in [0, 2]
    confidence_right: float | None  # mean confidence of right answers; None where there are none
    confidence_wrong: float | None
    bins: tuple[Bin, ...]  # those that hold answers, by confidence


def calibration(probability: FloatArray, labels: IntArray, bins: int = BINS) -> Calibration:
    """Judge the probabilities of one model.

    Args:
        probability: shape (k, n, classes), each row sums to 1.
        labels: true class numbers, shape (n,).
        bins: how many bins of equal width the confidences are sorted into.
    """
    confidence = probability.max(axis=-1).ravel()
    right = (probability.argmax(axis=-1) == labels).ravel()
    found = _bins(confidence, right, bins)
    of_true = probability[:, np.arange(len(labels)), labels]
    # Sum over classes of (p - y)^2, where y is 1 for the true class and else 0.
    brier = (probability**2).sum(axis=-1) - 2 * of_true + 1
    return Calibration(
        expected_calibration_error=sum(one.share * abs(one.confidence - one.accuracy) for one in found),
        brier_score=float(brier.mean()),
        confidence_right=float(confidence[right].mean()) if right.any() else None,
        confidence_wrong=float(confidence[~right].mean()) if not right.all() else None,
        bins=found,
    )


def _bins(confidence: FloatArray, right: NDArray[np.bool_], bins: int) -> tuple[Bin, ...]:
    number = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    counts = np.bincount(number, minlength=bins)
    confidences = np.bincount(number, weights=confidence, minlength=bins)
    rights = np.bincount(number, weights=right, minlength=bins)
    return tuple(
        Bin(
            low=one / bins,
            high=(one + 1) / bins,
            share=float(counts[one] / len(confidence)),
            confidence=float(confidences[one] / counts[one]),
            accuracy=float(rights[one] / counts[one]),
        )
        for one in np.flatnonzero(counts).tolist()
    )
