"""Verdicts on changes of accuracy: equivalent, worse, better, inconclusive."""

import numpy as np
import pytest

from bench.errors import MetricError
from bench.evaluation.arrays import BoolArray
from bench.evaluation.equivalence import EQUIVALENCE_MARGIN, AccuracyChange, accuracy_changes
from bench.evaluation.variance import Correctness

IMAGES = 10_000


def make_correctness(accuracy: float, seeds: int = 12, std: float = 0.0, salt: int = 0) -> Correctness:
    """Each seed classifies the first images correctly; accuracies vary across seeds with `std`, their mean is exact."""
    deviations = np.random.default_rng(salt).normal(0, std, seeds)
    deviations -= deviations.mean()
    counts = np.round((accuracy + deviations) * IMAGES).astype(int)
    return Correctness(correct=np.arange(IMAGES) < counts[:, None])


def change(older: Correctness, newer: Correctness) -> AccuracyChange:
    return accuracy_changes([(older, newer)])[0]


def test_identical_predictions_are_equivalent() -> None:
    result = change(make_correctness(0.9), make_correctness(0.9))
    assert (result.verdict, result.difference.mean, result.additional_seeds) == ("equivalent", 0.0, None)


def test_significant_difference_within_the_margin_is_equivalent() -> None:
    # 0.1 points apart with little variance: different from 0, but within half a point. Equivalence is tested first.
    result = change(make_correctness(0.900, std=1e-4), make_correctness(0.901, std=1e-4, salt=1))
    assert result.p_different < 0.05
    assert result.verdict == "equivalent"
    assert -EQUIVALENCE_MARGIN < result.low < result.high < EQUIVALENCE_MARGIN


def test_large_difference_is_better_or_worse() -> None:
    low, high = make_correctness(0.90, std=0.003), make_correctness(0.92, std=0.003, salt=1)
    assert change(low, high).verdict == "better"
    assert change(high, low).verdict == "worse"


def test_inconclusive_comparison_reports_the_additional_seeds() -> None:
    older, newer = make_correctness(0.9, seeds=3, std=0.03), make_correctness(0.9, seeds=3, std=0.03, salt=1)
    result = change(older, newer)
    assert result.verdict == "inconclusive"
    # For many seeds the half-width of the 90% interval is 1.645 * s / sqrt(k), with s the std of the differences.
    variance = float((newer.correct.mean(axis=1) - older.correct.mean(axis=1)).var(ddof=1))
    assert result.additional_seeds is not None
    assert 3 + result.additional_seeds == pytest.approx(1.645**2 * variance / EQUIVALENCE_MARGIN**2, rel=0.1)
    assert not result.test_set_too_small


def test_no_number_of_seeds_is_enough_for_a_small_test_set() -> None:
    # In every seed, 1,000 images become wrong and 1,000 become right: 1.645 * sqrt(2,000) / 10,000 = 0.0074 > 0.005.
    older = make_correctness(0.9)
    result = change(older, Correctness(correct=older.correct[:, ::-1]))
    assert (result.verdict, result.additional_seeds, result.test_set_too_small) == ("inconclusive", None, True)


def test_difference_at_the_margin_is_never_equivalent() -> None:
    older, newer = make_correctness(0.9, std=1e-4), make_correctness(0.9051, std=1e-4, salt=1)
    assert change(older, newer).p_equivalent > 0.5


def test_p_values_are_adjusted_for_the_number_of_comparisons() -> None:
    pair = (make_correctness(0.9, std=0.004), make_correctness(0.9, std=0.004, salt=1))
    assert change(*pair).verdict == "equivalent"
    noisy = (make_correctness(0.9, std=0.01), make_correctness(0.9, std=0.01, salt=1))
    together = accuracy_changes([pair, *[noisy] * 30])
    assert together[0].p_equivalent == pytest.approx(31 * change(*pair).p_equivalent)


def test_refits_are_paired_by_seed() -> None:
    # Accuracies vary by points across seeds, but every seed gains exactly ten images.
    older = make_correctness(0.9, std=0.02)
    newer = Correctness(correct=np.arange(IMAGES) < older.correct.sum(axis=1)[:, None] + 10)
    result = change(older, newer)
    assert result.difference.mean == pytest.approx(0.001)
    assert result.verdict == "equivalent"


def test_interval_of_independent_pairs_contains_both_variances() -> None:
    older, newer = make_correctness(0.9, seeds=100, std=0.01), make_correctness(0.9, seeds=100, std=0.01, salt=1)
    # 1.66 (Student's t with 99 degrees of freedom) * sqrt(2) * 0.01 / 10
    assert change(older, newer).high == pytest.approx(1.66 * 2**0.5 * 0.001, rel=0.2)


def test_single_seed_is_rejected() -> None:
    single: BoolArray = np.ones((1, 10), dtype=bool)
    with pytest.raises(MetricError, match="at least two seeds"):
        change(Correctness(correct=single), Correctness(correct=single))
