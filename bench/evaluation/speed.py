"""Speed compared between versions: ratios of seconds, and whether they are statistically significant.

Seconds come from several processes per version and are divided by those of a reference workload timed right next to
them, so that a temporarily slow machine affects both.

Source: Mann and Whitney 1947, https://doi.org/10.1214/aoms/1177730491.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from math import comb
from typing import Literal

import numpy as np
from scipy import stats

from bench.evaluation.arrays import FloatArray
from bench.evaluation.comparison import LEVEL, benjamini_hochberg

Verdict = Literal["slower", "faster", "not significant"]

MIN_STARTS = 4  # process starts per version; with fewer, no p-value is below 5%


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedChange:
    """The time of an operation with the newer version relative to the older one."""

    ratio: float  # of the medians; above 1 if the newer version is slower
    adjusted_p_value: float  # null hypothesis: the times of both versions have the same distribution
    starts: int  # process starts per version

    @property
    def verdict(self) -> Verdict:
        """The conclusion of the test; a significant change has the direction of the ratio."""
        if self.adjusted_p_value >= 1 - LEVEL or self.ratio == 1:
            return "not significant"
        return "slower" if self.ratio > 1 else "faster"


def speed_changes(pairs: Sequence[tuple[FloatArray, FloatArray]]) -> tuple[SpeedChange, ...]:
    """Compare all `pairs` of (older, newer) as one family of tests, at a false discovery rate of 5%.

    Args:
        pairs: seconds in units of the reference workload, one per process start, as many for both versions.
    """
    adjusted = benjamini_hochberg(np.array([p_value(older, newer) for older, newer in pairs]))
    return tuple(
        SpeedChange(ratio=float(np.median(newer) / np.median(older)), adjusted_p_value=float(p), starts=len(newer))
        for (older, newer), p in zip(pairs, adjusted, strict=True)
    )


def p_value(older: FloatArray, newer: FloatArray) -> FloatArray:
    """The two-sided p-value of the Mann-Whitney U test, unadjusted; arrays of shape (..., starts)."""
    # Exact, since the normal approximation is too coarse for p-values that survive the adjustment.
    p: FloatArray = stats.mannwhitneyu(newer, older, axis=-1, method="exact").pvalue
    return p


def required_starts(comparisons: int) -> int:
    """The fewest process starts with which one change can be significant, though none of the others is."""
    # With n starts, the smallest p-value is 2 / C(2n, n), when all starts of one version are slower.
    return next(n for n in count(1) if 2 * comparisons / comb(2 * n, n) < 1 - LEVEL)
