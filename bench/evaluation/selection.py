"""What a search's budget bought: best score so far, and what it would have been expected to be with fewer trials."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from bench.errors import MetricError

FloatArray = NDArray[np.float64]

RESAMPLES = 2000
LEVEL = 0.95


def expected_best(scores: FloatArray) -> FloatArray:
    """Expected best of n of these scores, drawn without replacement, for n = 1 to N: shape (N,).

    Unbiased for the best of n trials of a random search, unlike the best of the first n, which is one draw, and unlike
    drawing with replacement, which is too low.

    Args:
        scores: of N trials of equal length whose order is chance, shape (N,).

    Raises:
        MetricError: there are none.

    Source: Tang et al. 2020, Showing Your Work Doesn't Always Work, https://aclanthology.org/2020.acl-main.246.
    """
    if scores.ndim != 1 or len(scores) == 0:
        raise MetricError(f"scores must have shape (trials,) with one trial or more, got {scores.shape}")
    ordered = np.sort(scores)
    total = len(ordered)
    below, n = np.arange(total)[None, :], np.arange(1, total + 1)[:, None]
    # The trial with `below` others under it is the best in C(below, n - 1) of all C(N, n) choices.
    possible = below >= n - 1
    ways = _log_choose(np.where(possible, below, n - 1), n - 1) - _log_choose(np.full_like(n, total), n)
    found: FloatArray = np.where(possible, np.exp(ways), 0.0) @ ordered
    return found


def _log_choose(n: NDArray[np.integer], k: NDArray[np.integer]) -> FloatArray:
    found: FloatArray = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return found


def crossing(one: FloatArray, other: FloatArray, seed: int = 0) -> tuple[float, float, float] | None:
    """After how many trials the expected best of two random searches cross, with a 95 % interval; None where not sure.

    Trials are drawn anew with replacement; it is sure where 97.5 % of the curves that this gives cross in the same
    direction as those of all trials.

    Args:
        one: scores of the trials of one search, shape (N,).
        other: of another, shape (M,).
        seed: of the drawing.
    """
    random = np.random.default_rng(seed)
    found = _cross(one, other)
    if found is None:
        return None
    where, direction = found
    places = []
    for _ in range(RESAMPLES):
        again = _cross(random.choice(one, len(one)), random.choice(other, len(other)))
        if again is not None and again[1] == direction:
            places.append(again[0])
    if len(places) < (1 + LEVEL) / 2 * RESAMPLES:
        return None
    low, high = np.quantile(places, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return where, float(low), float(high)


def _cross(one: FloatArray, other: FloatArray) -> tuple[float, int] | None:
    """The last place, in trials, where the sign of the difference changes, and its sign after that."""
    shorter = min(len(one), len(other))
    difference = expected_best(one)[:shorter] - expected_best(other)[:shorter]
    sign = np.sign(difference)
    changes = np.flatnonzero(sign[:-1] * sign[1:] < 0)
    if len(changes) == 0:
        return None
    at = int(changes[-1])
    before, after = difference[at], difference[at + 1]
    return 1 + at + before / (before - after), int(sign[-1])
