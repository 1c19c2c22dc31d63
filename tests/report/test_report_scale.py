"""The report over a thousand runs takes a few times as long as over one run, linearly with the number of runs.

Times are CPU time, and compared with each other, since machines differ.
"""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from bench.records.spec import SearchSpec
from bench.records.store import run_folder
from builders import make_dataset, make_predictions, make_run, make_search, make_spec, make_trial
from command_line import command, variables

pytestmark = [pytest.mark.slow, pytest.mark.long]

RUNS = 1_000
MINUTES = 15  # limit for a test, which takes one minute on an idle machine
IMAGES = 1_000
DATASET = make_dataset(class_names=tuple(f"class {number}" for number in range(10)), n_test=IMAGES)
TRIALS = tuple(make_trial(number, 0.8 + number / 100) for number in range(12))


TUNERS = ("hyperband", "random", "bayesian", "grid")


def spec_of(number: int) -> SearchSpec:
    """One of ten families and one of four tuners, with its own search seed."""
    return make_spec(family=f"family{number % 10}", tuner=TUNERS[number // 10 % 4], seed=number)


def add(results: Path, number: int) -> None:
    """Write a finished run; the first ones have the fewest errors. No ledgers: they would double the time."""
    random = np.random.default_rng(number)
    common = random.choice(IMAGES, 40 + number // 10 if number >= 3 else 10, replace=False)
    predictions = make_predictions([[*common, *random.choice(IMAGES, 20)] for _ in range(3)], dataset=DATASET)
    folder = run_folder(results, spec_of(number))
    folder.write_predictions(predictions)
    folder.write_record(make_run(predictions, spec=spec_of(number), dataset=DATASET, origin=make_search(trials=TRIALS)))


def report_seconds(results: Path) -> float:
    """CPU time of `python -m bench report` when every page is missing."""
    for page in (*results.glob("*.md"), *results.glob("synthetic/*.md")):
        page.unlink()
    process = subprocess.Popen(command("report"), cwd=results.parent, env=variables(), stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)  # so that Popen does not wait again
    assert process.returncode == 0
    return used.ru_utime + used.ru_stime


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """A results folder with a thousand runs and their report, and the seconds that the report took."""
    results = tmp_path_factory.mktemp("thousand") / "results"
    for number in range(RUNS):
        add(results, number)
    return results, report_seconds(results)


@pytest.mark.timeout(60 * MINUTES)
def test_the_report_over_a_thousand_runs_takes_a_few_times_as_long_as_over_one(
    reported: tuple[Path, float], tmp_path: Path
) -> None:
    results, seconds = reported
    ranked = (results / "leaderboard.md").read_text().split("<details>")[0]
    assert sum(line.startswith("|") for line in ranked.splitlines()) == 2 + RUNS
    assert len(list((results / "synthetic" / "figures").glob("*-curves.png"))) == 1
    add(tmp_path / "results", 0)
    # Measured: 2.7 to 3.2 times, on a busy machine.
    assert seconds < 6 * report_seconds(tmp_path / "results")


@pytest.mark.timeout(60 * MINUTES)
def test_the_time_grows_linearly_with_the_runs(reported: tuple[Path, float], tmp_path: Path) -> None:
    results, _ = reported

    def seconds(count: int) -> float:
        """CPU time of a report over the first `count` runs with the figures already drawn."""
        some = tmp_path / str(count) / "results"
        (some / "records" / "synthetic").mkdir(parents=True)
        (some / "synthetic").mkdir()
        links = [Path("records") / "synthetic" / spec_of(number).name for number in range(count)]
        for link in (*links, Path("synthetic") / "figures"):
            (some / link).symlink_to(results / link)
        return min(report_seconds(some) for _ in range(2))

    few, half, full = seconds(50), seconds(RUNS // 2), seconds(RUNS)
    # The second half of the runs takes 1.1 times as long as 450 of the first half; comparing every two runs one by one
    # would take three times as long.
    assert full - half < 2 * (half - few), f"{few:.1f}, {half:.1f}, {full:.1f} s"
