"""The expected best score of a random search by its number of trials, and where those of two searches cross."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from bench.errors import MetricError
from bench.evaluation.arrays import FloatArray
from bench.evaluation.comparison import LEVEL

RESAMPLES = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossover:
    """The number of trials after which another search is expected to be ahead, with a 95% interval."""

    trials: float
    low: float
    high: float


def expected_best_score(scores: FloatArray) -> FloatArray:
    """The expected best of n of these scores, drawn without replacement, for n = 1 to N: shape (N,).

    An unbiased estimate for a random search of n trials. The best of the first n trials is a single draw, and drawing
    with replacement is biased downwards.

    Args:
        scores: of N trials of equal length in random order, shape (N,).

    Raises:
        MetricError: `scores` is empty or not one-dimensional.

    Source: Tang et al. 2020, Showing Your Work Doesn't Always Work, https://aclanthology.org/2020.acl-main.246.
    """
    if scores.ndim != 1 or len(scores) == 0:
        raise MetricError(f"scores must have shape (trials,) with at least one trial, got {scores.shape}")
    expected: FloatArray = _expected_best_scores(scores[None])[0]
    return expected


def _expected_best_scores(scores: FloatArray) -> FloatArray:
    """`expected_best_score` of each row, shape (rows, N)."""
    total = scores.shape[1]
    below, n = np.arange(total)[None, :], np.arange(1, total + 1)[:, None]
    # A trial with `below` lower-ranked ones is the best in C(below, n - 1) of all C(N, n) subsets.
    possible = below >= n - 1
    log_weights = _log_choose(np.where(possible, below, n - 1), n - 1) - _log_choose(np.full_like(n, total), n)
    expected: FloatArray = np.sort(scores, axis=1) @ np.where(possible, np.exp(log_weights), 0.0).T
    return expected


def _log_choose(n: NDArray[np.integer], k: NDArray[np.integer]) -> FloatArray:
    logarithm: FloatArray = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return logarithm


def crossover(a: FloatArray, b: FloatArray) -> Crossover | None:
    """The number of trials at which the expected best scores of two random searches cross, or None if not significant.

    Significant if at least 97.5% of the bootstrap resamples of the trials cross in the same direction as the data.

    Args:
        a: scores of the trials of one search, shape (N,).
        b: scores of the trials of the other, shape (M,).
    """
    random = np.random.default_rng(0)
    resampled = [np.vstack([scores, random.choice(scores, (RESAMPLES, len(scores)))]) for scores in (a, b)]
    shorter = min(len(a), len(b))
    difference = _expected_best_scores(resampled[0])[:, :shorter] - _expected_best_scores(resampled[1])[:, :shorter]
    position, direction = _last_crossings(difference)
    if np.isnan(position[0]):
        return None
    agreeing = position[1:][direction[1:] == direction[0]]
    if len(agreeing) < (1 + LEVEL) / 2 * RESAMPLES:
        return None
    low, high = np.quantile(agreeing, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Crossover(trials=float(position[0]), low=float(low), high=float(high))


def _last_crossings(difference: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Where the sign of each row changes last, in trials from 1, and the sign after it; NaN if it never changes.

    Args:
        difference: between two curves, shape (rows, trials).
    """
    sign = np.sign(difference)
    changes = sign[:, :-1] * sign[:, 1:] < 0
    rows = np.flatnonzero(changes.any(axis=1))
    at = difference.shape[1] - 2 - changes[rows, ::-1].argmax(axis=1)
    before, after = difference[rows, at], difference[rows, at + 1]
    position, direction = np.full(len(difference), np.nan), np.full(len(difference), np.nan)
    position[rows], direction[rows] = 1 + at + before / (before - after), np.sign(after)
    return position, direction
