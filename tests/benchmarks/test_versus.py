"""The statistics of the comparison with Keras Tuner, on times that are easy to check by hand."""

import importlib
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.data.catalog import locate
from bench.report.pages.benchmarks import goals_of
from builders import make_dataset, make_environment

versus: Any = importlib.import_module("benchmarks.versus_keras_tuner")


def measure(*fits: tuple[float, float], side: str = "float32", number: int = 1, **changes: Any) -> Any:
    """A search whose trials were inside `fit` at these seconds, on two processes by default."""
    fields: dict[str, Any] = {
        "family": "dense",
        "side": side,
        "round": number,
        "commit": None,
        "processes": 2,
        "wall_seconds": 40.0,
        "processor_seconds": 60.0,
        "ended": max(ended for _, ended in fits),
        "fits": tuple(
            versus.Fit(started=started, ended=ended, validation_accuracy=(0.5, 0.8 + index / 100))
            for index, (started, ended) in enumerate(fits)
        ),
    }
    return versus.Measure(**fields | changes)


def stored(*measures: Any) -> Any:
    return versus.Measurements(
        settings=versus.Settings(dataset="synthetic", trials=3, epochs=2, seed=0, cores=2),
        environment=make_environment(),
        dataset=make_dataset(),
        candidates={"dense": ({"units": 64, "rate": 0.5, "normalized": True},)},
        measures=measures,
    )


def test_trials_per_hour_are_of_the_whole_process_or_from_the_first_fit() -> None:
    search = measure((12, 20), (10, 25), (20, 30))
    assert versus.trials_per_hour(search, start_up=True) == 3600 * 3 / 40
    assert versus.trials_per_hour(search, start_up=False) == 3600 * 3 / 20


def test_share_in_fit_counts_every_process_from_the_first_fit() -> None:
    # 9 + 14 + 10 seconds inside, of 2 x 20.
    assert versus.share_in_fit(measure((10, 19), (10, 24), (20, 30)), 30) == 33 / 40
    # Up to 24: 9 + 14 + 4 of 2 x 14.
    assert versus.share_in_fit(measure((10, 19), (10, 24), (20, 30)), 24) == 27 / 28


def test_first_idle_process_is_the_one_that_ends_its_last_trial_first() -> None:
    assert versus.first_idle(measure((10, 19), (10, 24), (20, 30))) == 24
    assert versus.first_idle(measure((10, 19), (20, 30), processes=1)) == 30
    assert versus.first_idle(measure((10, 19), processes=2)) == 19


def test_seconds_per_trial_exclude_the_warm_up() -> None:
    assert versus.seconds_per_trial(measure((1, 10), (11, 13), (13.5, 16), processes=1)) == 3


def test_every_round_starts_with_another_side() -> None:
    orders = [list(versus._order(["dense", "cnn"], number)) for number in (1, 2)]
    assert orders[0] != orders[1]
    assert orders[0][0] != orders[1][0]
    assert sorted(orders[0]) == sorted(orders[1])


def test_page_compares_the_sides_of_the_same_round() -> None:
    # Wall seconds of stock over the suite's: 100 / 40, 180 / 40, 120 / 40.
    measures = [
        measure((10, 20), (10, 25), (20, 30), side=side, number=number, wall_seconds=seconds)
        for number, stock in enumerate((100.0, 180.0, 120.0), 1)
        for side, seconds in (("stock", stock), ("float32", 40.0), ("one worker", 40.0), ("bare loop", 40.0))
    ]
    page = versus._page(stored(*measures), ["dense"])
    row = next(line for line in page.splitlines() if line.startswith("| dense") and "suite" in line)
    assert [cell.strip() for cell in row.split("|")][3:7] == ["3.00", "2.50", "4.50", "4.0"]
    assert "Medians of 3 rounds" in page
    assert "shows no overhead in 3 rounds compared with a bare loop" in page
    # Speedup 3.00 of 4.0; in fit, 5 + 10 s on the first process and 15 s on the second.
    assert goals_of(page, "Missed")[0] == "dense in float32, speedup 3.00 (goal 4.0)"
    assert goals_of(page, "Met")[-1] == "dense with one worker, no measurable overhead (goal 3%)"
    assert "accuracies are equal" in page


def test_measurements_with_other_settings_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "versus_keras_tuner.json"
    file.write_bytes(msgspec.json.encode(stored(measure((1, 2)))))
    arguments = Namespace(trials=3, epochs=2, seed=0)
    with pytest.raises(SystemExit, match="was measured with"):
        versus._open(file, arguments, locate("digits"))


def test_measurements_are_read_back_unchanged() -> None:
    measurements = stored(measure((1, 2)), measure((1, 3), side="stock"))
    assert msgspec.json.decode(msgspec.json.encode(measurements), type=versus.Measurements) == measurements
    assert measurements.find("dense", "stock", 1) == measurements.measures[1]
    assert replace(measurements, measures=()).find("dense", "stock", 1) is None
