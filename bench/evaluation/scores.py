"""Metrics of one model, computed from its stored predictions and nothing else.

The first axis of every array of predictions is the seed, k: one refit each. A mean over seeds is the mean of the k
scores, never the score of an ensemble of the k models.

Definitions are those of scikit-learn, and tests compare the two. The metrics are computed here, for all seeds at once,
because scikit-learn's argument checks would dominate the time of a report over a thousand runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.errors import MetricError
from bench.evaluation.arrays import BoolArray, FloatArray, IntArray
from bench.evaluation.calibration import Calibration, calibration
from bench.records.predictions import Predictions

MACRO, WEIGHTED = AVERAGES = "macro average", "weighted average"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassReport:
    """Scores per class, followed by the macro and weighted averages: arrays of length classes + 2, means over seeds."""

    names: tuple[str, ...]
    precision: FloatArray  # in [0, 1], as are recall and f1; undefined ratios are 0
    recall: FloatArray
    f1: FloatArray
    support: IntArray  # test images; all of them for the averages

    @property
    def hardest(self) -> list[str]:
        """The class with the lowest recall, or several that share it."""
        recall = self.recall[: -len(AVERAGES)].round(9)  # equal means over seeds may differ in their last digits
        return [self.names[number] for number in np.flatnonzero(recall == recall.min())]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfusedPair:
    """Two classes that a model confuses."""

    a: str
    b: str
    a_as_b: int  # images of class a predicted as b; at least b_as_a
    b_as_a: int
    share: float  # of all errors in both directions, in [0, 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Misclassification:
    """A test image that the mean prediction over seeds misclassifies."""

    index: int  # in the test set
    true: int  # class number of the label
    predicted: int  # class with the largest mean probability over seeds
    probability: float  # that mean, in [0, 1]
    wrong_seeds: int  # number of refits that misclassify it individually


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """All metrics of one model."""

    correct: BoolArray  # (k, n)
    macro_f1: float  # mean over seeds, in [0, 1]
    log_loss: float  # mean over seeds, in nats
    by_class: ClassReport
    confusion: IntArray  # counts summed over seeds, row = true class; divided by k, the mean matrix of one refit
    misclassifications: tuple[Misclassification, ...]  # in the order of the stored images
    predicted: IntArray  # class numbers predicted by each refit, (k, n)
    calibration: Calibration

    @property
    def accuracy(self) -> float:
        """Mean over seeds, in [0, 1]."""
        return float(self.correct.mean())

    @property
    def accuracy_by_seed(self) -> FloatArray:
        """In [0, 1], shape (k,)."""
        accuracies: FloatArray = self.correct.mean(axis=1)
        return accuracies


def score(predictions: Predictions, probability: FloatArray, names: Sequence[str]) -> Scores:
    """All metrics of one model.

    Args:
        predictions: of its refits.
        probability: `probabilities` of these predictions, which the caller needs, too.
        names: class names.

    Raises:
        MetricError: the shapes are inconsistent, or a label is out of range.
    """
    labels = predictions.labels
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
        misclassifications=misclassifications(probability, labels, predictions.wrong_indices),
        predicted=predicted,
        calibration=calibration(probability, labels),
    )


def _check(probability: FloatArray, labels: IntArray, names: Sequence[str]) -> None:
    if probability.ndim != 3 or probability.shape[1:] != (len(labels), len(names)) or 0 in probability.shape:
        raise MetricError(
            f"log-probabilities must have shape (seeds, {len(labels)} labels, {len(names)} classes), "
            f"got {probability.shape}"
        )
    if labels.min() < 0 or labels.max() >= len(names):
        raise MetricError(f"labels must be in 0 to {len(names) - 1}, got {labels.min()} to {labels.max()}")


def probabilities(log_probabilities: NDArray[np.float16]) -> FloatArray:
    """Probabilities in float64, same shape, renormalized to undo the rounding to float16.

    Raises:
        MetricError: a value is not finite.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # invalid values become NaN and are reported below
        probability: FloatArray = np.exp(log_probabilities.astype(np.float64))
        probability /= probability.sum(axis=-1, keepdims=True)
    if not np.isfinite(probability).all():
        raise MetricError("log-probabilities contain non-finite values: the output of the model was not finite")
    return probability


def log_loss(probability: FloatArray, labels: IntArray) -> FloatArray:
    """Mean negative log-probability of the true class for each seed, shape (k,), in nats."""
    # Clipped as in scikit-learn, so that a single image cannot make the loss infinite.
    eps = np.finfo(np.float64).eps
    of_true = probability[:, np.arange(len(labels)), labels].clip(eps, 1 - eps)
    loss: FloatArray = -np.log(of_true).mean(axis=1)
    return loss


def confusion(predicted: IntArray, labels: IntArray, classes: int) -> IntArray:
    """Confusion matrices for each seed, shape (k, classes, classes), row = true class, column = predicted class.

    Args:
        predicted: class numbers, shape (k, n).
        labels: true class numbers, shape (n,).
        classes: number of classes.
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
    correct, true, predicted = confusions.diagonal(axis1=1, axis2=2), confusions.sum(axis=2), confusions.sum(axis=1)
    numerator, denominator = np.stack([correct, correct, 2 * correct]), np.stack([predicted, true, true + predicted])
    by_class = np.divide(numerator, denominator, out=np.zeros(numerator.shape), where=denominator > 0)
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
    """The unordered pairs of classes that are confused most often, most errors first; pairs without errors are omitted.

    Args:
        confusion: counts, shape (classes, classes), row = true class, column = predicted class.
        names: class names, length `classes`.
        top: maximum number of pairs.

    Raises:
        MetricError: the shape of `confusion` is not (classes, classes).
    """
    if confusion.shape != (len(names), len(names)):
        raise MetricError(f"confusion must have shape ({len(names)}, {len(names)}), got {confusion.shape}")
    errors = (confusion - np.diag(np.diag(confusion))).tolist()
    total = max(sum(map(sum, errors)), 1)
    pairs = [
        ConfusedPair(a=names[a], b=names[b], a_as_b=count, b_as_a=errors[b][a], share=(count + errors[b][a]) / total)
        for a, row in enumerate(errors)
        for b, count in enumerate(row)
        if count > 0 and (count, b) > (errors[b][a], a)
    ]
    return tuple(sorted(pairs, key=lambda pair: -(pair.a_as_b + pair.b_as_a))[:top])


def misclassifications(probability: FloatArray, labels: IntArray, indices: IntArray) -> tuple[Misclassification, ...]:
    """Describe the predictions for the test images `indices` by their mean probability over seeds."""
    selected = probability[:, indices]
    predicted = selected.argmax(axis=-1)
    return tuple(
        Misclassification(
            index=int(index),
            true=int(labels[index]),
            predicted=int(mean.argmax()),
            probability=float(mean.max()),
            wrong_seeds=int((by_seed != labels[index]).sum()),
        )
        for index, mean, by_seed in zip(indices, selected.mean(axis=0), predicted.T, strict=True)
    )
