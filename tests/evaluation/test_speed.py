"""Ratios of seconds, and their noise floor."""

import time
from itertools import pairwise

import numpy as np
import pytest

from bench.evaluation.speed import log_ratio, noise_floor


def test_ratio_is_that_of_the_medians() -> None:
    assert np.exp(log_ratio(np.array([2.0, 2.0, 9.0]), np.array([1.0, 1.0, 1.0]))) == pytest.approx(2)


def test_noise_floor_of_four_starts() -> None:
    # 1, 1, 2, 2 has six splits: 1 1 | 2 2 and its reverse (log 2), and four times 1 2 | 1 2 (0); the 95th percentile of
    # 0 0 0 0 log2 log2 is log 2. With nine constant versions, 58 of 60 ratios are 0.
    assert noise_floor([np.array([1.0, 1.0, 2.0, 2.0])]) == pytest.approx(np.log(2))
    assert noise_floor([np.ones(4)] * 9 + [np.array([1.0, 1.0, 2.0, 2.0])]) == 0


def test_noise_floor_of_many_starts_approaches_that_of_the_normal_distribution() -> None:
    # Std of the median of 10 normal values: 1.2533 * 0.01 / sqrt(10); of a difference of two, sqrt(2) of it: 0.0056.
    starts = [np.exp(np.random.default_rng(seed).normal(0, 0.01, 20)) for seed in range(40)]
    assert noise_floor(starts) == pytest.approx(1.96 * 0.0056, rel=0.25)


def test_noise_floor_of_forty_starts_is_computed_within_a_second() -> None:
    starts = np.exp(np.random.default_rng(0).normal(0, 0.01, 40))
    before = time.process_time()
    assert 0.001 < noise_floor([starts]) < 0.01
    assert time.process_time() - before < 1


def test_too_few_starts_are_rejected() -> None:
    with pytest.raises(ValueError, match="at least 4"):
        noise_floor([np.ones(3)])


@pytest.mark.parametrize(("count", "starts", "rate"), [(6, 10, 0.01), (2, 10, 0.03), (6, 4, 0.03), (2, 4, 0.07)])
def test_rate_of_unchanged_pieces_above_the_noise_floor(count: int, starts: int, rate: float) -> None:
    """The rates that versions.md states."""
    random = np.random.default_rng(0)
    above = []
    for _ in range(2400 // count):
        versions = list(np.exp(random.normal(0, 0.03, (count, starts))))
        floor = noise_floor(versions)
        above += [abs(log_ratio(newer, older)) > floor for older, newer in pairwise(versions)]
    assert np.mean(above) == pytest.approx(rate, abs=0.01)
