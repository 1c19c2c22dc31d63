"""What became of a model from one version of its software to the next: same, worse, better, or not to be told yet.

The first that holds is said:

    same             the 90 % interval of the difference lies inside half a point: two one-sided tests at 5 % (TOST)
    worse, better    its 95 % interval leaves out 0
    cannot tell      neither, with how many more seeds one of them would hold if all else stays as it was found

The p-values of both kinds of test are corrected by Holm's method over all comparisons that are made together.

Source: Schuirmann 1987, https://doi.org/10.1007/BF01068419; the interval is that of bench.evaluation.comparison.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bench.evaluation.comparison import LEVEL, Correctness, Difference, Variance, holm, paired_difference

MARGIN = 0.005  # of accuracy: what is smaller on both sides is called the same
SAME_LEVEL = 0.9
MAX_SEEDS = 200  # in all

Word = Literal["same", "worse", "better", "cannot tell"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The accuracy with the newer version minus that with the older one."""

    difference: Difference  # its p-value is not corrected
    identical: bool  # whether every training is right at the very images where it was right before
    low: float  # of the 90 % interval, a fraction in [-1, 1], as is high
    high: float
    p_same: float  # of a difference of MARGIN or more in either direction, corrected
    p_differs: float  # of no difference, corrected
    more_seeds: int | None  # of each version, with which it could be told; None above MAX_SEEDS, or where it is told

    @property
    def word(self) -> Word:
        """The verdict."""
        if self.p_same < 1 - LEVEL:
            return "same"
        if self.p_differs >= 1 - LEVEL:
            return "cannot tell"
        return "better" if self.difference.mean > 0 else "worse"


def changes(pairs: Sequence[tuple[Correctness, Correctness]]) -> tuple[Change, ...]:
    """Judge all `pairs` of (older, newer) together; the two of a pair answered the same images, under the same seeds.

    Raises:
        MetricError: the shapes of a pair differ, or there is a single seed.
    """
    compared = [paired_difference(newer, older) for older, newer in pairs]
    same = holm(np.array([p_same(one.mean, variance) for one, variance in compared]))
    differs = holm(np.array([one.p_value for one, _ in compared]))
    found = []
    for number, (one, variance) in enumerate(compared):
        older, newer = pairs[number]
        half = variance.half_width(SAME_LEVEL).item()
        told = min(same[number], differs[number]) < 1 - LEVEL
        found.append(
            Change(
                difference=one,
                identical=np.array_equal(older.correct, newer.correct),
                low=one.mean - half,
                high=one.mean + half,
                p_same=float(same[number]),
                p_differs=float(differs[number]),
                more_seeds=None if told else more_seeds(one.mean, variance, len(older.correct), comparisons=len(pairs)),
            )
        )
    return tuple(found)


def p_same(difference: float, variance: Variance) -> float:
    """The larger p-value of the two one-sided tests that the true difference is MARGIN or more, or -MARGIN or less."""
    room = MARGIN - abs(difference)
    one_sided = variance.p_value(np.array([room])).item() / 2
    return one_sided if room > 0 else 1 - one_sided


def more_seeds(difference: float, variance: Variance, there: int, comparisons: int) -> int | None:
    """Further seeds of both versions with which the verdict is no longer "cannot tell", all else being as it was found.

    The level is that of the strictest of `comparisons` tests, so it may be told with fewer.
    """
    seeds = np.arange(there + 1, MAX_SEEDS + 1)
    expected = Variance(
        images=np.full(len(seeds), variance.images.item()),
        seeds=variance.seeds.item() * there / seeds,
        degrees_of_freedom=(seeds - 1).astype(np.float64),
    )
    alpha = (1 - LEVEL) / comparisons
    told = (expected.half_width(1 - 2 * alpha) < MARGIN - abs(difference)) | (
        expected.half_width(1 - alpha) < abs(difference)
    )
    enough = np.flatnonzero(told)
    return int(seeds[enough[0]]) - there if len(enough) else None
