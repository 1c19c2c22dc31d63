"""What a comparison promises, held against thousands of models of known truth.

A nominal 5 % is believed unless the 99 % interval of Clopper and Pearson for what was counted lies wholly above it, and
a nominal 95 % unless it lies wholly below.
"""

import numpy as np
import pytest
from scipy import stats

from bench.evaluation.comparison import LEVEL, interval
from bench.evaluation.power import power
from benchmarks.power import TRUTH, all_estimates, chance, draw

pytestmark = [pytest.mark.slow, pytest.mark.long]

PAIRS = 10_000
DEVIATIONS = (0.001, 0.01)  # of accuracy over seeds: each model has its own, between these
BELIEF = 0.99


EASY = ((0.97, 1.0, 1.0), (0.01, 0.0, 0.0), (0.005, 0.85, 0.15), (0.005, 0.15, 0.85), (0.01, 0.5, 0.5))  # 98 %


def counted(count: int, total: int) -> tuple[float, float]:
    """The interval of Clopper and Pearson."""
    found = stats.binomtest(count, total).proportion_ci(BELIEF, method="exact")
    return float(found.low), float(found.high)


def deviations(random: np.random.Generator, pairs: int) -> np.ndarray:
    """Those of both models of each pair: small ones as often as large ones."""
    low, high = np.log(DEVIATIONS)
    found: np.ndarray = np.exp(random.uniform(low, high, (pairs, 2)))
    return found


@pytest.mark.parametrize("images", [360, 10_000])
@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_no_more_differences_are_claimed_where_there_is_none(seeds: int, images: int) -> None:
    random = np.random.default_rng([seeds, images])
    difference, half = all_estimates(random, images, seeds, deviations(random, PAIRS))
    low, _ = counted(int((np.abs(difference) > half).sum()), PAIRS)
    assert low <= 1 - LEVEL


@pytest.mark.parametrize("unequal", [(0.001, 0.01), (0.01, 0.01)], ids=["unequal", "equal"])
def test_also_where_the_deviations_are_extreme(unequal: tuple[float, float]) -> None:
    random = np.random.default_rng(1)
    difference, half = all_estimates(random, 10_000, 3, np.tile(unequal, (PAIRS, 1)))
    low, _ = counted(int((np.abs(difference) > half).sum()), PAIRS)
    assert low <= 1 - LEVEL


def test_a_quantile_of_satterthwaites_would_be_found_out() -> None:
    """These tests can fail: the usual way of comparing, with one quantile for both parts, does not keep the promise."""
    random = np.random.default_rng(2)
    claims = 0
    for one, other in draw(random, 1_000, 3, np.tile((0.001, 0.02), (PAIRS // 2, 1))):
        accuracies = one.correct.mean(axis=1), other.correct.mean(axis=1)
        d = one.correct.mean(axis=0) - other.correct.mean(axis=0)
        images, seeds = d.var(ddof=1) / len(d), [of.var(ddof=1) / 3 for of in accuracies]
        twice = sum(model.correct.var(axis=0, ddof=1).mean() / model.correct.size for model in (one, other))
        total = max(images, images + sum(seeds) - twice)
        freedom = total**2 / (images**2 / (len(d) - 1) + sum(part**2 / 2 for part in seeds))
        claims += abs(d.mean()) > stats.t.ppf((1 + LEVEL) / 2, max(2, freedom)) * total**0.5
    low, _ = counted(int(claims), PAIRS // 2)
    assert low > 1 - LEVEL


@pytest.mark.parametrize("images", [360, 10_000])
@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_intervals_hold_the_truth(seeds: int, images: int) -> None:
    random = np.random.default_rng([seeds, images, 1])
    held = 0
    for _, model in draw(random, images, seeds, deviations(random, PAIRS)):
        found = interval(model)
        assert found is not None
        held += found.low <= TRUTH <= found.high
    _, high = counted(held, PAIRS)
    assert high >= LEVEL


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_intervals_near_1_hold_the_truth(seeds: int) -> None:
    random = np.random.default_rng([seeds, 4])
    held = 0
    for _, model in draw(random, 360, seeds, np.full((PAIRS, 2), 0.002), kinds_of_images=EASY):
        found = interval(model)
        assert found is not None
        held += found.low <= 0.98 <= found.high
    _, high = counted(held, PAIRS)
    assert high >= LEVEL


@pytest.mark.parametrize("seeds", [3, 10])
def test_intervals_of_differences_hold_the_truth(seeds: int) -> None:
    random = np.random.default_rng([seeds, 2])
    difference, half = all_estimates(random, 10_000, seeds, deviations(random, PAIRS), difference=0.004)
    _, high = counted(int((np.abs(difference - 0.004) <= half).sum()), PAIRS)
    assert high >= LEVEL


@pytest.mark.parametrize(("seeds", "difference"), [(3, 0.01), (5, 0.005), (10, 0.005)])
def test_power_is_what_is_expected(seeds: int, difference: float) -> None:
    random = np.random.default_rng([seeds, 3])
    found, half = all_estimates(random, 10_000, seeds, np.full((2_000, 2), 0.003), difference)
    expected = power(difference, chance(10_000, (0.003, 0.003)), seeds)
    assert (np.abs(found) > half).mean() == pytest.approx(expected, abs=0.04)
