"""Intervals and tests on arrays small enough to check by hand."""

from itertools import combinations

import numpy as np
import pytest
from scipy import optimize, stats

from bench.errors import MetricError
from bench.evaluation.comparison import LEVEL, Comparison, Correctness, compare_all, holm, interval, mcnemar


def compared(*models: np.ndarray) -> Comparison:
    return compare_all([Correctness(correct=one) for one in models])


def correct(*rows: str) -> np.ndarray:
    """One string of 0 and 1 a seed."""
    return np.array([[letter == "1" for letter in row] for row in rows])


def test_interval_counts_images_once_where_seeds_add_nothing() -> None:
    found = interval(Correctness(correct=correct("1101", "1001")))
    assert found is not None
    # c = 1, 0.5, 0, 1: mean 0.625, variance 0.6875 / 3, so 0.0572917 for 4 images.
    # Accuracies 0.75 and 0.5: variance 0.03125, so 0.015625 for 2 seeds; R = mean(0, 0.5, 0, 0) / 8 = 0.015625.
    assert found.mean == 0.625
    assert found.standard_error == pytest.approx(0.0572917**0.5, rel=1e-5)
    # The seeds' 0.015625 are what the images' part would count twice, and so a share of it: 161.4476 x 0.015625 beside
    # 3.84146 x 0.0416667.
    assert found.seed_variance_share == pytest.approx(2.522619 / (2.522619 + 0.160061), rel=1e-5)
    assert (found.n_seeds, found.n_images) == (2, 4)


def test_interval_adds_the_seeds_and_does_not_count_them_twice() -> None:
    found = interval(Correctness(correct=correct("1111", "1001")))
    assert found is not None
    # c = 1, 0.5, 0.5, 1: variance 0.25 / 3, so 0.0208333 for 4 images. Accuracies 1 and 0.5: 0.125 / 2 = 0.0625.
    # R = mean(0, 0.5, 0.5, 0) / 8 = 0.03125, more than the images' part, which cannot be less than nothing.
    assert found.standard_error == pytest.approx(0.0625**0.5, rel=1e-5)
    assert found.seed_variance_share == pytest.approx(1.0)
    # 0.75 -+ 12.706 x 0.25 leaves [0, 1]. As Wilson's: 3.1766^2 / 0.1875 = 53.816 = z^2 / n, the centre (0.75 + 26.908)
    # / 54.816 = 0.50456, and to both sides sqrt(3.1766^2 + 26.908^2) / 54.816 = 0.49429.
    assert (found.low, found.high) == pytest.approx((0.01027, 0.99885), abs=1e-4)


def test_interval_has_a_quantile_for_each_part() -> None:
    # 100 of 1,000 images always wrong; the first seed errs at 20 more, the second at 40 others.
    answers = np.ones((2, 1000), dtype=np.bool_)
    answers[:, :100] = answers[0, 100:120] = answers[1, 200:240] = False
    found = interval(Correctness(correct=answers))
    assert found is not None
    # c: 100 are 0, 60 are 0.5, 840 are 1: mean 0.87, variance (840 + 15 - 756.9) / 999 = 0.0981982, so 0.0000981982.
    # Accuracies 0.88 and 0.86: S = 0.0002 / 2 = 0.0001. R = 60 x 0.5 / 1000 / 2000 = 0.000015, so C = 0.0000831982.
    # z^2 C + t^2 S = 3.84146 x 0.0000831982 + 161.4476 x 0.0001 = 0.0164644, and its root 0.128314.
    assert (found.low, found.high) == pytest.approx((0.87 - 0.128314, 0.87 + 0.128314), abs=1e-5)
    # Nearly all of it comes from the seeds, though they have but half of the variance.
    assert found.seed_variance_share == pytest.approx(0.01614476 / 0.0164644, abs=1e-4)


def test_interval_never_goes_below_what_the_images_alone_allow() -> None:
    # Seeds that err at different images have equal accuracy: s^2 = 0, and nothing would be counted twice.
    found = interval(Correctness(correct=correct("0111", "1011")))
    assert found is not None
    assert found.standard_error == pytest.approx((0.25 / 3 / 4) ** 0.5)


def test_interval_of_many_images_is_the_binomial_one() -> None:
    # 100 seeds that agree, 2,000 images, 90 % right: 1.96 x sqrt(0.9 x 0.1 / 1999) = 0.0132.
    found = interval(Correctness(correct=np.tile(np.arange(2000) % 10 > 0, (100, 1))))
    assert found is not None
    assert (found.low, found.high) == pytest.approx((0.8868, 0.9132), abs=1e-4)


def test_interval_near_1_is_wilsons() -> None:
    found = interval(Correctness(correct=np.arange(100)[None] % 20 > 0, deterministic=True))
    assert found is not None
    # 95 of 100: 3.84146 x 0.0475 / 99 = 0.00184313; by 0.0475 it is 0.0388026 = z^2 / n; centre (0.95 + 0.0194013) /
    # 1.0388026 = 0.933191, and to both sides sqrt(0.00184313 + 0.0194013^2) / 1.0388026 = 0.045353.
    assert (found.low, found.high) == pytest.approx((0.887838, 0.978544), abs=1e-5)


def test_interval_of_a_faultless_model_is_not_empty() -> None:
    found = interval(Correctness(correct=np.ones((3, 100), dtype=np.bool_)))
    assert found is not None
    # Clopper and Pearson: 0.025^(1/100) = 0.9638.
    assert (found.low, found.high) == pytest.approx((0.9638, 1.0), abs=1e-4)


def test_interval_of_a_model_that_is_never_right_is_not_empty() -> None:
    found = interval(Correctness(correct=np.zeros((3, 100), dtype=np.bool_)))
    assert found is not None
    assert (found.low, found.high) == pytest.approx((0.0, 1 - 0.9638), abs=1e-4)


def test_a_single_seed_has_no_interval() -> None:
    assert interval(Correctness(correct=correct("1101"))) is None


def test_comparison_pairs_the_images() -> None:
    # Both always wrong at the first ten images of 1,000, and b also at ten more, in every seed:
    # d is 1 at 10 images, else 0: mean 0.01, variance 0.01 x 0.99 x 1000 / 999, SE = sqrt(0.0099099 / 1000) = 0.003148.
    a, b = np.ones((2, 1000), dtype=np.bool_), np.ones((2, 1000), dtype=np.bool_)
    a[:, :10] = b[:, :20] = False
    found = compared(a, b)
    assert found.difference[0, 1] == pytest.approx(0.01)
    assert found.variance.standard_error[0, 1] == pytest.approx(0.003148, abs=1e-6)
    # The images alone are left: z = 3.1766, p = 0.00149.
    assert found.p_value[0, 1] == pytest.approx(0.001490, abs=2e-6)


def test_comparison_takes_in_the_seeds_of_both() -> None:
    a, b = correct("1111", "1001"), correct("1000", "1000", "1000")
    found = compared(a, b)
    # d = 0, 0.5, 0.5, 1: variance 0.5 / 3, so 0.0416667 for 4 images; a's seeds 0.0625, b's 0; R = 0.03125 + 0.
    assert found.variance.images[0, 1] == pytest.approx(0.0416667 - 0.03125, rel=1e-5)
    assert found.variance.seeds[0, 1] == pytest.approx(0.0625)
    assert found.variance.degrees_of_freedom[0, 1] == 1  # b's seeds agree, and say nothing of a's


def test_comparison_is_the_same_both_ways() -> None:
    found = compared(correct("1111", "1001"), correct("1000", "1000", "1000"))
    assert found.difference[0, 1] == -found.difference[1, 0] == 0.5
    for both_ways in (found.variance.images, found.variance.seeds, found.variance.half_width(LEVEL), found.p_value):
        assert both_ways[0, 1] == both_ways[1, 0]


def test_equal_models_do_not_differ() -> None:
    found = compared(correct("1101", "1101"), correct("1101", "1101"))
    assert (found.difference[0, 1], found.p_value[0, 1]) == (0, 1)
    # As if they differed at one of the 4 images: 1.95996 / 4.
    assert found.variance.half_width(LEVEL)[0, 1] == pytest.approx(0.48999, abs=1e-5)


def test_models_that_always_differ_differ_beyond_chance() -> None:
    found = compared(correct("1111", "1111"), correct("0000", "0000", "0000"))
    assert found.difference[0, 1] == 1
    assert found.p_value[0, 1] == pytest.approx(6.33e-5, rel=1e-2)  # z = 1 / 0.25
    pair = found.pair(0, 1)
    assert pair is not None
    assert pair.low == pytest.approx(1 - 0.48999, abs=1e-5)
    assert pair.high == 1  # no difference is larger


def one_pair(a: np.ndarray, b: np.ndarray) -> tuple[float, float, float]:
    """Difference, half-width and p-value of two models, written out as the module's docstring has them."""
    d = a.mean(axis=0) - b.mean(axis=0)
    seeds = [one.mean(axis=1).var(ddof=1) / len(one) for one in (a, b)]
    twice = sum(one.var(axis=0, ddof=1).mean() / one.size for one in (a, b))
    images = max(0, d.var(ddof=1) / len(d) - min(twice, sum(seeds)))
    freedom = sum(seeds) ** 2 / sum(part**2 / (len(one) - 1) for part, one in zip(seeds, (a, b), strict=True))

    def half_width(alpha: float) -> float:
        z, t = stats.norm.isf(alpha / 2), stats.t.isf(alpha / 2, freedom)
        return float((z**2 * images + t**2 * sum(seeds)) ** 0.5)

    p_value = optimize.brentq(lambda p: half_width(p) - abs(d.mean()), 1e-12, 1, xtol=1e-14)
    return d.mean(), half_width(0.05), p_value


def test_all_pairs_at_once_are_what_each_pair_is_by_itself() -> None:
    random = np.random.default_rng(1)
    easy = random.random(300) < 0.8
    models = [easy ^ (random.random((k, 300)) < errors) for k in (2, 3, 5) for errors in (0.02, 0.05, 0.3)]
    found = compared(*models)
    pairs = list(combinations(range(len(models)), 2))
    for a, b in pairs:
        expected = one_pair(models[a], models[b])
        pair = found.pair(a, b)
        assert pair is not None
        here = pair.mean, pair.high - pair.mean, pair.p_value
        assert here == pytest.approx(expected, rel=1e-5, abs=1e-12)


def test_comparison_refuses_other_images() -> None:
    with pytest.raises(MetricError, match="4 and 5"):
        compared(correct("1101", "1001"), correct("11011", "10011"))


@pytest.mark.parametrize("array", [np.full((2, 3), 2.0), np.array([[np.nan, 1.0]]), np.ones(3), np.ones((2, 1))])
def test_answers_are_right_or_wrong_for_each_training_and_image(array: np.ndarray) -> None:
    with pytest.raises(MetricError, match="correct must"):
        Correctness(correct=array)


def test_holm_multiplies_the_smallest_p_value_by_the_number_of_pairs() -> None:
    # Holm: the smallest x 3, the next x 2, the last x 1, none below the one before; what was not tested is left out.
    corrected = holm(np.array([0.04, 0.001, np.nan, 0.03]))
    assert corrected == pytest.approx(np.array([0.06, 0.003, np.nan, 0.06]), nan_ok=True)


def test_holm_of_nothing_is_nothing() -> None:
    assert np.isnan(holm(np.array([np.nan, np.nan]))).all()


def test_single_seed_is_not_compared() -> None:
    many = np.tile(np.arange(100) % 10 > 0, (2, 1))
    found = compared(~many[:1], many, many)
    assert np.isnan(found.p_value).tolist() == [[True, True, True], [True, True, False], [True, False, True]]
    assert found.pair(0, 1) is None


def test_one_model_alone_has_nothing_to_be_compared_with() -> None:
    assert np.isnan(compared(correct("1101", "1001")).p_value).all()


def test_pair_has_an_interval() -> None:
    a, b = np.ones((2, 1000), dtype=np.bool_), np.ones((2, 1000), dtype=np.bool_)
    a[:, :10] = b[:, :20] = False
    found = compared(a, b).pair(0, 1)
    assert found is not None
    # As above: SE 0.003148, z = 1.95996.
    assert (found.mean, found.low, found.high) == pytest.approx((0.01, 0.00383, 0.01617), abs=1e-5)


def test_deterministic_model_has_an_interval_of_the_images_alone() -> None:
    one = Correctness(correct=np.arange(2000)[None] % 10 > 0, deterministic=True)
    found = interval(one)
    assert found is not None
    # 1,800 of 2,000: SE = sqrt(0.09 / 1999) = 0.0067099, z = 1.95996.
    assert (found.low, found.high) == pytest.approx((0.9 - 0.0131512, 0.9 + 0.0131512), abs=1e-5)
    assert (found.seed_variance_share, found.n_seeds) == (0.0, 1)


def test_deterministic_model_adds_no_seeds_to_a_difference() -> None:
    one, other = correct("1100"), correct("1111", "1001")
    found = compare_all([Correctness(correct=one, deterministic=True), Correctness(correct=other)])
    # d = 0, 0.5, -0.5, -1: variance 0.41667, a quarter of it 0.104167; the other's seeds 0.0625, its R 0.03125.
    assert found.variance.standard_error[0, 1] == pytest.approx((0.104167 + 0.0625 - 0.03125) ** 0.5, rel=1e-5)


def test_means_over_trainings_are_answers_too() -> None:
    found = interval(Correctness(correct=np.array([[1.0, 0.5, 0.5, 1.0], [0.5, 0.5, 1.0, 1.0]])))
    assert found is not None
    assert found.mean == pytest.approx(0.75)


def test_mcnemar_counts_the_images_that_only_one_gets_right() -> None:
    one, other = np.ones(20, dtype=np.bool_), np.ones(20, dtype=np.bool_)
    one[0], other[:6] = False, False
    # Image 0 both get wrong; 5 only the first gets right, 0 only the other: 2 / 2^5.
    assert mcnemar(one, other) == pytest.approx(0.0625)
    assert mcnemar(one, one) == 1.0
