"""How many seeds and minutes a difference needs."""

import json
from pathlib import Path

import numpy as np
import pytest

from bench.errors import SpecError
from bench.evaluation.power import (
    VarianceComponents,
    minimum_detectable_difference,
    power,
    power_with_unlimited_seeds,
    required_seeds,
)
from bench.report.plan import plan, plan_data, plan_text
from builders import add_run, make_environment, make_refit

CHANCE = VarianceComponents(image_variance=6e-6, seed_std=(0.003, 0.003))  # SE of the images 0.245 points


def test_power_of_no_difference_is_at_most_the_false_alarms() -> None:
    for seeds in (3, 5, 20):
        assert 0.005 < power(0.0, CHANCE, seeds) < 0.055


def test_power_grows_with_the_difference_and_the_seeds() -> None:
    by_difference = [power(difference, CHANCE, 5) for difference in (0.002, 0.004, 0.008)]
    by_seeds = [power(0.007, CHANCE, seeds) for seeds in (3, 5, 10, 100)]
    assert by_difference == sorted(by_difference)
    assert by_seeds == sorted(by_seeds)


def test_endless_seeds_leave_the_images() -> None:
    # 0.00686 are 2.8 standard errors: found in 80 % of all cases, z = 1.96 + 0.84.
    assert power_with_unlimited_seeds(2.8016 * 6e-6**0.5, CHANCE) == pytest.approx(0.8, abs=1e-3)
    assert power(0.007, CHANCE, 100) < power_with_unlimited_seeds(0.007, CHANCE)
    assert minimum_detectable_difference(CHANCE, None) == pytest.approx(2.8016 * 6e-6**0.5, abs=2e-5)


def test_seeds_needed_are_the_fewest_that_are_enough() -> None:
    needed = required_seeds(0.01, CHANCE)
    assert needed is not None
    assert power(0.01, CHANCE, needed) >= 0.8 > power(0.01, CHANCE, needed - 1)


def test_what_the_images_cannot_show_needs_more_than_seeds() -> None:
    assert required_seeds(0.004, CHANCE) is None


def varied(seed: int, extra: int) -> list[list[int]]:
    """Images of 200 that each of four trainings gets wrong: some in common, some by chance."""
    random = np.random.default_rng(seed)
    return [[*range(10), *(10 + random.choice(150, extra + number, replace=False)).tolist()] for number in range(4)]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for number, (family, extra) in enumerate((("cnn", 8), ("dense", 12))):
        add_run(tmp_path, varied(number, extra), spec={"family": family, "seeds": 4})
    return tmp_path


def test_plan_takes_the_two_best_rows(results: Path) -> None:
    found = plan(results, "synthetic", 30)
    assert (found.a.label, found.b.label) == ("cnn", "dense")
    assert found.seeds is not None
    # Refits of 20 to 23 s, the median 21.5, two at once: two families of half the seeds each.
    assert found.minutes == pytest.approx(2 * 21.5 * -(-found.seeds // 2) / 60)
    assert f"with {found.seeds} seeds of each model" in plan_text(found)


def test_what_cannot_be_shown_is_said_with_the_images_it_would_take(results: Path) -> None:
    found = plan(results, "synthetic", 0.1, ["dense", "cnn"])
    text = " ".join(plan_text(found).split())
    assert "cannot be shown on these 200 test images" in text
    assert f"About {float(f'{found.images_needed:.2g}'):,.0f} images would be needed" in text
    assert plan_data(found)["seeds"] is None
    assert json.loads(json.dumps(plan_data(found)))["n_test"] == 200


def test_seconds_of_different_machines_are_not_added(tmp_path: Path) -> None:
    for number, family in enumerate(("cnn", "dense")):
        add_run(
            tmp_path,
            varied(number, 10),
            spec={"family": family, "seeds": 4},
            environment=make_environment(cpu=f"Synthetic CPU {number}"),
        )
    assert plan(tmp_path, "synthetic", 30).minutes is None


def test_plan_refuses_what_it_cannot_plan(results: Path) -> None:
    with pytest.raises(SpecError, match="between 0 and 100, got 0"):
        plan(results, "synthetic", 0)
    with pytest.raises(SpecError, match="between two runs, got 1"):
        plan(results, "synthetic", 1, ["cnn"])
    with pytest.raises(SpecError, match="two seeds or more are needed"):
        plan(results, "digits", 1)


def test_a_single_seed_is_no_ground_for_a_plan(tmp_path: Path) -> None:
    for family in ("cnn", "dense"):
        add_run(tmp_path, [list(range(10))], spec={"family": family, "seeds": 1}, refits=(make_refit(0),))
    with pytest.raises(SpecError, match="there are 0"):
        plan(tmp_path, "synthetic", 1)
    with pytest.raises(SpecError, match="nobody knows what chance does in one"):
        plan(tmp_path, "synthetic", 1, ["cnn", "dense"])
