"""Candidates that crash, hang or take all memory, and time that runs out: recorded with the reason."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.record import RunRecord, TrialRecord
from bench.store import RunFolder, all_folders
from command_line import run, started

pytestmark = pytest.mark.slow

# All of these trials take far longer than the limit (seconds), and one of them far less.
TRIALS, EPOCHS, LIMIT = 300, 8, 60
FEW = ("--dataset", "digits", "--tuner", "random", "--trials", 3, "--epochs", 2, "--seeds", 1)


def search(family: str, cwd: Path, *options: object) -> tuple[RunRecord, str]:
    """The record of a search of `family`, and what was said."""
    done = run("run", "--family", family, *FEW, *options, cwd=cwd)
    (folder,) = all_folders(cwd / "results")
    return folder.read_record(), done.stderr


def by_end(record: RunRecord) -> dict[str, list[TrialRecord]]:
    """Trials by what their candidate was to come to."""
    found: dict[str, list[TrialRecord]] = {"well": [], "badly": []}
    for trial in record.trials:
        found[str(trial.values["ends"])].append(trial)
    assert all(found.values()), "the seed must give both kinds"
    return found


@pytest.mark.parametrize(
    ("family", "options", "reason"),
    [
        ("aborts", (), r"its worker process died: it was killed by signal 6"),
        ("hangs", ("--trial-timeout", "15s"), r"it took longer than --trial-timeout allows, and its worker was ended"),
        (
            "allocates",
            ("--workers", "4"),  # so that a share of the memory is soon used up
            r"its worker process used \d+\.\d GiB, which is more than its share of the memory, and was",
        ),
    ],
)
def test_trial_that_ends_its_worker_is_tried_once_more_and_recorded_with_the_reason(
    family: str, options: tuple[str, ...], reason: str, tmp_path: Path
) -> None:
    record, said = search(family, tmp_path, *options)
    ended = by_end(record)
    assert {trial.status for trial in ended["well"]} == {"ok"}
    for trial in ended["badly"]:
        if trial.repeats is None:
            assert re.fullmatch(reason + ".*", trial.error or "")
            assert len(re.findall(rf"trial {trial.number} of {family}: {reason}.*; trying it once more", said)) == 1
    assert record.winner in {trial.trial_id for trial in ended["well"]}


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunRecord]:
    """A run that had too little time for its trials."""
    cwd = tmp_path_factory.mktemp("limited")
    trials = ("--tuner", "random", "--trials", TRIALS, "--epochs", EPOCHS, "--seeds", 1)
    limit = ("--budget", f"{LIMIT}s", "--workers", 2)
    run("run", "--family", "dense", "--dataset", "digits", *trials, *limit, cwd=cwd)
    (folder,) = all_folders(cwd / "results")
    yield folder.read_record()
    page = (cwd / "results" / "leaderboard.md").read_text()
    assert f"{TRIALS} trials x {EPOCHS} epochs, in {LIMIT} s at most" in page


def test_run_with_a_time_limit_ends_in_time(limited: RunRecord) -> None:
    assert limited.spec.seconds == LIMIT
    assert limited.total_seconds < 1.25 * LIMIT
    assert len(limited.trials) < TRIALS


def test_trials_that_were_cut_short_are_marked_and_do_not_win(limited: RunRecord) -> None:
    assert {trial.status for trial in limited.trials} <= {"ok", "cut"}
    assert all(trial.epochs < EPOCHS for trial in limited.trials if trial.status == "cut")
    assert (limited.winning_trial.status, limited.winning_trial.epochs) == ("ok", EPOCHS)


def test_what_workers_waited_for_is_in_the_record(limited: RunRecord) -> None:
    usage = limited.usage
    assert usage is not None
    assert 0 < usage.start_seconds < limited.total_seconds
    # One refit on two workers: the other one waits.
    assert usage.refit_idle_seconds > 0
    in_tasks = sum(trial.task_seconds for trial in limited.trials)
    assert usage.search_idle_seconds + in_tasks < 2 * limited.search_seconds


def test_time_limit_in_which_no_trial_ends_is_an_error_that_says_so(tmp_path: Path) -> None:
    trials = ("--tuner", "random", "--trials", 10, "--epochs", 9000, "--seeds", 1)
    done = run("run", "--family", "tiny", "--dataset", "digits", *trials, "--budget", "15s", cwd=tmp_path, code=2)
    assert "the 15 s of --budget were too short; give more, or fewer --epochs" in done.stderr


def told(folder: RunFolder) -> int:
    return sum(event.trial is not None for event in folder.events())


def test_two_processes_in_the_same_results_folder_do_not_harm_each_other(tmp_path: Path) -> None:
    same = ("run", "--family", "tiny", *FEW, "--workers", 1)
    with started(*same, cwd=tmp_path) as first:
        first.wait_until(lambda: list(all_folders(tmp_path / "results")), "folder of the run")
        assert "another process is working on" in run(*same, cwd=tmp_path, code=2).stderr
        run(*same, "--seed", 1, cwd=tmp_path)
        assert first.end() == 0
    assert [folder.finished for folder in all_folders(tmp_path / "results")] == [True, True]
    assert os.listdir(tmp_path / "results") != []  # noqa: PTH208 - names are enough
