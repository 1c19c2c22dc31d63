"""Error rates and coverage of comparisons, on thousands of simulated models with known accuracy.

A nominal rate of 5% is rejected if the 99% interval of Clopper and Pearson for the count lies above it, and a nominal
coverage of 95% if the interval lies below it.
"""

import numpy as np
import pytest
from scipy import stats

from bench.evaluation.comparison import LEVEL, interval
from bench.evaluation.power import power
from benchmarks.power import ACCURACY, estimate_in_chunks, simulate, variance_components

pytestmark = [pytest.mark.slow, pytest.mark.long]

PAIRS = 10_000
STD_RANGE = (0.001, 0.01)  # of accuracy across seeds; each model has its own, between these
CONFIDENCE = 0.99
EASY = ((0.97, 1.0, 1.0), (0.01, 0.0, 0.0), (0.005, 0.85, 0.15), (0.005, 0.15, 0.85), (0.01, 0.5, 0.5))  # 98% accuracy


def clopper_pearson(count: int, total: int) -> tuple[float, float]:
    """The interval of a rate."""
    limits = stats.binomtest(count, total).proportion_ci(CONFIDENCE, method="exact")
    return float(limits.low), float(limits.high)


def random_stds(random: np.random.Generator, pairs: int) -> np.ndarray:
    """Standard deviations across seeds for both models of each pair, log-uniform."""
    low, high = np.log(STD_RANGE)
    stds: np.ndarray = np.exp(random.uniform(low, high, (pairs, 2)))
    return stds


@pytest.mark.parametrize("images", [360, 10_000])
@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_type_1_error_is_at_most_its_nominal_rate(seeds: int, images: int) -> None:
    random = np.random.default_rng([seeds, images])
    difference, half = estimate_in_chunks(random, images, seeds, random_stds(random, PAIRS))
    low, _ = clopper_pearson(int((np.abs(difference) > half).sum()), PAIRS)
    assert low <= 1 - LEVEL


@pytest.mark.parametrize("unequal", [(0.001, 0.01), (0.01, 0.01)], ids=["unequal", "equal"])
def test_type_1_error_is_at_most_its_nominal_rate_for_extreme_seed_variances(unequal: tuple[float, float]) -> None:
    random = np.random.default_rng(1)
    difference, half = estimate_in_chunks(random, 10_000, 3, np.tile(unequal, (PAIRS, 1)))
    low, _ = clopper_pearson(int((np.abs(difference) > half).sum()), PAIRS)
    assert low <= 1 - LEVEL


def test_single_quantile_by_satterthwaite_exceeds_the_nominal_rate() -> None:
    """Shows that these tests can fail: the usual test, with one quantile for both sources, has too many errors."""
    random = np.random.default_rng(2)
    significant = 0
    for a, b in simulate(random, 1_000, 3, np.tile((0.001, 0.02), (PAIRS // 2, 1))):
        accuracies = a.correct.mean(axis=1), b.correct.mean(axis=1)
        d = a.correct.mean(axis=0) - b.correct.mean(axis=0)
        images, seeds = d.var(ddof=1) / len(d), [values.var(ddof=1) / 3 for values in accuracies]
        shared = sum(model.correct.var(axis=0, ddof=1).mean() / model.correct.size for model in (a, b))
        total = max(images, images + sum(seeds) - shared)
        freedom = total**2 / (images**2 / (len(d) - 1) + sum(part**2 / 2 for part in seeds))
        significant += abs(d.mean()) > stats.t.ppf((1 + LEVEL) / 2, max(2, freedom)) * total**0.5
    low, _ = clopper_pearson(int(significant), PAIRS // 2)
    assert low > 1 - LEVEL


@pytest.mark.parametrize("images", [360, 10_000])
@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_intervals_cover_the_true_accuracy(seeds: int, images: int) -> None:
    random = np.random.default_rng([seeds, images, 1])
    covered = 0
    for _, model in simulate(random, images, seeds, random_stds(random, PAIRS)):
        limits = interval(model)
        assert limits is not None
        covered += limits.low <= ACCURACY <= limits.high
    _, high = clopper_pearson(covered, PAIRS)
    assert high >= LEVEL


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_intervals_near_1_cover_the_true_accuracy(seeds: int) -> None:
    random = np.random.default_rng([seeds, 4])
    covered = 0
    for _, model in simulate(random, 360, seeds, np.full((PAIRS, 2), 0.002), kinds=EASY):
        limits = interval(model)
        assert limits is not None
        covered += limits.low <= 0.98 <= limits.high
    _, high = clopper_pearson(covered, PAIRS)
    assert high >= LEVEL


@pytest.mark.parametrize("seeds", [3, 10])
def test_intervals_of_differences_cover_the_true_difference(seeds: int) -> None:
    random = np.random.default_rng([seeds, 2])
    difference, half = estimate_in_chunks(random, 10_000, seeds, random_stds(random, PAIRS), difference=0.004)
    _, high = clopper_pearson(int((np.abs(difference - 0.004) <= half).sum()), PAIRS)
    assert high >= LEVEL


@pytest.mark.parametrize(("seeds", "difference"), [(3, 0.01), (5, 0.005), (10, 0.005)])
def test_computed_power_equals_the_simulated_rate(seeds: int, difference: float) -> None:
    random = np.random.default_rng([seeds, 3])
    observed, half = estimate_in_chunks(random, 10_000, seeds, np.full((2_000, 2), 0.003), difference)
    expected = power(difference, variance_components(10_000, (0.003, 0.003)), seeds)
    assert (np.abs(observed) > half).mean() == pytest.approx(expected, abs=0.04)
