"""The comparison of presets with stock Keras Tuner: its statistics, on numbers that are easy to check by hand."""

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.machine import environment
from bench.records.encoding import encode, read_lines
from bench.records.files import append_line
from bench.tuning.presets import PLANS
from benchmarks import time_to_accuracy as script
from builders import make_environment, make_trial_spec

PLAN = PLANS["digits", "dense", "quick"]


def measure(side: script.Side, number: int, seconds: float, *accuracies: float) -> script.Measure:
    return script.Measure(
        comparison="dense",
        side=side,
        round=number,
        dataset="digits",
        preset="quick",
        plan=PLAN,
        environment=make_environment(),
        seconds=seconds,
        result=script.Result(
            test_accuracies=accuracies,
            search_epochs=100,
            final_epochs=20,
            search_precision="float32",
            final_precision="float32",
        ),
    )


def training(number: int, seconds: Sequence[float], accuracy: Sequence[float]) -> script.Training:
    spec = make_trial_spec(values={"units": 64}, seed=number + 1, epochs=len(seconds))
    return script.Training(
        run="dense-hyperband-0123456789",
        number=number,
        spec=spec,
        environment=make_environment(),
        epoch_seconds=tuple(seconds),
        validation_accuracy=tuple(accuracy),
    )


MEASURES = [
    measure("Keras Tuner", 1, 100.0, 0.90, 0.92),
    measure("suite", 1, 20.0, 0.91, 0.93),
    measure("suite", 2, 25.0, 0.90, 0.92),
    measure("Keras Tuner", 2, 75.0, 0.89, 0.91),
    measure("Keras Tuner", 3, 80.0, 0.99, 0.99),
]


def test_rounds_with_one_side_are_left_out() -> None:
    assert script.pairs(MEASURES, "dense") == [(MEASURES[0], MEASURES[1]), (MEASURES[3], MEASURES[2])]
    assert script.pairs(MEASURES, "cnn") == []


def test_speedup_is_the_median_over_rounds_and_accuracy_the_mean() -> None:
    # 100 / 20 = 5 and 75 / 25 = 3; (0.92 + 0.91) / 2 against (0.91 + 0.90) / 2.
    (row,) = script._summary(MEASURES, "dense")
    assert [row[name] for name in ("rounds", "speedup, median", "lowest", "highest", "goal met")] == [
        "2",
        "4.00",
        "3.00",
        "5.00",
        "yes",
    ]
    assert row["test accuracy of the suite (%)"] == "91.50 (n = 4)"
    assert row["of Keras Tuner (%)"] == "90.50 (n = 4)"
    assert row["accuracy claim holds"] == "yes"
    # Differences of 1 point in both rounds.
    assert row["difference (pp)"] == "+1.00 (+1.00 to +1.00)"


def test_interval_of_the_difference_is_that_of_students_t() -> None:
    # Standard deviation 1.414 over 2 rounds, so standard error 1; t(1) = 12.706.
    assert script._difference_text([0.01, 0.03]) == "+2.00 (-10.71 to +14.71)"


def test_claim_fails_if_keras_tuner_is_more_accurate() -> None:
    (row,) = script._summary([MEASURES[0], measure("suite", 1, 30.0, 0.9)], "dense")
    assert (row["goal met"], row["accuracy claim holds"]) == ("no", "no")


def test_goal_is_met_only_with_the_accuracy_of_keras_tuner() -> None:
    assert list(script._goals(MEASURES)) == [
        ("dense, median speedup 4.00 (3.00 to 5.00 in 2 of 3 rounds), goal 4", True)
    ]
    less_accurate = [MEASURES[0], measure("suite", 1, 20.0, 0.9)]
    assert list(script._goals(less_accurate)) == [
        ("dense, median speedup 5.00 (5.00 to 5.00 in 1 of 3 rounds), goal 4, but a lower mean test accuracy", False)
    ]


def test_accuracy_counts_from_the_end_of_its_epoch() -> None:
    # In float32, 0.88 is 0.87999999523.
    trained = training(0, [3.0, 2.0, 2.5], [0.5, float(np.float32(0.88)), 0.9])
    assert [script.seconds_to(trained, threshold) for threshold in (0.5, 0.88, 0.9)] == [3, 5, 7.5]
    assert script.seconds_to(trained, 0.91) == float("inf")


def test_accuracy_that_most_seeds_miss_is_not_reached() -> None:
    rows = list(
        script._thresholds([training(0, [1, 1], [0.88, 0.9]), *(training(n, [1, 1], [0.8, 0.89]) for n in (1, 2))])
    )
    assert [list(row.values())[1:] for row in rows] == [
        ["88", "3 of 3", "2.0", "1.0", "2.0"],
        ["89", "3 of 3", "2.0", "2.0", "2.0"],
        ["90", "1 of 3", "not reached", "2.0", "not reached"],
    ]


def arguments(results: Path) -> Namespace:
    return Namespace(comparisons=["dense"], rounds=2, preset="quick", dataset="digits", results=results)


def test_order_of_sides_alternates(tmp_path: Path) -> None:
    assert [(job.round, job.side, job.seed) for job in script._jobs(arguments(tmp_path))] == [
        (1, "Keras Tuner", 0),
        (1, "suite", 0),
        (2, "suite", 1),
        (2, "Keras Tuner", 1),
    ]


def test_only_missing_sides_are_measured(tmp_path: Path) -> None:
    here = [replace(each, environment=environment()) for each in MEASURES[:3]]
    missing = [job.name for job in script._jobs(arguments(tmp_path)) if not script._is_measured(job, here, tmp_path)]
    assert missing == ["dense, round 2, Keras Tuner"]


def test_measurements_on_another_machine_are_refused(tmp_path: Path) -> None:
    job = next(script._jobs(arguments(tmp_path)))
    with pytest.raises(SystemExit, match="was measured with"):
        script._is_measured(job, MEASURES, tmp_path / "rounds.jsonl")


def test_page_is_made_from_the_files(tmp_path: Path) -> None:
    results = tmp_path / "time"
    trainings = [training(0, [1, 1], [0.88, 0.9])]
    for name, lines in ((script.ROUNDS, MEASURES), (script.TRAININGS, trainings)):
        for line in lines:
            append_line(results / name, encode(line, results / name))
    assert read_lines(script.Measure, results / script.ROUNDS) == MEASURES
    assert read_lines(script.Training, results / script.TRAININGS) == trainings
    script.write_page(results)
    page = (tmp_path / "time.md").read_text(encoding="utf-8")
    assert "| dense" in page
    assert "1 of 1" in page
    assert (tmp_path / "time.png").exists()
