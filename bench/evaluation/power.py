"""Statistical power: how large a difference a comparison of two models can detect, and with how many seeds.

Power is the probability that a true difference is found significant. It is computed by Monte Carlo from the sampling
distributions of what a comparison estimates: the mean difference (normal) and each model's variance across seeds
(chi-squared). Tests check these draws against simulated predictions of individual images.
"""

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
from scipy import stats

from bench.evaluation.comparison import LEVEL
from bench.evaluation.variance import Variance

DRAWS = 20_000
TARGET_POWER = 0.8
MAX_SEEDS = 100
STEPS = 2**17  # in which detectable differences are computed


@dataclass(frozen=True, slots=True, kw_only=True)
class VarianceComponents:
    """The sources of uncertainty in the difference of two models."""

    image_variance: float  # of their mean difference on this test set in the limit of unlimited seeds
    seed_std: tuple[float, float]  # standard deviation of each model's accuracy across seeds, as a fraction


def power(difference: float, components: VarianceComponents, seeds: int) -> float:
    """The probability that a true difference of mean accuracies is significant with `seeds` >= 2 seeds per model.

    Both the difference and the probability are fractions in [0, 1].
    """
    # Common random numbers for every difference and number of seeds keep the estimate monotonic in both.
    random = np.random.default_rng(0)
    normal = random.standard_normal(DRAWS)
    uniform = random.random((2, DRAWS))
    true = np.array([std**2 / seeds for std in components.seed_std])[:, None]
    estimated = true * stats.chi2.ppf(uniform, seeds - 1) / (seeds - 1)
    total = estimated.sum(axis=0)
    freedom = np.where(total == 0, 1.0, total**2 * (seeds - 1) / np.maximum((estimated**2).sum(axis=0), 1e-300))
    variance = Variance(
        images=np.full(DRAWS, components.image_variance),
        seeds=total,
        degrees_of_freedom=np.clip(freedom, seeds - 1, 2 * (seeds - 1)),
    )
    observed = difference + normal * np.sqrt(components.image_variance + true.sum())
    return float((np.abs(observed) > variance.half_width(LEVEL)).mean())


def power_with_unlimited_seeds(difference: float, components: VarianceComponents) -> float:
    """The limit of `power` for many seeds, where only the finite test set contributes uncertainty."""
    if components.image_variance == 0:
        return float(difference != 0)
    quantile, distance = stats.norm.ppf((1 + LEVEL) / 2), difference / components.image_variance**0.5
    return float(stats.norm.sf(quantile - distance) + stats.norm.cdf(-quantile - distance))


def required_seeds(difference: float, components: VarianceComponents) -> int | None:
    """The fewest seeds per model that detect the difference with TARGET_POWER; None if more than MAX_SEEDS."""
    most = min(power_with_unlimited_seeds(difference, components), power(difference, components, MAX_SEEDS))
    if most < TARGET_POWER:
        return None
    numbers = range(2, MAX_SEEDS + 1)
    return numbers[bisect_left(numbers, TARGET_POWER, key=lambda seeds: power(difference, components, seeds))]


def minimum_detectable_difference(components: VarianceComponents, seeds: int | None) -> float:
    """The smallest difference, as a fraction, detected with TARGET_POWER; `seeds` None means unlimited seeds."""

    def achieved(step: int) -> float:
        difference = step / STEPS
        if seeds is None:
            return power_with_unlimited_seeds(difference, components)
        return power(difference, components, seeds)

    return bisect_left(range(STEPS), TARGET_POWER, key=achieved) / STEPS
