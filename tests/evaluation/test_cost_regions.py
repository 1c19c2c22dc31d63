"""Regions of a space whose candidates cost more than others."""

from itertools import product

import pytest

from bench.evaluation.cost_regions import expensive_regions


def test_region_of_two_conditions_is_found() -> None:
    candidates = [{"filters": f, "blocks": b} for f, b in product(range(8, 48, 4), range(1, 5))]
    # 5 of 10 numbers of filters, 2 of 4 numbers of blocks: 25% of the candidates cost ten times as much.
    costs = [10.0 if each["filters"] >= 28 and each["blocks"] >= 3 else 1.0 for each in candidates]
    (region,) = expensive_regions(candidates, costs)
    assert set(region.conditions) == {"filters > 26", "blocks > 2.5"}
    assert (region.share, region.ratio) == (0.25, 10.0)


def test_values_that_are_no_numbers_and_inactive_ones_are_named() -> None:
    candidates = [{"kind": "small"}] * 20 + [{"kind": "large", "units": units} for units in (8, 16)] * 10
    costs = [1.0] * 20 + [2.0, 6.0] * 10
    regions = expensive_regions(candidates, costs)
    # The median of 20 times 1, ten times 2 and ten times 6 is 1.5.
    assert [(region.ratio, region.share) for region in regions] == [(4.0, 0.25)]
    assert regions[0].conditions[-1] == "units > 12"
    others = expensive_regions([{"kind": kind} for kind in ("a", "b", "c")] * 8, [1.0, 1.0, 5.0] * 8)
    assert [region.conditions for region in others] == [("kind is c",)]


def test_region_has_three_candidates_and_its_narrowest_conditions() -> None:
    # The cost doubles at 8 and at 16.
    candidates = [{"units": units} for units in range(24)]
    costs = [1.0] * 8 + [2.0] * 8 + [8.0] * 8
    assert [region.conditions for region in expensive_regions(candidates, costs)] == [("units > 15.5",)]
    assert expensive_regions(candidates[:5], [1.0, 1.0, 1.0, 9.0, 9.0]) == ()


@pytest.mark.parametrize(("candidates", "costs"), [([{"a": 1}, {"a": 2}] * 10, [1.0] * 20), ([{}], [1.0]), ([], [])])
def test_equal_costs_have_no_expensive_region(candidates: list[dict[str, int]], costs: list[float]) -> None:
    assert expensive_regions(candidates, costs) == ()
