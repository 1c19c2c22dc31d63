"""Verdicts on versions: same, worse, better, cannot tell."""

import numpy as np
import pytest

from bench.errors import MetricError
from bench.evaluation.comparison import BoolArray, Correctness
from bench.evaluation.equivalence import EQUIVALENCE_MARGIN, AccuracyChange, accuracy_changes

IMAGES = 10_000


def trained(accuracy: float, seeds: int = 12, deviation: float = 0.0, salt: int = 0) -> Correctness:
    """Each seed is right at the first images, as many as its accuracy says; a few seeds wander by `deviation`."""
    wander = np.random.default_rng(salt).normal(0, deviation, seeds)
    wander -= wander.mean()
    right = np.round((accuracy + wander) * IMAGES).astype(int)
    return Correctness(correct=np.arange(IMAGES) < right[:, None])


def change(older: Correctness, newer: Correctness) -> AccuracyChange:
    return accuracy_changes([(older, newer)])[0]


def test_equal_answers_are_the_same() -> None:
    found = change(trained(0.9), trained(0.9))
    assert (found.verdict, found.difference.mean, found.additional_seeds) == ("equivalent", 0.0, None)


def test_a_small_difference_that_is_known_well_is_the_same() -> None:
    # 0.1 points apart, hardly any chance in it: more than 0, and still inside half a point. Same is asked first.
    found = change(trained(0.900, deviation=1e-4), trained(0.901, deviation=1e-4, salt=1))
    assert found.p_different < 0.05
    assert found.verdict == "equivalent"
    assert -EQUIVALENCE_MARGIN < found.low < found.high < EQUIVALENCE_MARGIN


def test_a_large_difference_is_better_or_worse() -> None:
    low, high = trained(0.90, deviation=0.003), trained(0.92, deviation=0.003, salt=1)
    assert change(low, high).verdict == "better"
    assert change(high, low).verdict == "worse"


def test_what_cannot_be_told_names_the_seeds_it_takes() -> None:
    older, newer = trained(0.9, seeds=3, deviation=0.03), trained(0.9, seeds=3, deviation=0.03, salt=1)
    found = change(older, newer)
    assert found.verdict == "inconclusive"
    # With many seeds the half-width of the 90 % interval is 1.645 * s / sqrt(k), with the deviation s of differences.
    square = float((newer.correct.mean(axis=1) - older.correct.mean(axis=1)).var(ddof=1))
    assert found.additional_seeds is not None
    assert 3 + found.additional_seeds == pytest.approx(1.645**2 * square / EQUIVALENCE_MARGIN**2, rel=0.1)


def test_a_difference_of_just_the_margin_is_never_the_same() -> None:
    assert change(trained(0.9, deviation=1e-4), trained(0.9051, deviation=1e-4, salt=1)).p_equivalent > 0.5


def test_many_comparisons_ask_for_more() -> None:
    pair = (trained(0.9, deviation=0.004), trained(0.9, deviation=0.004, salt=1))
    assert change(*pair).verdict == "equivalent"
    far = (trained(0.9, deviation=0.01), trained(0.9, deviation=0.01, salt=1))
    together = accuracy_changes([pair, *[far] * 30])
    assert together[0].p_equivalent == pytest.approx(31 * change(*pair).p_equivalent)


def test_each_seed_is_compared_with_itself() -> None:
    # Seeds differ by points, but each is right at just ten images more: seeds leave nothing to chance.
    older = trained(0.9, deviation=0.02)
    newer = Correctness(correct=np.arange(IMAGES) < older.correct.sum(axis=1)[:, None] + 10)
    found = change(older, newer)
    assert found.difference.mean == pytest.approx(0.001)
    assert found.verdict == "equivalent"


def test_pairs_that_have_nothing_in_common_are_as_wide_as_both_together() -> None:
    older, newer = trained(0.9, seeds=100, deviation=0.01), trained(0.9, seeds=100, deviation=0.01, salt=1)
    # 1.66 (Student's t with 99 degrees of freedom) * sqrt(2) * 0.01 / 10
    assert change(older, newer).high == pytest.approx(1.66 * 2**0.5 * 0.001, rel=0.2)


def test_a_single_seed_is_refused() -> None:
    one: BoolArray = np.ones((1, 10), dtype=bool)
    with pytest.raises(MetricError, match="two or more seeds"):
        change(Correctness(correct=one), Correctness(correct=one))
