"""Is a score, or the difference of two, more than chance? Intervals and tests on arrays of right and wrong answers.

Every array `correct` is boolean of shape (k, n): whether the refit under seed s classifies test image i correctly.
Both the seeds and the finite test set make a score uncertain, and both enter:

    SE^2 = var_i(c_i) / n + sum of s^2 / k - R, never below the first term

where c_i is the mean over seeds at image i (for two models the difference of these means), s^2 a model's variance of
accuracy over its seeds, and R = sum of mean_i(variance over seeds) / (k n), which the first two would count twice.
Quantiles are Student's t with Satterthwaite's degrees of freedom.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.multitest import multipletests

from bench.errors import MetricError

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

LEVEL = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean accuracy and how far it can be trusted."""

    mean: float  # fraction in [0, 1], as are low and high
    low: float
    high: float
    standard_error: float
    degrees_of_freedom: float
    seeds_share: (
        float  # part of the squared standard error that comes from the seeds, in [0, 1]; the rest is the images'
    )
    level: float
    n_seeds: int
    n_images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Every two of m models: arrays of shape (m, m), row against column, models in the order that they were given in.

    p-values are NaN on the diagonal, and where one of the two has a single seed.
    """

    difference: FloatArray  # mean accuracy of the row's model minus that of the column's, in [-1, 1]
    standard_error: FloatArray  # of it
    p_value: FloatArray  # of no difference, two-sided
    p_holm: FloatArray  # corrected for all pairs that were tested together
    level: float

    @property
    def tied(self) -> BoolArray:
        """Whether the two could be told apart and were not."""
        return self.p_holm >= 1 - self.level

    @property
    def better(self) -> BoolArray:
        """Whether the row's model is significantly better than the column's."""
        return (self.p_holm < 1 - self.level) & (self.difference > 0)


def _checked(correct: BoolArray) -> BoolArray:
    if correct.ndim != 2 or correct.dtype != np.bool_ or correct.shape[0] < 1 or correct.shape[1] < 2:
        raise MetricError(
            f"correct must be boolean of shape (seeds, at least 2 images), got {correct.dtype} of shape {correct.shape}"
        )
    return correct


@dataclass(frozen=True, slots=True, kw_only=True)
class _Variance:
    """The parts of SE^2, one element for each model or for each pair of models; NaN where there is a single seed."""

    images: FloatArray
    seeds: FloatArray  # sum of s^2 / k
    squares: FloatArray  # sum of (s^2 / k)^2 / (k - 1)
    twice: FloatArray
    fewest: FloatArray  # seeds of the model that has the fewest
    n: int

    @property
    def total(self) -> FloatArray:
        return np.maximum(self.images, self.images + self.seeds - self.twice)

    @property
    def degrees_of_freedom(self) -> FloatArray:
        """Satterthwaite's, not below those of the model with the fewest seeds: subtracting R cannot take any away."""
        spread = self.images**2 / (self.n - 1) + self.squares
        with np.errstate(divide="ignore", invalid="ignore"):
            found = np.maximum(self.total**2 / spread, np.minimum(self.fewest, self.n) - 1)
        return np.where(spread == 0, self.n - 1.0, found)


def _variances(models: Sequence[BoolArray]) -> _Variance:
    """Of each model by itself."""
    parts = np.array([_parts(one) for one in models]).T
    counts = np.array([float(len(one)) for one in models])
    with np.errstate(divide="ignore", invalid="ignore"):
        squares = parts[1] ** 2 / (counts - 1)
    return _Variance(
        images=parts[0], seeds=parts[1], squares=squares, twice=parts[2], fewest=counts, n=models[0].shape[1]
    )


def _parts(correct: BoolArray) -> tuple[float, float, float]:
    k, n = correct.shape
    images = float(correct.mean(axis=0).var(ddof=1)) / n
    if k == 1:
        return images, math.nan, math.nan
    seeds = float(correct.mean(axis=1).var(ddof=1)) / k
    return images, seeds, float(correct.var(axis=0, ddof=1).mean()) / (k * n)


def interval(correct: BoolArray, level: float = LEVEL) -> Interval | None:
    """The mean accuracy of a model with its interval, None for a single seed, whose spread over seeds is unknown.

    Where every answer of every seed is right, or wrong, the variance says nothing and the limits are those of Clopper
    and Pearson for n images.

    Raises:
        MetricError: `correct` is not boolean of shape (seeds, images).
    """
    k, n = _checked(correct).shape
    if k == 1:
        return None
    variance = _variances([correct])
    total, freedom = variance.total.item(), variance.degrees_of_freedom.item()
    mean, error = float(correct.mean()), math.sqrt(total)
    half = float(stats.t.ppf((1 + level) / 2, freedom)) * error
    low, high = max(0.0, mean - half), min(1.0, mean + half)
    if mean in (0.0, 1.0):
        exact = stats.binomtest(round(mean * n), n).proportion_ci(level, method="exact")
        low, high = float(exact.low), float(exact.high)
    return Interval(
        mean=mean,
        low=low,
        high=high,
        standard_error=error,
        degrees_of_freedom=freedom,
        seeds_share=1 - variance.images.item() / total if total > 0 else 0.0,
        level=level,
        n_seeds=k,
        n_images=n,
    )


def compare_all(models: Sequence[BoolArray], level: float = LEVEL) -> Comparison:
    """Compare every two of `models`, which answered the same images; p-values are corrected by Holm's method.

    Raises:
        MetricError: an array is not boolean of shape (seeds, images), or the numbers of images differ.
    """
    sizes = sorted({_checked(one).shape[1] for one in models})
    if len(sizes) > 1:
        raise MetricError(f"models must share their images, got {' and '.join(map(str, sizes))}")
    a, b = np.triu_indices(len(models), 1)
    difference, variance = _differences(models, a, b)
    error = np.sqrt(variance.total)
    p_value = _p_values(difference, error, variance.degrees_of_freedom)

    def matrix(above: FloatArray, below: FloatArray) -> FloatArray:
        found = np.full((len(models), len(models)), np.nan)
        found[a, b], found[b, a] = above, below
        return found

    corrected = _holm(p_value)
    return Comparison(
        difference=matrix(difference, -difference),
        standard_error=matrix(error, error),
        p_value=matrix(p_value, p_value),
        p_holm=matrix(corrected, corrected),
        level=level,
    )


def _differences(models: Sequence[BoolArray], a: IntArray, b: IntArray) -> tuple[FloatArray, _Variance]:
    """Of each pair, a minus b and its variance; a single matrix product serves all pairs."""
    one = _variances(models)
    right = np.array([correct.sum(axis=0) for correct in models], dtype=np.float64)
    # The products are of whole numbers, and so exact: models with the same answers differ by exactly nothing.
    products = right @ right.T / np.outer(one.fewest, one.fewest)
    squares, mean = products.diagonal(), right.sum(axis=1) / (one.fewest * one.n)
    difference = mean[a] - mean[b]
    spread = (squares[a] + squares[b] - 2 * products[a, b] - one.n * difference**2) / (one.n - 1)
    return difference, _Variance(
        images=np.maximum(spread, 0) / one.n,
        seeds=one.seeds[a] + one.seeds[b],
        squares=one.squares[a] + one.squares[b],
        twice=one.twice[a] + one.twice[b],
        fewest=np.minimum(one.fewest[a], one.fewest[b]),
        n=one.n,
    )


def _p_values(difference: FloatArray, error: FloatArray, freedom: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        found = 2 * stats.t.sf(np.abs(difference) / error, freedom)
    return np.where((error == 0) & (difference == 0), 1.0, found)


def _holm(p_values: FloatArray) -> FloatArray:
    """Holm's correction of those that are not NaN, which were tested together."""
    tested = np.isfinite(p_values)
    corrected = np.full(p_values.shape, np.nan)
    if tested.any():
        corrected[tested] = multipletests(p_values[tested], method="holm")[1]
    return corrected
