"""What predictions are worth: every published metric, from a prediction file's arrays and nothing else.

Arrays of predictions start with the axis of seeds, k: one refit of the winner each. A mean over seeds is the mean of
the k scores, never the score of the k models voting together.

All are scikit-learn's by definition, and held against them by tests. They are computed here, for all seeds at once,
since scikit-learn's checks of its arguments take many times as long: too long for a report over a thousand runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.errors import MetricError
from bench.evaluation.calibration import Calibration, calibration
from bench.records.predictions import Predictions

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MACRO, WEIGHTED = "macro average", "weighted average"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassReport:
    """Of each class, then of the macro and the weighted average: arrays of length classes + 2, means over seeds."""

    names: tuple[str, ...]
    precision: FloatArray  # in [0, 1], as are recall and f1; undefined ratios count as 0
    recall: FloatArray
    f1: FloatArray
    support: IntArray  # test images; of the averages, all


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfusedPair:
    """Two classes that are mistaken for each other."""

    a: str
    b: str
    a_as_b: int  # images of class a that were called b; never less than b_as_a
    b_as_a: int
    share: float  # of all errors, in [0, 1]

    @property
    def errors(self) -> int:
        """In both directions."""
        return self.a_as_b + self.b_as_a


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One test image that all seeds together get wrong."""

    index: int  # in the test part
    true: int
    predicted: int  # class with the largest mean probability over seeds
    probability: float  # that mean, in [0, 1]
    wrong_seeds: int  # how many refits get it wrong, each by itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """All that the reports say of one model's predictions."""

    correct: BoolArray  # (k, n)
    macro_f1: float  # mean over seeds, in [0, 1]
    log_loss: float  # mean over seeds, in nats
    by_class: ClassReport
    confusion: IntArray  # counts summed over seeds, row = true class; divided by k it is the mean matrix of one refit
    mistakes: tuple[Mistake, ...]  # in the order of the stored images
    answers: IntArray  # class numbers that each refit answers, (k, n)
    calibration: Calibration

    @property
    def accuracy(self) -> float:
        """Mean over seeds, in [0, 1]."""
        return float(self.correct.mean())


def score(predictions: Predictions, names: Sequence[str]) -> Scores:
    """Every metric of one model.

    Args:
        predictions: what its refits said of the test part.
        names: class names, length `classes`.

    Raises:
        MetricError: the arrays do not fit together, or hold something other than log-probabilities.
    """
    labels = predictions.labels
    probability = probabilities(predictions.log_probabilities)
    _check(probability, labels, names)
    predicted = predictions.log_probabilities.argmax(axis=-1)
    confusions = confusion(predicted, labels, len(names))
    by_class = class_report(confusions, names)
    return Scores(
        correct=predicted == labels,
        macro_f1=float(by_class.f1[len(names)]),
        log_loss=float(log_loss(probability, labels).mean()),
        by_class=by_class,
        confusion=confusions.sum(axis=0),
        mistakes=mistakes(probability, labels, predictions.wrong_indices),
        answers=predicted,
        calibration=calibration(probability, labels),
    )


def _check(probability: FloatArray, labels: IntArray, names: Sequence[str]) -> None:
    if probability.ndim != 3 or probability.shape[1:] != (len(labels), len(names)) or 0 in probability.shape:
        raise MetricError(
            f"log-probabilities must have shape (seeds, {len(labels)} labels, {len(names)} classes), "
            f"got {probability.shape}"
        )
    if labels.min() < 0 or labels.max() >= len(names):
        raise MetricError(f"labels must lie in 0 to {len(names) - 1}, got {labels.min()} to {labels.max()}")


def probabilities(log_probabilities: NDArray[np.float16]) -> FloatArray:
    """Probabilities in float64, same shape, made to sum to one again, which rounding to float16 had undone.

    Raises:
        MetricError: a value is not a number.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # what is no probability ends as NaN
        found: FloatArray = np.exp(log_probabilities.astype(np.float64))
        found /= found.sum(axis=-1, keepdims=True)
    if not np.isfinite(found).all():
        raise MetricError("log-probabilities hold values that are not numbers: the model's output was not finite")
    return found


def log_loss(probability: FloatArray, labels: IntArray) -> FloatArray:
    """Mean negative logarithm of the true class's probability for each seed, shape (k,), in nats."""
    # No probability counts as less than this, as in scikit-learn, so that one image cannot cost infinitely much.
    least = np.finfo(np.float64).eps
    of_true = probability[:, np.arange(len(labels)), labels].clip(least, 1 - least)
    found: FloatArray = -np.log(of_true).mean(axis=1)
    return found


def confusion(predicted: IntArray, labels: IntArray, classes: int) -> IntArray:
    """Counts for each seed, shape (k, classes, classes), row = true class, column = predicted class.

    Args:
        predicted: class numbers, shape (k, n).
        labels: true class numbers, shape (n,).
        classes: how many there are.
    """
    k = len(predicted)
    cells = (np.arange(k)[:, None] * classes + labels) * classes + predicted
    return np.bincount(cells.ravel(), minlength=k * classes**2).reshape(k, classes, classes)


def class_report(confusions: IntArray, names: Sequence[str]) -> ClassReport:
    """Precision, recall, F1 and support.

    Args:
        confusions: counts, shape (k, classes, classes), row = true class, column = predicted class.
        names: class names, length `classes`.
    """
    right, true, called = confusions.diagonal(axis1=1, axis2=2), confusions.sum(axis=2), confusions.sum(axis=1)
    part, whole = np.stack([right, right, 2 * right]), np.stack([called, true, true + called])
    by_class = np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0)
    support = true[0]
    averages = [np.average(by_class, axis=-1, weights=weights) for weights in (None, support)]
    precision, recall, f1 = np.concatenate([by_class, np.stack(averages, axis=-1)], axis=-1).mean(axis=1)
    return ClassReport(
        names=(*names, MACRO, WEIGHTED),
        precision=precision,
        recall=recall,
        f1=f1,
        support=np.append(support, [support.sum()] * 2),
    )


def confused_pairs(confusion: IntArray, names: Sequence[str], top: int) -> tuple[ConfusedPair, ...]:
    """The unordered class pairs that are mistaken for each other most often.

    Args:
        confusion: counts, shape (classes, classes), row = true class, column = predicted class.
        names: class names, length `classes`.
        top: how many pairs at most.

    Returns:
        Those with the most errors first; pairs without an error are left out.

    Raises:
        MetricError: `confusion` is not square, or its side is not `len(names)`.
    """
    if confusion.shape != (len(names), len(names)):
        raise MetricError(f"confusion must have shape ({len(names)}, {len(names)}), got {confusion.shape}")
    wrong = (confusion - np.diag(np.diag(confusion))).tolist()
    all_errors = max(sum(map(sum, wrong)), 1)
    found = [
        ConfusedPair(a=names[a], b=names[b], a_as_b=count, b_as_a=wrong[b][a], share=(count + wrong[b][a]) / all_errors)
        for a, row in enumerate(wrong)
        for b, count in enumerate(row)
        if count > 0 and (count, b) > (wrong[b][a], a)
    ]
    return tuple(sorted(found, key=lambda pair: -pair.errors)[:top])


def mistakes(probability: FloatArray, labels: IntArray, indices: IntArray) -> tuple[Mistake, ...]:
    """What was said of the test images `indices`, by the mean of the seeds' probabilities."""
    shown = probability[:, indices]
    predicted = shown.argmax(axis=-1)
    return tuple(
        Mistake(
            index=int(index),
            true=int(labels[index]),
            predicted=int(mean.argmax()),
            probability=float(mean.max()),
            wrong_seeds=int((said != labels[index]).sum()),
        )
        for index, mean, said in zip(indices, shown.mean(axis=0), predicted.T, strict=True)
    )
