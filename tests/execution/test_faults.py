"""Candidates that crash, hang or take all memory, and time that runs out: recorded with the reason."""

import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from bench.records.record import RunRecord, TrialRecord
from bench.records.store import all_folders
from command_line import run
from whole_runs import finished

pytestmark = pytest.mark.slow

# All of these trials take far longer than the limit (seconds), and one of them far less.
TRIALS, EPOCHS, LIMIT = 300, 8, 45
MEMORY = 8 * 2**30  # bytes, for all workers
FAULTS = {  # family: what is said of its candidates that end badly
    "aborts": r"its worker process was killed by signal 6",
    "hangs": r"it took longer than --trial-timeout allows, and its worker was ended",
    "allocates": r"its worker process used \d+\.\d GiB, which is more than its share of the memory, and was",
}


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Searches of these families in one run: the results, and what was said."""
    cwd = tmp_path_factory.mktemp("faulty")
    families = chain(*(("--family", family) for family in FAULTS))
    few = ("--dataset", "digits", "--tuner", "random", "--trials", 3, "--epochs", 2, "--seeds", 1)
    # Little memory, so that a worker's share is used up long before the time limit of a trial.
    done = run("run", *families, *few, "--workers", 4, "--trial-timeout", "20s", cwd=cwd, memory=MEMORY)
    return cwd / "results", done.stderr


def by_end(record: RunRecord) -> dict[str, list[TrialRecord]]:
    """Trials by what their candidate was to come to."""
    found: dict[str, list[TrialRecord]] = {"well": [], "badly": []}
    for trial in record.trials:
        found[str(trial.values["ends"])].append(trial)
    assert all(found.values()), "the seed must give both kinds"
    return found


@pytest.mark.parametrize(("family", "reason"), FAULTS.items())
def test_trial_that_ends_its_worker_is_tried_once_more_and_recorded_with_the_reason(
    family: str, reason: str, faulty: tuple[Path, str]
) -> None:
    results, said = faulty
    record = finished(results, family).record
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
    assert limited.spec.time_limit == LIMIT
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


@pytest.mark.parametrize(("seconds", "ended"), [(25, "none of the [1-9] trials"), (1, "no trial")])
def test_time_limit_in_which_no_trial_ends_is_an_error_that_says_so(seconds: int, ended: str, tmp_path: Path) -> None:
    trials = ("--tuner", "random", "--trials", 10, "--epochs", 9000, "--seeds", 1)
    budget = ("--budget", f"{seconds}s")
    done = run("run", "--family", "tiny", "--dataset", "digits", *trials, *budget, cwd=tmp_path, code=2)
    assert re.search(
        rf"{ended} of 'tiny' ended with a score at full length. Reasons: the {seconds} s of --budget were too short; "
        "give more, or fewer --epochs",
        done.stderr,
    )
