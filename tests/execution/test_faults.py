"""Candidates that crash, hang or exhaust the memory, and time limits: recorded with the reason."""

import re
from pathlib import Path

import pytest

from bench.records.record import RunRecord, SearchOutcome
from bench.records.spec import SearchSpec
from bench.records.store import all_folders
from command_line import call, run
from whole_runs import finished

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("here")]

# All of these trials together exceed the limit (seconds) by far; one of them takes far less.
TRIALS, EPOCHS, LIMIT = 300, 8, 16
REFIT_SECONDS = 8  # and evaluation
TIMEOUT = 12  # seconds
MEMORY = 4 * 2**30  # bytes, for all workers
SEED = 8  # gives a candidate of each kind
FAULTS = {  # value of `ends` to the error of such a candidate
    "aborts": r"its worker process was killed by signal 6",
    "hangs": r"it took longer than the trial timeout, so its worker process was killed",
    "allocates": r"its worker process used \d+\.\d GiB, more than its memory limit, and was terminated",
}


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> tuple[SearchOutcome, str]:
    """A search with one candidate of each kind, and the output."""
    cwd = tmp_path_factory.mktemp("faulty")
    few = ("--tuner", "random", "--seed", SEED, "--trials", 4, "--epochs", 1, "--refit-seeds", 1)
    # Little memory, so that a worker's share is exhausted long before the trial timeout.
    limits = ("--workers", 2, "--trial-timeout", f"{TIMEOUT}s")
    done = run("run", "--dataset", "digits", "--family", "faulty", *few, *limits, cwd=cwd, memory=MEMORY)
    search = finished(cwd / "results", "faulty").record.search
    assert search is not None
    assert {trial.values["ends"] for trial in search.trials} == {"well", *FAULTS}, "the seed must give every kind"
    return search, done.stderr


@pytest.mark.parametrize(("ends", "reason"), FAULTS.items())
def test_trial_that_kills_its_worker_is_retried_once_and_recorded_with_the_reason(
    ends: str, reason: str, faulty: tuple[SearchOutcome, str]
) -> None:
    search, output = faulty
    (trial,) = (trial for trial in search.trials if trial.values["ends"] == ends)
    # Both attempts count; those of `hangs` last until the timeout.
    assert trial.task_seconds > (2 * TIMEOUT if ends == "hangs" else 0)
    assert re.fullmatch(reason + ".*", trial.error or "")
    assert len(re.findall(rf"trial {trial.number} of faulty: {reason}.*; retrying", output)) == 1


def test_trial_among_faulty_ones_wins(faulty: tuple[SearchOutcome, str]) -> None:
    winner = faulty[0].winning_trial
    assert (winner.status, winner.values["ends"]) == ("ok", "well")


@pytest.fixture(scope="module")
def limited_results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of two searches of one command with too little time for their trials."""
    cwd = tmp_path_factory.mktemp("limited")
    trials = ("--tuner", "random", "--trials", TRIALS, "--epochs", EPOCHS, "--refit-seeds", 1, "--precision", "float32")
    limit = ("--time-limit", f"{LIMIT}s", "--workers", 1, "--searches", 2)
    call("run", "--family", "tiny", "--dataset", "digits", *trials, *limit, cwd=cwd)
    return cwd / "results"


@pytest.fixture(scope="module", params=["first search", "second search"])
def limited(request: pytest.FixtureRequest, limited_results: Path) -> RunRecord:
    first, second = (folder.read_record() for folder in all_folders(limited_results))
    return first if request.param == "first search" else second


def test_time_limit_is_on_the_leaderboard(limited_results: Path) -> None:
    page = (limited_results / "leaderboard.md").read_text()
    assert f"(equivalent to {TRIALS} trials of {EPOCHS} epochs), time limit {LIMIT} s" in page


def test_run_with_a_time_limit_ends_in_time(limited: RunRecord) -> None:
    assert isinstance(limited.spec, SearchSpec)
    assert limited.search is not None
    assert limited.spec.time_limit == LIMIT
    assert 0.25 * LIMIT < limited.search.search_seconds < limited.total_seconds < LIMIT + REFIT_SECONDS
    assert max(trial.ended_seconds for trial in limited.search.trials) < LIMIT
    assert len(limited.search.trials) < TRIALS


def test_winner_of_a_search_with_a_time_limit_has_full_length(limited: RunRecord) -> None:
    search = limited.search
    assert search is not None
    # Whether a trial is cut short depends on the speed of the machine; one surely is in test_stages.py.
    assert {trial.status for trial in search.trials} <= {"ok", "cut"}
    assert (search.winning_trial.status, search.winning_trial.epochs) == ("ok", EPOCHS)


@pytest.mark.parametrize(("seconds", "trials"), [(12, "none of [1-9] trials"), (1, "(no trial|none of 1 trials)")])
def test_time_limit_too_short_for_any_trial_is_an_error(seconds: int, trials: str, tmp_path: Path) -> None:
    search = ("--tuner", "random", "--trials", 10, "--epochs", 9000, "--refit-seeds", 1)
    limit = ("--time-limit", f"{seconds}s", "--workers", 1)
    done = call("run", "--family", "tiny", "--dataset", "digits", *search, *limit, cwd=tmp_path, code=2)
    assert re.search(
        rf"{trials} of 'tiny' completed at full length\. Reasons: --time-limit of {seconds} s was too short; "
        "raise it, or lower --epochs",
        done.stderr,
    )
