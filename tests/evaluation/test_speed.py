"""Changes of speed: ratios, their significance, and error rates in simulated tables."""

import numpy as np
import pytest

from bench.evaluation.arrays import BoolArray, FloatArray
from bench.evaluation.comparison import benjamini_hochberg
from bench.evaluation.speed import MIN_STARTS, SpeedChange, p_value, required_starts, speed_changes

OPERATIONS = 28
TABLES = 1_000


def change(older: FloatArray, newer: FloatArray) -> SpeedChange:
    return speed_changes([(older, newer)])[0]


def simulated(
    noise: float, *, versions: int = 6, starts: int = 10, shared: float = 0.0, changed: int = 0
) -> tuple[BoolArray, BoolArray]:
    """Which comparisons of TABLES tables are significant, and which should be; shape (tables, operations, pairs).

    Args:
        noise: standard deviation of the logarithm of an operation's time between starts.
        versions: each is compared with the previous one, and the newest with the oldest if there are more than two.
        starts: process starts per version.
        shared: standard deviation of what all operations of a start have in common.
        changed: the first operations become 5% slower with the version in the middle.
    """
    random = np.random.default_rng(0)
    times = random.normal(0, noise, (TABLES, OPERATIONS, versions, starts))
    times += random.normal(0, shared, (TABLES, 1, versions, starts))
    times[:, :changed, versions // 2 :] += np.log(1.05)
    older, newer = np.array([(i, i + 1) for i in range(versions - 1)] + [(0, versions - 1)] * (versions > 2)).T
    p_values = p_value(times[:, :, older], times[:, :, newer]).reshape(TABLES, -1)
    significant = np.array([benjamini_hochberg(table) < 0.05 for table in p_values])
    different = (np.arange(OPERATIONS) < changed)[:, None] & (older < versions // 2) & (newer >= versions // 2)
    shape = TABLES, OPERATIONS, len(older)
    return significant.reshape(shape), np.broadcast_to(different, shape)


def test_ratio_is_that_of_the_medians() -> None:
    assert change(np.array([1.0, 1.0, 1.0, 1.0]), np.array([2.0, 2.0, 2.0, 9.0])).ratio == 2


def test_separated_starts_have_the_smallest_p_value() -> None:
    # Of the C(8, 4) = 70 ways to choose the newer version's four of eight ranks, one is all highest, one all lowest.
    slower = change(np.array([1.0, 1.1, 1.2, 1.3]), np.array([2.0, 2.1, 2.2, 2.3]))
    assert slower.adjusted_p_value == pytest.approx(2 / 70)
    assert (slower.verdict, slower.starts) == ("slower", 4)
    assert change(np.array([2.0, 2.1, 2.2, 2.3]), np.array([1.0, 1.1, 1.2, 1.3])).verdict == "faster"


def test_overlapping_starts_are_not_significant() -> None:
    # U = 4 of 16: of the 70 choices, 1 + 1 + 2 + 3 + 5 = 12 have U <= 4, so p = 24 / 70.
    result = change(np.array([1.0, 2.0, 3.0, 6.0]), np.array([4.0, 5.0, 7.0, 2.5]))
    assert result.adjusted_p_value == pytest.approx(24 / 70)
    assert result.verdict == "not significant"


def test_p_values_are_adjusted_over_all_comparisons() -> None:
    # The smallest of 28 p-values is multiplied by 28, and the others are 1: 28 * 2 / 70 = 0.8.
    same, slower = np.array([1.0, 1.1, 1.2, 1.3]), np.array([2.0, 2.1, 2.2, 2.3])
    changes = speed_changes([(same, slower), *[(same, same)] * 27])
    assert changes[0].adjusted_p_value == pytest.approx(0.8)
    assert {each.verdict for each in changes} == {"not significant"}


def test_no_comparisons_give_no_changes() -> None:
    assert speed_changes([]) == ()


@pytest.mark.parametrize(
    # 2 / C(2n, n): 1/10 for 3 starts, 1/35 for 4, 1/462 for 6, 1/1716 for 7, 1/6435 for 8.
    ("comparisons", "starts"),
    [(1, MIN_STARTS), (23, 6), (24, 7), (85, 7), (86, 8), (168, 8), (321, 8)],
)
def test_required_starts_make_one_change_significant(comparisons: int, starts: int) -> None:
    assert required_starts(comparisons) == starts


@pytest.mark.parametrize("versions", [2, 6])
@pytest.mark.parametrize("shared", [0.0, 0.03], ids=["independent", "correlated"])
def test_at_most_5_percent_of_tables_without_a_change_report_one(versions: int, shared: float) -> None:
    significant, _ = simulated(0.03, versions=versions, shared=shared)
    assert 0.02 < significant.any(axis=(1, 2)).mean() <= 0.05


def test_four_starts_show_nothing_in_a_large_table() -> None:
    significant, _ = simulated(0.001, starts=4, changed=1)
    assert not significant.any()


@pytest.mark.parametrize(("noise", "power"), [(0.01, 1.0), (0.02, 0.77), (0.03, 0.22)])
def test_single_change_of_5_percent_is_found_with_low_noise(noise: float, power: float) -> None:
    """The rates that versions.md states."""
    significant, different = simulated(noise, changed=1)
    assert significant[different].mean() == pytest.approx(power, abs=0.03)


@pytest.mark.parametrize("noise", [0.01, 0.02, 0.03])
def test_at_most_5_percent_of_reported_changes_are_false(noise: float) -> None:
    significant, different = simulated(noise, changed=5)
    false = (significant & ~different).sum(axis=(1, 2)) / np.maximum(1, significant.sum(axis=(1, 2)))
    assert false.mean() <= 0.05
