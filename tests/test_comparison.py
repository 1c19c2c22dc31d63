"""Intervals and tests on arrays small enough to check by hand."""

from itertools import combinations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from bench.errors import MetricError
from bench.evaluation.comparison import compare_all, interval


def correct(*rows: str) -> np.ndarray:
    """One string of 0 and 1 a seed."""
    return np.array([[letter == "1" for letter in row] for row in rows])


def test_interval_counts_images_once_where_seeds_add_nothing() -> None:
    found = interval(correct("1101", "1001"))
    assert found is not None
    # c = 1, 0.5, 0, 1: mean 0.625, variance 0.6875 / 3, so 0.0572917 for 4 images.
    # Accuracies 0.75 and 0.5: variance 0.03125, so 0.015625 for 2 seeds; R = mean(0, 0.5, 0, 0) / 8 = 0.015625.
    assert found.mean == 0.625
    assert found.standard_error == pytest.approx(0.0572917**0.5, rel=1e-5)
    assert found.seeds_share == pytest.approx(0)
    assert (found.n_seeds, found.n_images) == (2, 4)


def test_interval_adds_the_seeds_and_does_not_count_them_twice() -> None:
    found = interval(correct("1111", "1001"))
    assert found is not None
    # c = 1, 0.5, 0.5, 1: variance 0.25 / 3, so 0.0208333 for 4 images. Accuracies 1 and 0.5: 0.125 / 2 = 0.0625.
    # R = mean(0, 0.5, 0.5, 0) / 8 = 0.03125. Together 0.0520833, of which 0.03125 the seeds'.
    assert found.standard_error == pytest.approx(0.0520833**0.5, rel=1e-5)
    assert found.seeds_share == pytest.approx(0.6)
    # 0.0520833^2 / (0.0208333^2 / 3 + 0.0625^2 / 1) = 0.67, but two seeds alone have one degree of freedom.
    assert found.degrees_of_freedom == 1
    assert (found.low, found.high) == (0, 1)  # 0.75 -+ 12.7 x 0.228 leaves [0, 1]


def test_interval_never_goes_below_what_the_images_alone_allow() -> None:
    # Seeds that err at different images have equal accuracy: s^2 = 0, and R would be subtracted for nothing.
    found = interval(correct("0111", "1011"))
    assert found is not None
    assert found.standard_error == pytest.approx((0.25 / 3 / 4) ** 0.5)


def test_interval_of_many_images_is_the_binomial_one() -> None:
    # 100 seeds that agree, 1,000 images, 90 % right: 1.962 x sqrt(0.9 x 0.1 / 999) = 0.0186.
    found = interval(np.tile(np.arange(1000) % 10 > 0, (100, 1)))
    assert found is not None
    assert (found.low, found.high) == pytest.approx((0.8814, 0.9186), abs=1e-4)


def test_interval_of_a_faultless_model_is_not_empty() -> None:
    found = interval(np.ones((3, 100), dtype=np.bool_))
    assert found is not None
    # Clopper and Pearson: 0.025^(1/100) = 0.9638.
    assert (found.low, found.high) == pytest.approx((0.9638, 1.0), abs=1e-4)


def test_interval_of_a_model_that_is_never_right_is_not_empty() -> None:
    found = interval(np.zeros((3, 100), dtype=np.bool_))
    assert found is not None
    assert (found.low, found.high) == pytest.approx((0.0, 1 - 0.9638), abs=1e-4)


def test_a_single_seed_has_no_interval() -> None:
    assert interval(correct("1101")) is None


def test_comparison_pairs_the_images() -> None:
    # Both always wrong at the first ten images of 1,000, and b also at ten more, in every seed:
    # d is 1 at 10 images, else 0: mean 0.01, variance 0.01 x 0.99 x 1000 / 999, SE = sqrt(0.0099099 / 1000) = 0.003148.
    a, b = np.ones((2, 1000), dtype=np.bool_), np.ones((2, 1000), dtype=np.bool_)
    a[:, :10] = b[:, :20] = False
    found = compare_all([a, b])
    assert found.difference[0, 1] == pytest.approx(0.01)
    assert found.standard_error[0, 1] == pytest.approx(0.003148, abs=1e-6)
    # The images alone are left, 999 degrees of freedom: t = 3.1766, p = 0.0015.
    assert found.p_value[0, 1] == pytest.approx(0.001535, abs=2e-6)


def test_comparison_takes_in_the_seeds_of_both() -> None:
    a, b = correct("1111", "1001"), correct("1000", "1000", "1000")
    found = compare_all([a, b])
    # d = 0, 0.5, 0.5, 1: variance 0.5 / 3, so 0.0416667 for 4 images; a's seeds 0.0625, b's 0; R = 0.03125 + 0.
    assert found.standard_error[0, 1] == pytest.approx((0.0416667 + 0.0625 - 0.03125) ** 0.5, rel=1e-5)


def test_comparison_is_the_same_both_ways() -> None:
    found = compare_all([correct("1111", "1001"), correct("1000", "1000", "1000")])
    assert found.difference[0, 1] == -found.difference[1, 0] == 0.5
    for both_ways in (found.standard_error, found.p_value, found.p_holm):
        assert both_ways[0, 1] == both_ways[1, 0]


def test_equal_models_do_not_differ() -> None:
    found = compare_all([correct("1101", "1101"), correct("1101", "1101")])
    assert (found.difference[0, 1], found.standard_error[0, 1], found.p_value[0, 1]) == (0, 0, 1)


def test_models_that_always_differ_differ_beyond_chance() -> None:
    found = compare_all([correct("1111", "1111"), correct("0000", "0000", "0000")])
    assert (found.difference[0, 1], found.standard_error[0, 1], found.p_value[0, 1]) == (1, 0, 0)


def one_pair(a: np.ndarray, b: np.ndarray) -> tuple[float, float, float]:
    """Difference, standard error and p-value of two models, written out as the module's docstring has them."""
    d = a.mean(axis=0) - b.mean(axis=0)
    images = d.var(ddof=1) / len(d)
    seeds = [one.mean(axis=1).var(ddof=1) / len(one) for one in (a, b)]
    twice = sum(one.var(axis=0, ddof=1).mean() / one.size for one in (a, b))
    total = max(images, images + sum(seeds) - twice)
    spread = images**2 / (len(d) - 1) + sum(part**2 / (len(one) - 1) for part, one in zip(seeds, (a, b), strict=True))
    freedom = max(total**2 / spread, min(len(a), len(b), len(d)) - 1)
    return d.mean(), total**0.5, 2 * stats.t.sf(abs(d.mean()) / total**0.5, freedom)


def test_all_pairs_at_once_are_what_each_pair_is_by_itself() -> None:
    random = np.random.default_rng(1)
    easy = random.random(300) < 0.8
    models = [easy ^ (random.random((k, 300)) < errors) for k in (2, 3, 5) for errors in (0.02, 0.05, 0.3)]
    found = compare_all(models)
    pairs = list(combinations(range(len(models)), 2))
    for a, b in pairs:
        expected = one_pair(models[a], models[b])
        here = found.difference[a, b], found.standard_error[a, b], found.p_value[a, b]
        assert here == pytest.approx(expected, rel=0, abs=1e-12)
    first, second = np.array(pairs).T
    by_statsmodels = multipletests(found.p_value[first, second], method="holm")[1]
    np.testing.assert_allclose(found.p_holm[first, second], by_statsmodels, rtol=0, atol=1e-12)


def test_comparison_refuses_other_images() -> None:
    with pytest.raises(MetricError, match="4 and 5"):
        compare_all([correct("1101", "1001"), correct("11011", "10011")])


def test_interval_refuses_numbers() -> None:
    with pytest.raises(MetricError, match="int64"):
        interval(np.ones((2, 3), dtype=np.int64))


def test_holm_multiplies_the_smallest_p_value_by_the_number_of_pairs() -> None:
    a, b, c = (np.ones((2, 1000), dtype=np.bool_) for _ in range(3))
    a[:, :10] = b[:, :20] = c[:, :22] = False
    found = compare_all([a, b, c])
    # One by one: a-b 0.001535, a-c 0.00052, b-c 0.157. Holm: a-c x 3, a-b x 2, b-c x 1.
    assert found.p_holm[0, 1] == pytest.approx(2 * 0.001535, abs=1e-5)
    assert found.p_holm[0, 2] == pytest.approx(3 * found.p_value[0, 2])
    assert found.better.tolist() == [[False, True, True], [False, False, False], [False, False, False]]
    assert found.tied.tolist() == [[False, False, False], [False, False, True], [False, True, False]]


def test_a_single_seed_is_neither_tied_nor_better() -> None:
    many = np.tile(np.arange(100) % 10 > 0, (2, 1))
    found = compare_all([~many[:1], many, many])
    assert not found.better.any()
    assert found.tied.tolist() == [[False, False, False], [False, False, True], [False, True, False]]


def test_one_model_alone_has_nothing_to_be_compared_with() -> None:
    found = compare_all([correct("1101", "1001")])
    assert (found.tied.tolist(), found.better.tolist()) == ([[False]], [[False]])
