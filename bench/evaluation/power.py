"""How large a difference can a comparison of two models see, and how many seeds does it need for that?

The power of a comparison is how often it finds a difference that is there. It is computed by drawing what a comparison
is made from: the mean difference, from a normal distribution, and each model's variance over its seeds, from a
chi-squared one. That these draws stand for real ones is tested against simulated answers to single images.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from bench.evaluation.comparison import LEVEL, Variance

DRAWS = 20_000
POWER = 0.8
MAX_SEEDS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Chance:
    """What makes the scores of two models uncertain."""

    images_variance: float  # of their mean difference on this test set, were there endless seeds
    deviations: tuple[float, float]  # of the accuracy of each model over its seeds, as fractions


def power(difference: float, chance: Chance, seeds: int, level: float = LEVEL) -> float:
    """How often a true difference of `difference` is found with so many seeds of each model; a fraction in [0, 1].

    Args:
        difference: of mean accuracies, as a fraction.
        chance: what it has to be told from.
        seeds: of each model, at least 2.
        level: of the comparison.
    """
    # The same draws for every difference and number of seeds, so that more of either never looks worse by chance.
    random = np.random.default_rng(0)
    normal = random.standard_normal(DRAWS)
    uniform = random.random((2, DRAWS))
    true = np.array([deviation**2 / seeds for deviation in chance.deviations])[:, None]
    found = true * stats.chi2.ppf(uniform, seeds - 1) / (seeds - 1)
    total = found.sum(axis=0)
    freedom = np.where(total == 0, 1.0, total**2 * (seeds - 1) / np.maximum((found**2).sum(axis=0), 1e-300))
    variance = Variance(
        images=np.full(DRAWS, chance.images_variance),
        seeds=total,
        degrees_of_freedom=np.clip(freedom, seeds - 1, 2 * (seeds - 1)),
    )
    drawn = difference + normal * np.sqrt(chance.images_variance + true.sum())
    return float((np.abs(drawn) > variance.half_width(level)).mean())


def power_with_unlimited_seeds(difference: float, chance: Chance, level: float = LEVEL) -> float:
    """What is left to the test set: how often it shows the difference of two models that are known exactly."""
    if chance.images_variance == 0:
        return float(difference != 0)
    quantile, distance = stats.norm.ppf((1 + level) / 2), difference / chance.images_variance**0.5
    return float(stats.norm.sf(quantile - distance) + stats.norm.cdf(-quantile - distance))


def seeds_needed(difference: float, chance: Chance, wanted: float = POWER, most: int = MAX_SEEDS) -> int | None:
    """The fewest seeds of each model with which the difference is found in `wanted` of all cases; None above `most`."""
    if power_with_unlimited_seeds(difference, chance) < wanted or power(difference, chance, most) < wanted:
        return None
    few, many = 1, most  # too few, and enough
    while many - few > 1:
        middle = (few + many) // 2
        if power(difference, chance, middle) >= wanted:
            many = middle
        else:
            few = middle
    return many


def smallest_difference(chance: Chance, seeds: int | None, wanted: float = POWER) -> float:
    """The smallest difference, as a fraction, that is found in `wanted` of all cases; with endless seeds for None."""
    few, many = 0.0, 1.0
    while many - few > 1e-5:
        middle = (few + many) / 2
        found = power_with_unlimited_seeds(middle, chance) if seeds is None else power(middle, chance, seeds)
        if found >= wanted:
            many = middle
        else:
            few = middle
    return many
