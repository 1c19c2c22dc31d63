"""The variance of accuracies and of their differences, by source.

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
from scipy import special
from scipy.optimize import elementwise

from bench.errors import MetricError
from bench.evaluation.arrays import BoolArray, FloatArray

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


def variance_terms(values: BoolArray | FloatArray, *, deterministic: bool = False) -> FloatArray:
    """The terms of the variance of the mean of `values`, shape (k, n) for k seeds and n images.

    Returns:
        var_i(c_i) / n, s^2 / k, (s^2 / k)^2 / (k - 1) for Welch's formula, and R. For one seed all but the first are
        NaN, for a deterministic model 0.
    """
    k, n = values.shape
    mean = values.mean(axis=0)
    images = mean.var(ddof=1) / n
    if deterministic or k == 1:
        return np.array([images, *[0.0 if deterministic else math.nan] * 3])
    seeds = values.mean(axis=1).var(ddof=1) / k
    # The mean over images of the variance across seeds; by means of squares, many times faster than `var`.
    within = np.square(values, dtype=np.float64).mean() - np.square(mean).mean()
    return np.array([images, seeds, seeds**2 / (k - 1), max(0.0, within) / ((k - 1) * n)])


def terms_by_model(models: Sequence[Correctness]) -> FloatArray:
    """The terms of the variance of each model's mean accuracy, shape (4, models)."""
    return np.stack([variance_terms(model.correct, deterministic=model.deterministic) for model in models], axis=1)


def variance_from_terms(images: FloatArray, seeds: FloatArray, welch: FloatArray, shared: FloatArray) -> Variance:
    """The variance of means or differences from the terms of `variance_terms`, each summed over the models compared."""
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = np.where(seeds == 0, 1.0, seeds**2 / welch)
    without_shared = np.maximum(0.0, images - np.minimum(shared, seeds))
    return Variance(images=without_shared, seeds=seeds, degrees_of_freedom=freedom)
