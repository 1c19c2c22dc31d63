"""What several models get wrong on the same images: what all of them miss, and what one mends that another does not."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.integer]


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedError:
    """A test image that every training of every model gets wrong: its label may be wrong instead."""

    index: int  # in the test part
    true: int  # class number of its label
    answer: int  # class that is answered most often
    agreement: float  # share of trainings that answer so, in [0, 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorChange:
    """Images of one class that a model takes for another one, and that a second model mostly gets right."""

    true: int
    taken_for: int
    mended: int  # images that the first model mostly takes for that class and the second mostly gets right
    broken: int  # the other way round

    @property
    def gain(self) -> int:
        """Images that are more right than wrong."""
        return self.mended - self.broken


def shared_errors(answers: Sequence[IntArray], labels: IntArray) -> tuple[SharedError, ...]:
    """Images that nobody gets right, in their order.

    Args:
        answers: of each model, the class numbers that its trainings answer, shape (k, n); k may differ.
        labels: true class numbers, shape (n,).
    """
    said = np.concatenate(answers)
    found = []
    for index in np.flatnonzero((said != labels).all(axis=0)).tolist():
        answer, count = Counter(said[:, index].tolist()).most_common(1)[0]
        found.append(SharedError(index=index, true=int(labels[index]), answer=answer, agreement=count / len(said)))
    return tuple(found)


def mended(worse: IntArray, better: IntArray, labels: IntArray) -> tuple[ErrorChange, ...]:
    """By pairs of classes, which mistakes of one model another does not make, the largest gains first.

    Args:
        worse: class numbers that the first model's trainings answer, shape (k, n).
        better: the second model's, shape (m, n).
        labels: true class numbers, shape (n,).
    """
    usual_worse, usual_better = _usual(worse), _usual(better)
    gained = Counter(_mistakes(usual_worse, labels, usual_better == labels))
    lost = Counter(_mistakes(usual_better, labels, usual_worse == labels))
    found = [
        ErrorChange(true=true, taken_for=answer, mended=gained[true, answer], broken=lost[true, answer])
        for true, answer in gained | lost
    ]
    return tuple(sorted(found, key=lambda one: (-one.gain, -one.mended, one.true, one.taken_for)))


def _usual(answers: IntArray) -> IntArray:
    """The class that most trainings answer for each image, the smaller number of equals; shape (n,)."""
    classes = int(answers.max()) + 1
    counts = np.stack([(answers == number).sum(axis=0) for number in range(classes)])
    found: IntArray = counts.argmax(axis=0)
    return found


def _mistakes(answers: IntArray, labels: IntArray, chosen: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(true, answered) of the mistakes among the chosen images."""
    where = (answers != labels) & chosen
    return list(zip(labels[where].tolist(), answers[where].tolist(), strict=True))
