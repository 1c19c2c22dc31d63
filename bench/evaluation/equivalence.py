"""Accuracy before and after a change of software: equivalent, worse, better, or inconclusive.

The verdict is the first of these that holds:

    equivalent       the 90% interval of the difference lies within half a point: two one-sided tests at 5% (TOST)
    worse, better    its 95% interval excludes 0
    inconclusive     neither; reports how many more seeds would decide if the estimates stay the same, or that no number
                     of seeds would, since the test set is too small

The p-values of both tests are adjusted by Holm's method over all comparisons made together.

Source: Schuirmann 1987, https://doi.org/10.1007/BF01068419; intervals as in bench.evaluation.comparison.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from bench.evaluation.arrays import BoolArray
from bench.evaluation.comparison import LEVEL, Difference, holm, paired_difference
from bench.evaluation.variance import Correctness, Variance

EQUIVALENCE_MARGIN = 0.005  # of accuracy, in either direction
EQUIVALENCE_LEVEL = 0.9
MAX_SEEDS = 200  # in total

Verdict = Literal["equivalent", "worse", "better", "inconclusive"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyChange:
    """The accuracy with the newer version minus that with the older one."""

    difference: Difference  # with an unadjusted p-value
    identical: bool  # each refit classifies the same images correctly as before
    low: float  # of the 90% interval, a fraction in [-1, 1], as is high
    high: float
    p_equivalent: float  # adjusted; null hypothesis: the difference is at least EQUIVALENCE_MARGIN in one direction
    p_different: float  # adjusted; null hypothesis: no difference
    additional_seeds: int | None  # per version, to reach a verdict; None if there is one or it takes over MAX_SEEDS
    test_set_too_small: bool  # inconclusive, and would be with any number of seeds

    @property
    def verdict(self) -> Verdict:
        """The conclusion of the two tests."""
        if self.p_equivalent < 1 - LEVEL:
            return "equivalent"
        if self.p_different >= 1 - LEVEL:
            return "inconclusive"
        return "better" if self.difference.mean > 0 else "worse"


def accuracy_changes(pairs: Sequence[tuple[Correctness, Correctness]]) -> tuple[AccuracyChange, ...]:
    """Compare all `pairs` of (older, newer) as one family of tests; both of a pair have the same seeds and images.

    Raises:
        MetricError: the shapes in a pair differ, or there is a single seed.
    """
    estimates = [paired_difference(newer, older) for older, newer in pairs]
    equivalent = holm(np.array([p_equivalent(difference.mean, variance) for difference, variance in estimates]))
    different = holm(np.array([difference.p_value for difference, _ in estimates]))
    changes = []
    for (older, newer), (difference, variance), *p_values in zip(pairs, estimates, equivalent, different, strict=True):
        mean, seeds, comparisons = difference.mean, len(older.correct), len(pairs)
        half = variance.half_width(EQUIVALENCE_LEVEL).item()
        decided = min(p_values) < 1 - LEVEL
        changes.append(
            AccuracyChange(
                difference=difference,
                identical=np.array_equal(older.correct, newer.correct),
                low=mean - half,
                high=mean + half,
                p_equivalent=float(p_values[0]),
                p_different=float(p_values[1]),
                additional_seeds=None if decided else additional_seeds(mean, variance, seeds, comparisons),
                test_set_too_small=not decided and _is_too_small(mean, variance, comparisons),
            )
        )
    return tuple(changes)


def p_equivalent(difference: float, variance: Variance) -> float:
    """The p-value of equivalence: the larger of the two one-sided tests against the margin."""
    distance = EQUIVALENCE_MARGIN - abs(difference)
    one_sided = variance.p_value(np.array([distance])).item() / 2
    return one_sided if distance > 0 else 1 - one_sided


def additional_seeds(difference: float, variance: Variance, seeds: int, comparisons: int) -> int | None:
    """Seeds per version, beyond the current `seeds`, that would decide the verdict if the estimates stay the same."""
    totals = np.arange(seeds + 1, MAX_SEEDS + 1)
    expected = Variance(
        images=np.full(len(totals), variance.images.item()),
        seeds=variance.seeds.item() * seeds / totals,
        degrees_of_freedom=(totals - 1).astype(np.float64),
    )
    sufficient = np.flatnonzero(_decides(difference, expected, comparisons))
    return int(totals[sufficient[0]]) - seeds if len(sufficient) else None


def _is_too_small(difference: float, variance: Variance, comparisons: int) -> bool:
    """Whether the variance of the finite test set alone, as with any number of seeds, prevents a verdict."""
    without_seeds = replace(variance, seeds=np.zeros_like(variance.seeds))
    return not _decides(difference, without_seeds, comparisons).item()


def _decides(difference: float, variance: Variance, comparisons: int) -> BoolArray:
    """Whether a difference with this variance has a verdict at the strictest level of Holm's method, a cautious one."""
    alpha = (1 - LEVEL) / comparisons
    decided: BoolArray = (variance.half_width(1 - 2 * alpha) < EQUIVALENCE_MARGIN - abs(difference)) | (
        variance.half_width(1 - alpha) < abs(difference)
    )
    return decided
