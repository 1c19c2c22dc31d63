"""Intervals and tests on arrays small enough to check by hand."""

import numpy as np
import pytest

from bench.errors import MetricError
from bench.evaluation.comparison import compare_all, difference, interval


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


def test_a_single_seed_has_no_interval_and_no_difference() -> None:
    one, two = correct("1101"), correct("1101", "1001")
    assert interval(one) is None
    assert difference(one, two) is None


def test_difference_pairs_the_images() -> None:
    # Both always wrong at the first ten images of 1,000, and b also at ten more, in every seed:
    # d is 1 at 10 images, else 0: mean 0.01, variance 0.01 x 0.99 x 1000 / 999, SE = sqrt(0.0099099 / 1000) = 0.003148.
    a, b = np.ones((2, 1000), dtype=np.bool_), np.ones((2, 1000), dtype=np.bool_)
    a[:, :10] = b[:, :20] = False
    found = difference(a, b)
    assert found is not None
    assert found.mean == pytest.approx(0.01)
    assert found.standard_error == pytest.approx(0.003148, abs=1e-6)
    # The images alone are left, 999 degrees of freedom: t = 3.1766, p = 0.0015.
    assert found.p_value == pytest.approx(0.001535, abs=2e-6)
    assert found.low == pytest.approx(0.01 - 1.9623 * 0.003148, abs=1e-5)


def test_difference_takes_in_the_seeds_of_both() -> None:
    a, b = correct("1111", "1001"), correct("1000", "1000", "1000")
    found = difference(a, b)
    assert found is not None
    # d = 0, 0.5, 0.5, 1: variance 0.5 / 3, so 0.0416667 for 4 images; a's seeds 0.0625, b's 0; R = 0.03125 + 0.
    assert found.standard_error == pytest.approx((0.0416667 + 0.0625 - 0.03125) ** 0.5, rel=1e-5)


def test_equal_models_do_not_differ() -> None:
    found = difference(correct("1101", "1101"), correct("1101", "1101"))
    assert found is not None
    assert (found.mean, found.p_value) == (0, 1)


def test_difference_refuses_other_images() -> None:
    with pytest.raises(MetricError, match="4 and 5"):
        difference(correct("1101", "1001"), correct("11011", "10011"))


def test_interval_refuses_numbers() -> None:
    with pytest.raises(MetricError, match="int64"):
        interval(np.ones((2, 3), dtype=np.int64))


def test_holm_multiplies_the_smallest_p_value_by_the_number_of_pairs() -> None:
    a, b, c = (np.ones((2, 1000), dtype=np.bool_) for _ in range(3))
    a[:, :10] = b[:, :20] = c[:, :22] = False
    ab, ac, bc = compare_all({"a": a, "b": b, "c": c})
    # One by one: a-b 0.001535, a-c 0.00052, b-c 0.157. Holm: a-c x 3, a-b x 2, b-c x 1.
    assert (ab.a, ab.b, bc.a, bc.b) == ("a", "b", "b", "c")
    assert ab.p_holm == pytest.approx(2 * 0.001535, abs=1e-5)
    assert ac.p_holm == pytest.approx(3 * ac.difference.p_value)  # type: ignore[union-attr]
    assert (ab.better, ac.better, bc.better) == ("a", "a", None)
    assert (ab.tied, ac.tied, bc.tied) == (False, False, True)


def test_a_single_seed_is_neither_tied_nor_better() -> None:
    many = np.tile(np.arange(100) % 10 > 0, (2, 1))
    pairs = compare_all({"one": ~many[:1], "two": many, "three": many})
    assert [(pair.tied, pair.better) for pair in pairs] == [(False, None), (False, None), (True, None)]
