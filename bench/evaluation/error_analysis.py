"""Errors compared between models: images that every model misclassifies, and errors that one model fixes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.evaluation.arrays import BoolArray

ClassNumbers = NDArray[np.integer]  # of any width


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedError:
    """A test image that every refit of every model misclassifies; its label may be wrong."""

    index: int  # in the test set
    true: int  # class number of the label
    most_common_prediction: int  # class number
    agreement: float  # fraction of refits that predict it, in [0, 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorChange:
    """How often two models predict class `predicted` for images of class `true`, by majority over their refits."""

    true: int
    predicted: int
    fixed: int  # images misclassified this way by the first model and classified correctly by the second
    regressed: int  # the reverse

    @property
    def net_fixed(self) -> int:
        """Errors fixed minus errors introduced."""
        return self.fixed - self.regressed


def shared_errors(predicted: Sequence[ClassNumbers], labels: ClassNumbers) -> tuple[SharedError, ...]:
    """The images that every refit of every model misclassifies, by index.

    Args:
        predicted: for each model, the class numbers its refits predict, shape (k, n); k may differ.
        labels: true class numbers, shape (n,).
    """
    stacked = np.concatenate(predicted)
    shared = []
    for index in np.flatnonzero((stacked != labels).all(axis=0)).tolist():
        prediction, count = Counter(stacked[:, index].tolist()).most_common(1)[0]
        shared.append(
            SharedError(
                index=index,
                true=int(labels[index]),
                most_common_prediction=prediction,
                agreement=count / len(stacked),
            )
        )
    return tuple(shared)


def error_changes(baseline: ClassNumbers, improved: ClassNumbers, labels: ClassNumbers) -> tuple[ErrorChange, ...]:
    """The errors of one model that another fixes or introduces, by pair of classes, largest net improvement first.

    Args:
        baseline: class numbers that the first model's refits predict, shape (k, n).
        improved: the same for the second model, shape (m, n).
        labels: true class numbers, shape (n,).
    """
    before, after = majority(baseline), majority(improved)
    fixed = Counter(_errors(before, labels, after == labels))
    regressed = Counter(_errors(after, labels, before == labels))
    changes = [
        ErrorChange(true=true, predicted=predicted, fixed=fixed[true, predicted], regressed=regressed[true, predicted])
        for true, predicted in fixed | regressed
    ]
    return tuple(sorted(changes, key=lambda change: (-change.net_fixed, -change.fixed, change.true, change.predicted)))


def majority(predicted: ClassNumbers) -> ClassNumbers:
    """The class that most refits predict for each image (the smallest number in a tie), shape (n,)."""
    classes = int(predicted.max(initial=0)) + 1
    counts = np.stack([(predicted == number).sum(axis=0) for number in range(classes)])
    majority: ClassNumbers = counts.argmax(axis=0)
    return majority


def _errors(predicted: ClassNumbers, labels: ClassNumbers, selected: BoolArray) -> list[tuple[int, int]]:
    """(true, predicted) for each error among the selected images."""
    where = (predicted != labels) & selected
    return list(zip(labels[where].tolist(), predicted[where].tolist(), strict=True))
