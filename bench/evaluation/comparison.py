"""Confidence intervals and significance tests for accuracies and their differences (method: see variance.py)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special, stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from bench.errors import MetricError
from bench.evaluation.arrays import BoolArray, FloatArray, IntArray
from bench.evaluation.variance import (
    Correctness,
    Variance,
    terms_by_model,
    variance_from_terms,
    variance_terms,
)

LEVEL = 0.95
MIN_SYMMETRIC_COUNT = 100  # errors and correct predictions; with fewer, symmetric limits have too low a coverage


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
    degrees_of_freedom: float  # of the variance across seeds


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
        variance = self.variance.at(a, b)
        return _difference(float(self.difference[a, b]), variance, p_value=float(self.p_value[a, b]))


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
    images, *by_seed = variance_terms(difference)[:, None]
    variance = variance_from_terms(np.where(images > 0, images, 1 / n**2), *by_seed)  # as in `differences`
    mean = float(difference.mean())
    return _difference(mean, variance, p_value=variance.p_value(np.array([mean])).item()), variance


def _difference(mean: float, variance: Variance, *, p_value: float) -> Difference:
    half = float(variance.half_width(LEVEL).item())
    return Difference(
        mean=mean,
        low=max(-1.0, mean - half),
        high=min(1.0, mean + half),
        p_value=p_value,
        degrees_of_freedom=float(variance.degrees_of_freedom.item()),
    )


def interval(model: Correctness) -> Interval | None:
    """The mean accuracy of a model with its confidence interval; None for a model without a variance estimate.

    Near 0 and 1, with fewer than MIN_SYMMETRIC_COUNT correct predictions or errors, the limits are Wilson's for the
    number of images that gives the same half-width, and at most n. If all predictions are correct, or all are errors,
    the estimated variance is 0, and the limits are those of Clopper and Pearson for n images.

    Source: Wilson 1927, https://doi.org/10.1080/01621459.1927.10502953.
    """
    if not model.has_variance_estimate:
        return None
    k, n = model.correct.shape
    variance = variance_from_terms(*terms_by_model([model]))
    mean, half = float(model.correct.mean()), variance.half_width(LEVEL).item()
    low, high = max(0.0, mean - half), min(1.0, mean + half)
    if mean in (0.0, 1.0):
        exact = stats.binomtest(round(mean * n), n).proportion_ci(LEVEL, method="exact")
        low, high = float(exact.low), float(exact.high)
    elif n * min(mean, 1 - mean) < MIN_SYMMETRIC_COUNT:
        effective = min(n, special.ndtri((1 + LEVEL) / 2) ** 2 * mean * (1 - mean) / half**2)
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
    _, *by_seed = terms_by_model(models)
    n = models[0].correct.shape[1]
    counts = np.array([len(model.correct) for model in models], dtype=np.float64)
    correct = np.array([model.correct.sum(axis=0) for model in models], dtype=np.float64)
    # Products of whole numbers are exact, so models with the same predictions differ by exactly 0.
    products = correct @ correct.T / np.outer(counts, counts)
    squares, mean = products.diagonal(), correct.sum(axis=1) / (counts * n)
    difference = mean[a] - mean[b]
    image_variance = (squares[a] + squares[b] - 2 * products[a, b] - n * difference**2) / (n - 1)
    # Models that agree on all n images may still disagree on others: assume a disagreement on one image.
    images = np.where(image_variance > 0, image_variance, 1 / n) / n
    return difference, variance_from_terms(images, *(term[a] + term[b] for term in by_seed))


def holm(p_values: FloatArray) -> FloatArray:
    """p-values of any shape, adjusted for multiple comparisons by Holm's method; NaN are ignored and kept."""
    tested = np.isfinite(p_values)
    adjusted = np.full(p_values.shape, np.nan)
    if tested.any():
        adjusted[tested] = multipletests(p_values[tested], method="holm")[1]
    return adjusted


def benjamini_hochberg(p_values: FloatArray) -> FloatArray:
    """p-values of shape (n,), adjusted to control the false discovery rate.

    Source: Benjamini and Hochberg 1995, https://doi.org/10.1111/j.2517-6161.1995.tb02031.x.
    """
    adjusted: FloatArray = multipletests(p_values, method="fdr_bh")[1]
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
