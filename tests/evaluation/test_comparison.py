"""Confidence intervals and significance tests on arrays small enough to check by hand."""

from itertools import combinations

import numpy as np
import pytest
from scipy import optimize, stats

from bench.errors import MetricError
from bench.evaluation.comparison import LEVEL, Comparison, compare_all, holm, interval, mcnemar
from bench.evaluation.variance import Correctness


def compared(*models: np.ndarray) -> Comparison:
    return compare_all([Correctness(correct=model) for model in models])


def correct(*rows: str) -> np.ndarray:
    """One string of 0 and 1 per seed."""
    return np.array([[letter == "1" for letter in row] for row in rows])


def test_variance_in_both_terms_is_counted_once() -> None:
    result = interval(Correctness(correct=correct("1101", "1001")))
    assert result is not None
    # c = 1, 0.5, 0, 1: mean 0.625, variance 0.6875 / 3, so 0.0572917 for 4 images.
    # Accuracies 0.75 and 0.5: variance 0.03125, so 0.015625 for 2 seeds; R = mean(0, 0.5, 0, 0) / 8 = 0.015625.
    assert result.mean == 0.625
    assert result.standard_error == pytest.approx(0.0572917**0.5, rel=1e-5)
    # C = 0.0572917 - 0.015625 = 0.0416667, S = 0.015625: t^2 S = 161.4476 x 0.015625, z^2 C = 3.84146 x 0.0416667.
    assert result.seed_variance_share == pytest.approx(2.522619 / (2.522619 + 0.160061), rel=1e-5)
    assert (result.n_seeds, result.n_images) == (2, 4)


def test_image_variance_is_never_negative() -> None:
    result = interval(Correctness(correct=correct("1111", "1001")))
    assert result is not None
    # c = 1, 0.5, 0.5, 1: variance 0.25 / 3, so 0.0208333 for 4 images. Accuracies 1 and 0.5: 0.125 / 2 = 0.0625.
    # R = mean(0, 0.5, 0.5, 0) / 8 = 0.03125 exceeds the images' term, so C = 0.
    assert result.standard_error == pytest.approx(0.0625**0.5, rel=1e-5)
    assert result.seed_variance_share == pytest.approx(1.0)
    # 0.75 -+ 12.706 x 0.25 leaves [0, 1]. Wilson: 3.1766^2 / 0.1875 = 53.816 = z^2 / n, center (0.75 + 26.908) / 54.816
    # = 0.50456, half-width sqrt(3.1766^2 + 26.908^2) / 54.816 = 0.49429.
    assert (result.low, result.high) == pytest.approx((0.01027, 0.99885), abs=1e-4)


def test_each_source_of_variance_has_its_own_quantile() -> None:
    # 100 of 1,000 images always wrong; the first seed misclassifies 20 more, the second 40 others.
    values = np.ones((2, 1000), dtype=np.bool_)
    values[:, :100] = values[0, 100:120] = values[1, 200:240] = False
    result = interval(Correctness(correct=values))
    assert result is not None
    # c: 100 are 0, 60 are 0.5, 840 are 1: mean 0.87, variance (840 + 15 - 756.9) / 999 = 0.0981982, so 0.0000981982.
    # Accuracies 0.88 and 0.86: S = 0.0002 / 2 = 0.0001. R = 60 x 0.5 / 1000 / 2000 = 0.000015, so C = 0.0000831982.
    # z^2 C + t^2 S = 3.84146 x 0.0000831982 + 161.4476 x 0.0001 = 0.0164644, and its root 0.128314.
    assert (result.low, result.high) == pytest.approx((0.87 - 0.128314, 0.87 + 0.128314), abs=1e-5)
    # Nearly all of it is due to the seeds, although they have only half of the variance.
    assert result.seed_variance_share == pytest.approx(0.01614476 / 0.0164644, abs=1e-4)


def test_image_variance_is_kept_if_seeds_have_equal_accuracy() -> None:
    # Seeds with different errors but equal accuracy: s^2 = 0, so nothing is counted twice.
    result = interval(Correctness(correct=correct("0111", "1011")))
    assert result is not None
    assert result.standard_error == pytest.approx((0.25 / 3 / 4) ** 0.5)


def test_interval_of_identical_seeds_is_the_binomial_interval() -> None:
    # 100 identical seeds, 2,000 images, 90% correct: 1.96 x sqrt(0.9 x 0.1 / 1999) = 0.0132.
    result = interval(Correctness(correct=np.tile(np.arange(2000) % 10 > 0, (100, 1))))
    assert result is not None
    assert (result.low, result.high) == pytest.approx((0.8868, 0.9132), abs=1e-4)


def test_interval_near_1_is_the_wilson_interval() -> None:
    result = interval(Correctness(correct=np.arange(100)[None] % 20 > 0, deterministic=True))
    assert result is not None
    # 95 of 100: 3.84146 x 0.0475 / 99 = 0.00184313; divided by 0.0475 it is 0.0388026 = z^2 / n. Center (0.95 +
    # 0.0194013) / 1.0388026 = 0.933191, half-width sqrt(0.00184313 + 0.0194013^2) / 1.0388026 = 0.045353.
    assert (result.low, result.high) == pytest.approx((0.887838, 0.978544), abs=1e-5)


def test_interval_of_many_seeds_near_1_claims_no_more_images_than_the_test_set_has() -> None:
    predictions = np.ones((10, 360), dtype=np.bool_)
    predictions[0, 0] = False
    result = interval(Correctness(correct=predictions))
    assert result is not None
    # Wilson with n = 360 at 3,599 of 3,600: z^2 / n = 0.0106707, center (0.9997222 + 0.0053353) / 1.0106707 = 0.994446,
    # half-width sqrt(0.00027770 x 0.0106707 + 0.0053353^2) / 1.0106707 = 0.005547.
    assert (result.low, result.high) == pytest.approx((0.988899, 0.999993), abs=1e-5)


def test_interval_of_a_model_without_errors_has_positive_width() -> None:
    result = interval(Correctness(correct=np.ones((3, 100), dtype=np.bool_)))
    assert result is not None
    # Clopper and Pearson: 0.025^(1/100) = 0.9638.
    assert (result.low, result.high) == pytest.approx((0.9638, 1.0), abs=1e-4)


def test_interval_of_a_model_that_is_always_wrong_has_positive_width() -> None:
    result = interval(Correctness(correct=np.zeros((3, 100), dtype=np.bool_)))
    assert result is not None
    assert (result.low, result.high) == pytest.approx((0.0, 1 - 0.9638), abs=1e-4)


def test_single_seed_has_no_interval() -> None:
    assert interval(Correctness(correct=correct("1101"))) is None


def test_comparison_is_paired_by_image() -> None:
    # Both misclassify the first ten of 1,000 images, and b ten more, with every seed:
    # d is 1 at 10 images, else 0: mean 0.01, variance 0.01 x 0.99 x 1000 / 999, SE = sqrt(0.0099099 / 1000) = 0.003148.
    a, b = np.ones((2, 1000), dtype=np.bool_), np.ones((2, 1000), dtype=np.bool_)
    a[:, :10] = b[:, :20] = False
    result = compared(a, b)
    assert result.difference[0, 1] == pytest.approx(0.01)
    assert result.variance.standard_error[0, 1] == pytest.approx(0.003148, abs=1e-6)
    # Only the images contribute: z = 3.1766, p = 0.00149.
    assert result.p_value[0, 1] == pytest.approx(0.001490, abs=2e-6)


def test_comparison_contains_the_seed_variance_of_both_models() -> None:
    a, b = correct("1111", "1001"), correct("1000", "1000", "1000")
    result = compared(a, b)
    # d = 0, 0.5, 0.5, 1: variance 0.5 / 3, so 0.0416667 for 4 images; seeds: a 0.0625, b 0; R = 0.03125 + 0.
    assert result.variance.images[0, 1] == pytest.approx(0.0416667 - 0.03125, rel=1e-5)
    assert result.variance.seeds[0, 1] == pytest.approx(0.0625)
    assert result.variance.degrees_of_freedom[0, 1] == 1  # those of a: b has no variance across seeds


def test_comparison_is_symmetric() -> None:
    result = compared(correct("1111", "1001"), correct("1000", "1000", "1000"))
    assert result.difference[0, 1] == -result.difference[1, 0] == 0.5
    for matrix in (result.variance.images, result.variance.seeds, result.variance.half_width(LEVEL), result.p_value):
        assert matrix[0, 1] == matrix[1, 0]


def test_models_with_equal_predictions_have_p_value_1() -> None:
    result = compared(correct("1101", "1101"), correct("1101", "1101"))
    assert (result.difference[0, 1], result.p_value[0, 1]) == (0, 1)
    # A disagreement on one of the 4 images is assumed: 1.95996 / 4.
    assert result.variance.half_width(LEVEL)[0, 1] == pytest.approx(0.48999, abs=1e-5)


def test_models_that_disagree_on_every_image_differ_significantly() -> None:
    result = compared(correct("1111", "1111"), correct("0000", "0000", "0000"))
    assert result.difference[0, 1] == 1
    assert result.p_value[0, 1] == pytest.approx(6.33e-5, rel=1e-2)  # z = 1 / 0.25
    pair = result.pair(0, 1)
    assert pair is not None
    assert pair.low == pytest.approx(1 - 0.48999, abs=1e-5)
    assert pair.high == 1  # the largest possible difference


def one_pair(a: np.ndarray, b: np.ndarray) -> tuple[float, float, float]:
    """Difference, half-width and p-value of two models, computed as in the docstring of the module."""
    d = a.mean(axis=0) - b.mean(axis=0)
    seeds = [model.mean(axis=1).var(ddof=1) / len(model) for model in (a, b)]
    shared = sum(model.var(axis=0, ddof=1).mean() / model.size for model in (a, b))
    images = max(0, d.var(ddof=1) / len(d) - min(shared, sum(seeds)))
    freedom = sum(seeds) ** 2 / sum(part**2 / (len(model) - 1) for part, model in zip(seeds, (a, b), strict=True))

    def half_width(alpha: float) -> float:
        z, t = stats.norm.isf(alpha / 2), stats.t.isf(alpha / 2, freedom)
        return float((z**2 * images + t**2 * sum(seeds)) ** 0.5)

    p_value = optimize.brentq(lambda p: half_width(p) - abs(d.mean()), 1e-12, 1, xtol=1e-14)
    return d.mean(), half_width(0.05), p_value


def test_comparison_of_all_pairs_equals_that_of_each_pair() -> None:
    random = np.random.default_rng(1)
    easy = random.random(300) < 0.8
    models = [easy ^ (random.random((k, 300)) < errors) for k in (2, 3, 5) for errors in (0.02, 0.05, 0.3)]
    result = compared(*models)
    pairs = list(combinations(range(len(models)), 2))
    for a, b in pairs:
        expected = one_pair(models[a], models[b])
        pair = result.pair(a, b)
        assert pair is not None
        here = pair.mean, pair.high - pair.mean, pair.p_value
        assert here == pytest.approx(expected, rel=1e-5, abs=1e-12)


def test_models_evaluated_on_different_images_are_rejected() -> None:
    with pytest.raises(MetricError, match="4 and 5"):
        compared(correct("1101", "1001"), correct("11011", "10011"))


@pytest.mark.parametrize("array", [np.full((2, 3), 2.0), np.array([[np.nan, 1.0]]), np.ones(3), np.ones((2, 1))])
def test_invalid_correctness_is_rejected(array: np.ndarray) -> None:
    with pytest.raises(MetricError, match="correct must"):
        Correctness(correct=array)


def test_holm_multiplies_the_smallest_p_value_by_the_number_of_tests() -> None:
    # The smallest x 3, the next x 2, the last x 1, never below the previous one; NaN is ignored.
    adjusted = holm(np.array([0.04, 0.001, np.nan, 0.03]))
    assert adjusted == pytest.approx(np.array([0.06, 0.003, np.nan, 0.06]), nan_ok=True)


def test_holm_without_tests_returns_nan() -> None:
    assert np.isnan(holm(np.array([np.nan, np.nan]))).all()


def test_single_seed_has_no_p_value() -> None:
    many = np.tile(np.arange(100) % 10 > 0, (2, 1))
    result = compared(~many[:1], many, many)
    assert np.isnan(result.p_value).tolist() == [[True, True, True], [True, True, False], [True, False, True]]
    assert result.pair(0, 1) is None


def test_single_model_has_no_p_value() -> None:
    assert np.isnan(compared(correct("1101", "1001")).p_value).all()


def test_pair_has_an_interval() -> None:
    a, b = np.ones((2, 1000), dtype=np.bool_), np.ones((2, 1000), dtype=np.bool_)
    a[:, :10] = b[:, :20] = False
    result = compared(a, b).pair(0, 1)
    assert result is not None
    # SE 0.003148 as above, z = 1.95996.
    assert (result.mean, result.low, result.high) == pytest.approx((0.01, 0.00383, 0.01617), abs=1e-5)


def test_interval_of_a_deterministic_model_is_due_to_the_images() -> None:
    result = interval(Correctness(correct=np.arange(2000)[None] % 10 > 0, deterministic=True))
    assert result is not None
    # 1,800 of 2,000: SE = sqrt(0.09 / 1999) = 0.0067099, z = 1.95996.
    assert (result.low, result.high) == pytest.approx((0.9 - 0.0131512, 0.9 + 0.0131512), abs=1e-5)
    assert (result.seed_variance_share, result.n_seeds) == (0.0, 1)


def test_deterministic_model_adds_no_seed_variance_to_a_difference() -> None:
    a, b = correct("1100"), correct("1111", "1001")
    result = compare_all([Correctness(correct=a, deterministic=True), Correctness(correct=b)])
    # d = 0, 0.5, -0.5, -1: variance 0.41667, a quarter of it 0.104167; b's seeds 0.0625, its R 0.03125.
    assert result.variance.standard_error[0, 1] == pytest.approx((0.104167 + 0.0625 - 0.03125) ** 0.5, rel=1e-5)


def test_means_over_refits_are_valid_correctness() -> None:
    result = interval(Correctness(correct=np.array([[1.0, 0.5, 0.5, 1.0], [0.5, 0.5, 1.0, 1.0]])))
    assert result is not None
    assert result.mean == pytest.approx(0.75)


def test_mcnemar_counts_images_that_only_one_model_classifies_correctly() -> None:
    a, b = np.ones(20, dtype=np.bool_), np.ones(20, dtype=np.bool_)
    a[0], b[:6] = False, False
    # Both misclassify image 0; only a is correct on 5 images, only b on none: 2 / 2^5.
    assert mcnemar(a, b) == pytest.approx(0.0625)
    assert mcnemar(a, a) == 1.0
