"""What predictions are worth: every published metric, from a prediction file's arrays and nothing else.

Arrays of predictions start with the axis of seeds, k: one refit of the winner each. A mean over seeds is the mean of
the k scores, never the score of the k models voting together.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn import metrics as sk

from bench.errors import MetricError
from bench.predictions import Predictions

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MACRO, WEIGHTED = "macro average", "weighted average"


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
    by_class: pd.DataFrame  # class_report()
    confusion: IntArray  # confusion()
    mistakes: tuple[Mistake, ...]  # in the order of the stored images

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
    by_class = class_report(predicted, labels, names)
    return Scores(
        correct=predicted == labels,
        macro_f1=float(by_class.loc[MACRO, "f1"]),  # type: ignore[arg-type]
        log_loss=float(log_loss(probability, labels).mean()),
        by_class=by_class,
        confusion=confusion(predicted, labels, len(names)),
        mistakes=mistakes(probability, labels, predictions.wrong_indices),
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
    found: FloatArray = softmax(log_probabilities.astype(np.float64), axis=-1)
    if not np.isfinite(found).all():
        raise MetricError("log-probabilities hold values that are not numbers: the model's output was not finite")
    return found


def log_loss(probability: FloatArray, labels: IntArray) -> FloatArray:
    """Mean negative logarithm of the true class's probability for each seed, shape (k,), in nats."""
    classes = range(probability.shape[-1])
    return np.array([sk.log_loss(labels, one, labels=classes) for one in probability])


def class_report(predicted: IntArray, labels: IntArray, names: Sequence[str]) -> pd.DataFrame:
    """Precision, recall and F1 in [0, 1] and support, each the mean over seeds; undefined ratios count as 0.

    Args:
        predicted: class numbers, shape (k, n).
        labels: true class numbers, shape (n,).
        names: class names.

    Returns:
        Columns precision, recall, f1, support; one row a class, then `macro average` and `weighted average`.
    """
    per_seed = np.mean([_one_report(one, labels, len(names)) for one in predicted], axis=0)
    return pd.DataFrame(
        per_seed, index=[*names, MACRO, WEIGHTED], columns=["precision", "recall", "f1", "support"]
    ).astype({"support": int})


def _one_report(predicted: IntArray, labels: IntArray, classes: int) -> FloatArray:
    """Rows as in `class_report`, shape (classes + 2, 4), of one seed."""
    scores = sk.precision_recall_fscore_support(labels, predicted, labels=range(classes), zero_division=0.0)
    by_class = np.column_stack(scores)
    averages = [np.average(by_class, axis=0, weights=weights) for weights in (None, by_class[:, 3])]
    found = np.vstack([by_class, *averages])
    found[classes:, 3] = len(labels)
    return found


def confusion(predicted: IntArray, labels: IntArray, classes: int) -> IntArray:
    """Counts summed over seeds, shape (classes, classes), row = true class, column = predicted class.

    Summed, since sums stay whole numbers; divided by k it is the mean matrix of one refit.
    """
    every_label = np.broadcast_to(labels, predicted.shape)
    found: IntArray = sk.confusion_matrix(every_label.ravel(), predicted.ravel(), labels=range(classes))
    return found


def confused_pairs(confusion: IntArray, names: Sequence[str], top: int) -> pd.DataFrame:
    """The unordered class pairs that are mistaken for each other most often.

    Args:
        confusion: counts, shape (classes, classes), row = true class, column = predicted class.
        names: class names, length `classes`.
        top: how many pairs at most.

    Returns:
        One row a pair, most errors first, pairs without an error left out: columns `a`, `b` (a_as_b >= b_as_a),
        `a_as_b`, `b_as_a`, `errors`, `share` (of all errors, in [0, 1]).

    Raises:
        MetricError: `confusion` is not square, or its side is not `len(names)`.
    """
    if confusion.shape != (len(names), len(names)):
        raise MetricError(f"confusion must have shape ({len(names)}, {len(names)}), got {confusion.shape}")
    wrong = confusion - np.diag(np.diag(confusion))
    pairs = [
        (names[a], names[b], int(wrong[a, b]), int(wrong[b, a]), int(wrong[a, b] + wrong[b, a]))
        for a in range(len(names))
        for b in range(len(names))
        if a != b and (wrong[a, b], b) > (wrong[b, a], a)
    ]
    found = pd.DataFrame(pairs, columns=["a", "b", "a_as_b", "b_as_a", "errors"])
    found["share"] = found["errors"] / max(int(wrong.sum()), 1)
    found = found[found["errors"] > 0].sort_values("errors", ascending=False, kind="stable")
    return found.head(top).reset_index(drop=True)


def mistakes(probability: FloatArray, labels: IntArray, indices: IntArray) -> tuple[Mistake, ...]:
    """What was said of the test images `indices`, by the mean of the seeds' probabilities."""
    predicted = probability.argmax(axis=-1)
    return tuple(
        Mistake(
            index=int(index),
            true=int(labels[index]),
            predicted=int(mean.argmax()),
            probability=float(mean.max()),
            wrong_seeds=int((predicted[:, index] != labels[index]).sum()),
        )
        for index, mean in zip(indices, probability[:, indices].mean(axis=0), strict=True)
    )
