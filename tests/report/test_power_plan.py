"""The seeds and minutes needed to detect a difference."""

import json
import re
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
from bench.report.power_plan import plan_json, plan_text, power_plan
from builders import add_reference, add_run, make_environment, make_refit

COMPONENTS = VarianceComponents(
    image_variance=6e-6, seed_std=(0.003, 0.003)
)  # standard error from the images 0.245 points


def test_power_without_a_difference_is_at_most_the_level() -> None:
    for seeds in (3, 5, 20):
        assert 0.005 < power(0.0, COMPONENTS, seeds) < 0.055


def test_power_grows_with_the_difference_and_the_seeds() -> None:
    by_difference = [power(difference, COMPONENTS, 5) for difference in (0.002, 0.004, 0.008)]
    by_seeds = [power(0.007, COMPONENTS, seeds) for seeds in (3, 5, 10, 100)]
    assert by_difference == sorted(by_difference)
    assert by_seeds == sorted(by_seeds)


def test_with_unlimited_seeds_the_test_images_limit_the_power() -> None:
    # 0.00686 is 2.8 standard errors: 80% power, z = 1.96 + 0.84.
    assert power_with_unlimited_seeds(2.8016 * 6e-6**0.5, COMPONENTS) == pytest.approx(0.8, abs=1e-3)
    assert power(0.007, COMPONENTS, 100) < power_with_unlimited_seeds(0.007, COMPONENTS)
    assert minimum_detectable_difference(COMPONENTS, None) == pytest.approx(2.8016 * 6e-6**0.5, abs=2e-5)


def test_required_seeds_are_the_fewest_with_enough_power() -> None:
    needed = required_seeds(0.01, COMPONENTS)
    assert needed is not None
    assert power(0.01, COMPONENTS, needed) >= 0.8 > power(0.01, COMPONENTS, needed - 1)


def test_seeds_cannot_replace_test_images() -> None:
    assert required_seeds(0.004, COMPONENTS) is None


def varied(seed: int, extra: int) -> list[list[int]]:
    """The images of 200 that each of four refits misclassifies: some in common, some at random."""
    random = np.random.default_rng(seed)
    return [[*range(10), *(10 + random.choice(150, extra + number, replace=False)).tolist()] for number in range(4)]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for number, (family, extra) in enumerate((("cnn", 8), ("dense", 12))):
        add_run(tmp_path, varied(number, extra), spec={"family": family, "refit_seeds": 4})
    return tmp_path


def test_the_plan_is_for_the_two_best_rows(results: Path) -> None:
    plan = power_plan(results, "synthetic", 30)
    assert (plan.a.label, plan.b.label) == ("cnn", "dense")
    assert plan.seeds is not None
    # Refits take 20 to 23 s, median 21.5, two at a time: for each of two families half as long as there are seeds.
    assert plan.minutes == pytest.approx(2 * 21.5 * -(-plan.seeds // 2) / 60)
    assert f"takes {plan.seeds} seeds per model" in plan_text(plan)


def test_a_difference_too_small_for_the_test_set_needs_more_images(results: Path) -> None:
    plan = power_plan(results, "synthetic", 0.1, ["dense", "cnn"])
    text = " ".join(plan_text(plan).split())
    assert "cannot be detected with 80% power on 200 test images" in text
    (images,) = re.findall(r"At least about ([\d,]+) test images are needed", text)
    assert plan.images_needed <= int(images.replace(",", "")) < 1.1 * plan.images_needed
    assert plan_json(plan)["seeds"] is None
    assert json.loads(json.dumps(plan_json(plan)))["n_test"] == 200


def test_times_of_different_machines_are_not_added(tmp_path: Path) -> None:
    for number, family in enumerate(("cnn", "dense")):
        add_run(
            tmp_path,
            varied(number, 10),
            spec={"family": family, "refit_seeds": 4},
            environment=make_environment(cpu=f"Synthetic CPU {number}"),
        )
    assert power_plan(tmp_path, "synthetic", 30).minutes is None


def test_named_runs_need_no_dataset(results: Path) -> None:
    plan = power_plan(results, None, 30, ["cnn", "dense"])
    assert (plan.a.label, plan.b.label) == ("cnn", "dense")
    assert max(map(len, plan_text(plan).splitlines())) <= 80


def test_plan_without_names_is_for_the_only_dataset_or_fashion_mnist(results: Path) -> None:
    assert power_plan(results, None, 30).a.record.dataset.name == "synthetic"
    add_run(results, spec={"dataset": "digits"})
    with pytest.raises(SpecError, match=r"two runs on fashion_mnist .* train two with .* --dataset fashion_mnist`$"):
        power_plan(results, None, 30)


def test_impossible_plans_are_errors(results: Path) -> None:
    with pytest.raises(SpecError, match=r"unknown dataset 'synthetik': valid names are synthetic\. Did you mean"):
        power_plan(results, "synthetik", 1, ["cnn", "dense"])
    for detect in (0, 1e-300, 100):
        with pytest.raises(SpecError, match=f"between 0.001 and 100, got {detect:g}"):
            power_plan(results, "synthetic", detect)
    assert power_plan(results, "synthetic", 0.001).images_needed > 200
    with pytest.raises(SpecError, match="needs two runs, got 1"):
        power_plan(results, "synthetic", 1, ["cnn"])
    with pytest.raises(SpecError, match="at least two seeds are needed"):
        power_plan(results, "digits", 1)


def test_a_single_seed_is_not_enough_for_a_plan(tmp_path: Path) -> None:
    for family in ("cnn", "dense"):
        add_run(tmp_path, [list(range(10))], spec={"family": family, "refit_seeds": 1}, refits=(make_refit(0),))
    with pytest.raises(SpecError, match=r"there are 0: train two with .* --dataset PATH` \(with"):
        power_plan(tmp_path, "synthetic", 1)
    with pytest.raises(SpecError, match="a single seed gives no variance estimate"):
        power_plan(tmp_path, "synthetic", 1, ["cnn", "dense"])


def test_one_file_of_a_model_trained_elsewhere_is_not_enough_for_a_plan(results: Path) -> None:
    refits, wrong = (make_refit(0),), [list(range(10))]
    spec = {"model": "mine", "refit_seeds": 1}
    add_reference(results, wrong, spec=spec, reference={"group": "external"}, refits=refits)
    with pytest.raises(SpecError, match="a single seed gives no variance estimate"):
        power_plan(results, "synthetic", 30, ["cnn", "mine"])
