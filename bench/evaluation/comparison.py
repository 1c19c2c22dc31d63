"""Is a score, or the difference of two, more than chance? Intervals and tests on arrays of right and wrong answers.

Every array `correct` is boolean of shape (k, n): whether the refit under seed s classifies test image i correctly.
Both the seeds and the finite test set make a score uncertain, and both enter:

    SE^2 = var_i(c_i) / n + sum of s^2 / k - R, never below the first term

where c_i is the mean over seeds at image i (for two models the difference of these means), s^2 a model's variance of
accuracy over its seeds, and R = sum of mean_i(variance over seeds) / (k n), which the first two would count twice.
Quantiles are Student's t with Satterthwaite's degrees of freedom.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.multitest import multipletests

from bench.errors import MetricError

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]

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
class Difference:
    """Mean accuracy of one model minus that of another, on the same images."""

    mean: float  # in [-1, 1], as are low and high
    low: float
    high: float
    standard_error: float
    degrees_of_freedom: float
    p_value: float  # of no difference, two-sided, not corrected for other comparisons
    level: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The verdict on two models among several."""

    a: str
    b: str
    difference: Difference | None  # a minus b; None where one has a single seed
    p_holm: float | None  # corrected for all pairs that were tested together
    level: float

    @property
    def tied(self) -> bool:
        """Whether both could be told apart and were not."""
        return self.p_holm is not None and self.p_holm >= 1 - self.level

    @property
    def better(self) -> str | None:
        """The model that is significantly better, if one is."""
        if self.difference is None or self.tied:
            return None
        return self.a if self.difference.mean > 0 else self.b


@dataclass(frozen=True, slots=True, kw_only=True)
class _Variance:
    """The parts of SE^2 of one model, or of the difference of two."""

    images: float
    seeds: tuple[tuple[float, int], ...]  # (s^2 / k, k) of each model
    twice: float
    n: int

    @property
    def total(self) -> float:
        return max(self.images, self.images + sum(part for part, _ in self.seeds) - self.twice)

    @property
    def degrees_of_freedom(self) -> float:
        """Satterthwaite's, not below those of the model with the fewest seeds: subtracting R cannot take any away."""
        parts = [(self.images, self.n), *self.seeds]
        spread = sum(part**2 / (count - 1) for part, count in parts)
        fewest = min(count - 1 for _, count in parts)
        return max(self.total**2 / spread, float(fewest)) if spread > 0 else float(self.n - 1)


def _checked(correct: BoolArray) -> BoolArray:
    if correct.ndim != 2 or correct.dtype != np.bool_ or correct.shape[0] < 1 or correct.shape[1] < 2:
        raise MetricError(
            f"correct must be boolean of shape (seeds, at least 2 images), got {correct.dtype} of shape {correct.shape}"
        )
    return correct


def _variance(by_image: FloatArray, models: Sequence[BoolArray]) -> _Variance:
    n = len(by_image)
    return _Variance(
        images=float(by_image.var(ddof=1)) / n,
        seeds=tuple((float(one.mean(axis=1).var(ddof=1)) / len(one), len(one)) for one in models),
        twice=sum(float(one.var(axis=0, ddof=1).mean()) / (len(one) * n) for one in models),
        n=n,
    )


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
    variance = _variance(correct.mean(axis=0), [correct])
    mean, error, freedom = float(correct.mean()), math.sqrt(variance.total), variance.degrees_of_freedom
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
        seeds_share=1 - variance.images / variance.total if variance.total > 0 else 0.0,
        level=level,
        n_seeds=k,
        n_images=n,
    )


def difference(correct_a: BoolArray, correct_b: BoolArray, level: float = LEVEL) -> Difference | None:
    """Accuracy of a minus accuracy of b on the same images, None where either has a single seed.

    Raises:
        MetricError: an array is not boolean of shape (seeds, images), or the numbers of images differ.
    """
    models = [_checked(correct_a), _checked(correct_b)]
    if correct_a.shape[1] != correct_b.shape[1]:
        raise MetricError(f"models must share their images, got {correct_a.shape[1]} and {correct_b.shape[1]}")
    if min(len(one) for one in models) == 1:
        return None
    by_image = correct_a.mean(axis=0) - correct_b.mean(axis=0)
    variance = _variance(by_image, models)
    mean, error, freedom = float(by_image.mean()), math.sqrt(variance.total), variance.degrees_of_freedom
    half = float(stats.t.ppf((1 + level) / 2, freedom)) * error
    return Difference(
        mean=mean,
        low=mean - half,
        high=mean + half,
        standard_error=error,
        degrees_of_freedom=freedom,
        p_value=_p_value(mean, error, freedom),
        level=level,
    )


def _p_value(mean: float, error: float, freedom: float) -> float:
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    return float(2 * stats.t.sf(abs(mean) / error, freedom))


def compare_all(models: Mapping[str, BoolArray], level: float = LEVEL) -> tuple[Pair, ...]:
    """The verdict on every pair of `models`, p-values corrected together by Holm's method.

    Raises:
        MetricError: as `difference`.
    """
    names = list(combinations(models, 2))
    found = [difference(models[a], models[b], level) for a, b in names]
    tested = [one.p_value for one in found if one is not None]
    corrected = iter(multipletests(tested, alpha=1 - level, method="holm")[1] if tested else [])
    return tuple(
        Pair(a=a, b=b, difference=one, p_holm=None if one is None else float(next(corrected)), level=level)
        for (a, b), one in zip(names, found, strict=True)
    )
