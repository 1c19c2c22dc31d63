"""Confidence intervals and significance tests for accuracies and their differences.

An accuracy is uncertain because of both the finite test set and the seeds, and each source has its own quantile:

    half-width^2 = z^2 C + t^2 S    with    S = sum of s^2 / k,    C = var_i(c_i) / n - min(R, S)

where c_i is the mean over seeds at image i (for two models the difference of these means), s^2 a model's variance of
accuracy across its k seeds, and R = sum of mean_i(variance across seeds) / (k n), which both terms would count; z is a
quantile of the normal distribution, t one of Student's with Welch's degrees of freedom for S. A p-value is 1 minus the
confidence level at which the interval just reaches 0.

A single quantile for the sum, with Satterthwaite's degrees of freedom, has an 8% type I error where one of two models
with three seeds varies ten times as much as the other; this has 5% (tests/evaluation/test_error_rates.py checks it).

Source: Banerjee 1960, Approximate confidence interval for linear functions of means of k populations, Sankhya 22.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats
from scipy.optimize import elementwise
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from bench.errors import MetricError

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

LEVEL = 0.95
MIN_SYMMETRIC_COUNT = 100  # errors and correct predictions; with fewer, symmetric limits have too low a coverage
P_VALUE_PRECISION = 1e-6  # relative, of the quantile


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Correctness:
    """Which test images a model classifies correctly, seed by seed."""

    correct: BoolArray | FloatArray  # (k, n) for k seeds and n images; or means over several refits, in [0, 1]
    deterministic: bool = False  # training does not depend on a seed

    def __post_init__(self) -> None:
        if self.correct.ndim != 2 or self.correct.shape[0] < 1 or self.correct.shape[1] < 2:
            raise MetricError(f"correct must have shape (seeds, at least 2 images), got {self.correct.shape}")
        if not ((self.correct >= 0) & (self.correct <= 1)).all():
            raise MetricError("correct must contain 0 and 1, or means of them")

    @property
    def has_variance_estimate(self) -> bool:
        """Whether the variance across seeds is known; one seed of a model that depends on it gives no estimate."""
        return self.deterministic or len(self.correct) > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean accuracy with its confidence interval."""

    mean: float  # fraction in [0, 1], as are low and high
    low: float
    high: float
    standard_error: float
    seed_variance_share: float  # of the squared half-width, in [0, 1]; the remainder is due to the finite test set
    level: float
    n_seeds: int
    n_images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Mean accuracy of one model minus that of another, on the same images."""

    mean: float  # in [-1, 1], as are low and high
    low: float
    high: float
    p_value: float  # two-sided, unadjusted; null hypothesis: no difference


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Variance:
    """Estimated variance of means or differences, by source: arrays of one shape, NaN where there is no estimate."""

    images: FloatArray  # C of the module's docstring
    seeds: FloatArray  # S
    degrees_of_freedom: FloatArray  # of S

    def at(self, *index: int) -> "Variance":
        """The variance of a single mean or difference."""
        images, seeds, freedom = (part[index] for part in (self.images, self.seeds, self.degrees_of_freedom))
        return Variance(images=images, seeds=seeds, degrees_of_freedom=freedom)

    @property
    def standard_error(self) -> FloatArray:
        """Standard error of each mean or difference."""
        error: FloatArray = np.sqrt(self.images + self.seeds)
        return error

    def half_width(self, level: float) -> FloatArray:
        """Half-width of each confidence interval."""
        upper = (1 + level) / 2
        student = special.stdtrit(self.degrees_of_freedom, upper)
        half: FloatArray = np.sqrt(special.ndtri(upper) ** 2 * self.images + student**2 * self.seeds)
        return half

    def p_value(self, difference: FloatArray) -> FloatArray:
        """Two-sided p-value of each difference."""
        total = self.images + self.seeds
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio, share = difference**2 / total, self.seeds / total
        # Initialized for the case without variance.
        p_value: FloatArray = np.where(np.isnan(total), np.nan, np.where(difference == 0, 1.0, 0.0))
        images_only = (share == 0) & (difference != 0)
        p_value[images_only] = 2 * special.ndtr(-np.sqrt(ratio[images_only]))
        both = (share > 0) & (difference != 0)
        p_value[both] = _p_value_of_both_sources(ratio[both], share[both], self.degrees_of_freedom[both])
        return p_value


def _p_value_of_both_sources(ratio: FloatArray, share: FloatArray, freedom: FloatArray) -> FloatArray:
    """p-values where seeds contribute `share` > 0 of the variance; `ratio` is the squared difference over variance."""

    def excess(t: FloatArray, ratio: FloatArray, share: FloatArray, freedom: FloatArray) -> FloatArray:
        # A probability that underflows to 0 would make z infinite.
        z = special.ndtri(np.maximum(special.stdtr(freedom, -t), np.finfo(float).tiny))
        difference: FloatArray = (1 - share) * z**2 + share * t**2 - ratio
        return difference

    low, high = np.sqrt(ratio) * (1 - 1e-9), np.sqrt(ratio / share) * (1 + 1e-9)  # z^2 is between 0 and t^2
    root = elementwise.find_root(
        excess, (low, high), args=(ratio, share, freedom), tolerances={"xrtol": P_VALUE_PRECISION}
    )
    p_value: FloatArray = 2 * special.stdtr(freedom, -root.x)
    return p_value


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparison:
    """All pairs of m models: arrays of shape (m, m), row against column, in the given order.

    Variances and p-values are NaN on the diagonal and where one of the two models has no variance estimate.
    """

    difference: FloatArray  # mean accuracy of the row's model minus that of the column's, in [-1, 1]
    variance: Variance  # of `difference`
    p_value: FloatArray  # two-sided, unadjusted

    def pair(self, a: int, b: int) -> Difference | None:
        """Model `a` minus model `b`; None if one of them has no variance estimate."""
        if math.isnan(self.p_value[a, b]):
            return None
        mean, half = float(self.difference[a, b]), float(self.variance.at(a, b).half_width(LEVEL))
        low, high = max(-1.0, mean - half), min(1.0, mean + half)
        return Difference(mean=mean, low=low, high=high, p_value=float(self.p_value[a, b]))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Components:
    """The terms of the variance of means or differences: arrays of one shape, NaN where there is no estimate."""

    images: FloatArray  # var_i(c_i) / n
    seeds: FloatArray  # sum of s^2 / k
    welch: FloatArray  # sum of (s^2 / k)^2 / (k - 1)
    shared: FloatArray  # R, which `images` and `seeds` both contain

    @property
    def variance(self) -> Variance:
        with np.errstate(divide="ignore", invalid="ignore"):
            freedom = np.where(self.seeds == 0, 1.0, self.seeds**2 / self.welch)
        images = np.maximum(0.0, self.images - np.minimum(self.shared, self.seeds))
        return Variance(images=images, seeds=self.seeds, degrees_of_freedom=freedom)


def _components(models: Sequence[Correctness]) -> _Components:
    """Of the mean accuracy of each model."""
    images, seeds, welch, shared = np.array([_terms(model.correct) for model in models]).T
    deterministic = [model.deterministic for model in models]
    for term in (seeds, welch, shared):
        term[deterministic] = 0.0
    return _Components(images=images, seeds=seeds, welch=welch, shared=shared)


def _terms(values: BoolArray | FloatArray) -> tuple[float, float, float, float]:
    """The fields of _Components for the mean of any values, shape (k, n)."""
    k, n = values.shape
    mean = values.mean(axis=0)
    images = float(mean.var(ddof=1)) / n
    if k == 1:
        return images, math.nan, math.nan, math.nan
    seeds = float(values.mean(axis=1).var(ddof=1)) / k
    # The mean over images of the variance across seeds; by means of squares, many times faster than `var`.
    within = np.square(values, dtype=np.float64).mean() - np.square(mean).mean()
    return images, seeds, seeds**2 / (k - 1), max(0.0, float(within)) / ((k - 1) * n)


def paired_difference(newer: Correctness, older: Correctness) -> tuple[Difference, Variance]:
    """Compare two models refit with the same seeds, pairing refits by seed; k - 1 degrees of freedom.

    The interval is much narrower than an unpaired one if a seed affects both models alike.

    Raises:
        MetricError: the shapes differ, or there is a single seed.
    """
    shapes = newer.correct.shape, older.correct.shape
    if shapes[0] != shapes[1] or shapes[0][0] < 2:
        raise MetricError(f"paired models must share their images and at least two seeds, got shapes {shapes}")
    difference = newer.correct.astype(np.float64) - older.correct
    n = difference.shape[1]
    images, seeds, welch, shared = _terms(difference)
    variance = _Components(
        images=np.array([images if images > 0 else 1 / n**2]),  # as in `differences`
        seeds=np.array([seeds]),
        welch=np.array([welch]),
        shared=np.array([shared]),
    ).variance
    mean, half = float(difference.mean()), variance.half_width(LEVEL).item()
    p_value = variance.p_value(np.array([mean])).item()
    return Difference(mean=mean, low=max(-1.0, mean - half), high=min(1.0, mean + half), p_value=p_value), variance


def interval(model: Correctness) -> Interval | None:
    """The mean accuracy of a model with its confidence interval; None for a model without a variance estimate.

    Near 0 and 1, with fewer than MIN_SYMMETRIC_COUNT correct predictions or errors, the limits are Wilson's for the
    number of images that gives the same half-width. If all predictions are correct, or all are errors, the estimated
    variance is 0, and the limits are those of Clopper and Pearson for n images.

    Source: Wilson 1927, https://doi.org/10.1080/01621459.1927.10502953.
    """
    if not model.has_variance_estimate:
        return None
    k, n = model.correct.shape
    variance = _components([model]).variance
    mean, half = float(model.correct.mean()), variance.half_width(LEVEL).item()
    low, high = max(0.0, mean - half), min(1.0, mean + half)
    if mean in (0.0, 1.0):
        exact = stats.binomtest(round(mean * n), n).proportion_ci(LEVEL, method="exact")
        low, high = float(exact.low), float(exact.high)
    elif n * min(mean, 1 - mean) < MIN_SYMMETRIC_COUNT:
        effective = special.ndtri((1 + LEVEL) / 2) ** 2 * mean * (1 - mean) / half**2
        low, high = map(float, proportion_confint(mean * effective, effective, 1 - LEVEL, method="wilson"))
    seeds_part = special.stdtrit(variance.degrees_of_freedom, (1 + LEVEL) / 2) ** 2 * variance.seeds
    return Interval(
        mean=mean,
        low=low,
        high=high,
        standard_error=variance.standard_error.item(),
        seed_variance_share=seeds_part.item() / half**2 if half > 0 else 0.0,
        level=LEVEL,
        n_seeds=k,
        n_images=n,
    )


def compare_all(models: Sequence[Correctness]) -> Comparison:
    """Compare all pairs of `models`, evaluated on the same images.

    Raises:
        MetricError: the numbers of images differ.
    """
    sizes = sorted({model.correct.shape[1] for model in models})
    if len(sizes) > 1:
        raise MetricError(f"models must be evaluated on the same images, got {' and '.join(map(str, sizes))} images")
    a, b = np.triu_indices(len(models), 1)
    difference, variance = differences(models, a, b)

    def matrix(above: FloatArray, sign: int = 1, diagonal: float = math.nan) -> FloatArray:
        full = np.full((len(models), len(models)), diagonal)
        full[a, b], full[b, a] = above, sign * above
        return full

    return Comparison(
        difference=matrix(difference, sign=-1, diagonal=0.0),
        variance=Variance(
            images=matrix(variance.images),
            seeds=matrix(variance.seeds),
            degrees_of_freedom=matrix(variance.degrees_of_freedom),
        ),
        p_value=matrix(variance.p_value(difference)),
    )


def differences(models: Sequence[Correctness], a: IntArray, b: IntArray) -> tuple[FloatArray, Variance]:
    """Accuracy of models[a[i]] minus that of models[b[i]], with its variance; one matrix product serves all pairs."""
    single, n = _components(models), models[0].correct.shape[1]
    counts = np.array([len(model.correct) for model in models], dtype=np.float64)
    correct = np.array([model.correct.sum(axis=0) for model in models], dtype=np.float64)
    # Products of whole numbers are exact, so models with the same predictions differ by exactly 0.
    products = correct @ correct.T / np.outer(counts, counts)
    squares, mean = products.diagonal(), correct.sum(axis=1) / (counts * n)
    difference = mean[a] - mean[b]
    image_variance = (squares[a] + squares[b] - 2 * products[a, b] - n * difference**2) / (n - 1)
    components = _Components(
        # Models that agree on all n images may still disagree on others: assume a disagreement on one image.
        images=np.where(image_variance > 0, image_variance, 1 / n) / n,
        seeds=single.seeds[a] + single.seeds[b],
        welch=single.welch[a] + single.welch[b],
        shared=single.shared[a] + single.shared[b],
    )
    return difference, components.variance


def holm(p_values: FloatArray) -> FloatArray:
    """p-values of any shape, adjusted for multiple comparisons by Holm's method; NaN are ignored and kept."""
    tested = np.isfinite(p_values)
    adjusted = np.full(p_values.shape, np.nan)
    if tested.any():
        adjusted[tested] = multipletests(p_values[tested], method="holm")[1]
    return adjusted


def mcnemar(a: BoolArray, b: BoolArray) -> float:
    """McNemar's exact p-value for two fitted models; it ignores the variance across seeds.

    Args:
        a: whether the first model classifies each image correctly, shape (n,).
        b: the same for the second model.

    Source: McNemar 1947, https://doi.org/10.1007/BF02295996.
    """
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    if only_a + only_b == 0:
        return 1.0
    return float(stats.binomtest(only_a, only_a + only_b).pvalue)


def prediction_interval(accuracies: FloatArray, *, new_seeds: int = 1) -> tuple[float, float] | None:
    """The 95% prediction interval for the mean accuracy of `new_seeds` new seeds on the same images.

    `accuracies`, shape (k,), are those of refits that differ only in their seed; None for a single one.
    """
    k = len(accuracies)
    if k < 2:
        return None
    half = float(stats.t.ppf((1 + LEVEL) / 2, k - 1) * accuracies.std(ddof=1) * math.sqrt(1 / new_seeds + 1 / k))
    mean = float(accuracies.mean())
    return max(0.0, mean - half), min(1.0, mean + half)
