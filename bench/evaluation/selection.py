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
    found: FloatArray = _curves(scores[None])[0]
    return found


def _curves(scores: FloatArray) -> FloatArray:
    """The expected best of each row of scores, shape (rows, N)."""
    total = scores.shape[1]
    below, n = np.arange(total)[None, :], np.arange(1, total + 1)[:, None]
    # The trial with `below` others under it is the best in C(below, n - 1) of all C(N, n) choices.
    possible = below >= n - 1
    ways = _log_choose(np.where(possible, below, n - 1), n - 1) - _log_choose(np.full_like(n, total), n)
    found: FloatArray = np.sort(scores, axis=1) @ np.where(possible, np.exp(ways), 0.0).T
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
    drawn = [np.vstack([scores, random.choice(scores, (RESAMPLES, len(scores)))]) for scores in (one, other)]
    shorter = min(len(one), len(other))
    where, direction = _last_crossings(_curves(drawn[0])[:, :shorter] - _curves(drawn[1])[:, :shorter])
    if np.isnan(where[0]):
        return None
    places = where[1:][direction[1:] == direction[0]]
    if len(places) < (1 + LEVEL) / 2 * RESAMPLES:
        return None
    low, high = np.quantile(places, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(where[0]), float(low), float(high)


def _last_crossings(difference: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Of each row the last place, in trials from 1, where its sign changes, and the sign after it; NaN where none does.

    Args:
        difference: of two curves, shape (rows, trials).
    """
    sign = np.sign(difference)
    changes = sign[:, :-1] * sign[:, 1:] < 0
    rows = np.flatnonzero(changes.any(axis=1))
    at = difference.shape[1] - 2 - changes[rows, ::-1].argmax(axis=1)
    before, after = difference[rows, at], difference[rows, at + 1]
    where, direction = np.full(len(difference), np.nan), np.full(len(difference), np.nan)
    where[rows], direction[rows] = 1 + at + before / (before - after), np.sign(after)
    return where, direction
