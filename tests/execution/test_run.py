"""Whole runs on digits as real processes: complete, repeated, killed, interrupted, resumed, refused."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

from bench.machine import usable_cores
from bench.records.evaluation_log import EvaluationLog
from bench.records.ledger import SessionStarted, TrialEnded
from bench.records.record import TrialRecord
from bench.records.store import RunFolder, all_folders
from bench.report.runs import load
from command_line import Started, call, command, group, run, small_disk, started, training_here, variables
from machine import slowness
from whole_runs import (
    DIGITS,
    SMALL,
    TINY,
    TUNERS,
    Finished,
    assert_equal_runs,
    ended_refits,
    ended_trials,
    finished,
    searches,
    without_circumstances,
)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("here")]

INTERRUPT_SECONDS = 5
FIRST_LINE_SECONDS = 3  # half a second on an idle machine; importing TensorFlow first would exceed this
DIGITS_SECONDS = 60


# A complete run


@pytest.mark.smoke
def test_run_leaves_records_predictions_models_and_report(tiny: Finished) -> None:
    files = {path.relative_to(tiny.results).as_posix() for path in tiny.results.rglob("*") if path.is_file()}
    own = tiny.folder.path.relative_to(tiny.results).as_posix()
    assert files >= {
        "leaderboard.md",
        "digits/tiny.md",
        "digits/figures/tiny-curves.png",
        "digits/figures/tiny-confusion.png",
        "digits/figures/tiny-misclassified.png",
        "records/digits/test_evaluations.jsonl",
        *(
            f"{own}/{name}"
            for name in ("spec.json", "trials.jsonl", "record.json", "predictions.npz", "plain_keras.json")
        ),
        *(f"{own}/models/refit-{number}.keras" for number in range(2)),
    }
    assert not any("states/" in name or name.endswith(".tmp") for name in files)
    call("report", "--check", cwd=tiny.results.parent)


def test_code_is_on_the_page_and_written_again_by_the_report(tiny: Finished, tmp_path: Path) -> None:
    assert "### Code of tiny\n" in (tiny.results / "digits/tiny.md").read_text()
    shutil.copytree(tiny.results, tmp_path / "results")
    file = tmp_path / tiny.folder.plain_file.relative_to(tiny.results.parent)
    written = file.read_bytes()
    file.unlink()
    assert "code written" in call("report", "--code", cwd=tmp_path).stderr
    assert file.read_bytes() == written


def test_run_prints_its_row_and_where_the_report_is(tiny: Finished) -> None:
    scores = load(tiny.results).runs[0].scores
    assert f"{100 * scores.accuracy:.2f}" in tiny.stdout
    assert "Report: results/digits/tiny.md\n" in tiny.stdout
    assert "Leaderboard: results/leaderboard.md\n" in tiny.stdout


@pytest.mark.long
def test_run_without_forking_is_the_same(tiny: Finished, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import threading\nthreading.Thread(target=threading.Event().wait, name='telemetry', daemon=True).start()\n"
    )
    done = run(*TINY, "--workers", 2, cwd=tmp_path, env=variables(tmp_path))
    assert done.stderr.count("threads in the process to be forked: telemetry\n") == 1
    assert_equal_runs(tiny, finished(tmp_path / "results", "tiny"))


def test_run_prints_its_progress_and_nothing_else(tiny: Finished) -> None:
    lines = tiny.stderr.splitlines()
    assert all(re.match(r"\[\d+:\d\d\] ", line) for line in lines), tiny.stderr
    assert re.search(r"tiny: random search of 5 candidates in 5 trials, 50 epochs", tiny.stderr)
    assert re.search(r"tiny: search, trials 0 of 5, epochs 0 of 50, no score yet\n", tiny.stderr)
    assert re.search(
        r"tiny: refit, trials 5 of 5, .*best validation accuracy \d\d\.\d\d%, time left \d+:\d\d", tiny.stderr
    )
    assert "\x1b" not in tiny.stderr


def test_time_left_is_within_a_factor_of_four(tiny: Finished) -> None:
    timed = re.findall(r"\[(\d+):(\d\d)\] .* time left (\d+):(\d\d)", tiny.stderr)
    total = tiny.record.total_seconds
    assert timed
    for minutes, seconds, minutes_left, seconds_left in timed:
        expected = int(minutes) * 60 + int(seconds) + int(minutes_left) * 60 + int(seconds_left)
        assert total / 4 < expected < 4 * total, tiny.stderr


@pytest.mark.smoke
def test_published_numbers_can_be_recomputed_from_the_predictions(tiny: Finished) -> None:
    with np.load(tiny.folder.predictions_file) as file:
        labels, predicted = file["labels"], file["log_probabilities"].argmax(axis=-1)
    accuracy = np.mean([accuracy_score(labels, classes) for classes in predicted])
    macro_f1 = np.mean([f1_score(labels, classes, average="macro") for classes in predicted])
    confusion = sum(confusion_matrix(labels, classes, labels=range(10)) for classes in predicted)
    (row,) = json.loads(call("leaderboard", "--json", cwd=tiny.results.parent).stdout)
    assert row["test_accuracy"] == pytest.approx(accuracy)
    assert row["metrics"]["macro_f1"] == pytest.approx(macro_f1)
    assert (load(tiny.results).runs[0].scores.confusion == confusion).all()
    page = (tiny.results / "digits/tiny.md").read_text()
    assert f"Test accuracy {100 * accuracy:.2f}% (" in page
    assert f" {macro_f1:.4f} " in page
    mistaken = confusion + confusion.T - 2 * np.diag(confusion.diagonal())
    a, b = np.unravel_index(np.triu(mistaken).argmax(), mistaken.shape)
    compared = (tiny.results / "digits/README.md").read_text()
    worst = compared.partition("| confused classes ")[2].splitlines()[2].split("|")
    assert worst[2].strip() == f"{(confusion[a, b] + confusion[b, a]) / len(predicted):.1f}"


OWN_MODEL = f"net={Path(__file__).parents[1] / 'families' / 'plain_models.py'}:build_model"


# The second has no fixed plan: its trials and epochs depend on the cost of its models, which needs TensorFlow.
@pytest.mark.parametrize(
    ("arguments", "first", "second"),
    [
        (TINY, "tiny on digits, random search, results in results", ""),
        (
            (*DIGITS, "--family", OWN_MODEL),
            "net on digits, hyperband search, results in results",
            "Choosing trials and epochs for net, from the cost of its models",
        ),
    ],
    ids=["fixed plan", "own model"],
)
def test_first_line_is_printed_before_heavy_imports(
    arguments: Sequence[str], first: str, second: str, tmp_path: Path
) -> None:
    start = time.monotonic()
    with started(*arguments, cwd=tmp_path) as running:
        running.wait_until(lambda: running.text, "first line")
        assert time.monotonic() - start < FIRST_LINE_SECONDS
        assert running.text.startswith(f"[0:00] {first}\n")
        running.wait_until(lambda: second in running.text.partition("\n")[2], "second line")


# The same command again


def test_repeated_command_trains_nothing_and_prints_the_row(tiny: Finished) -> None:
    before = {path: path.stat().st_mtime_ns for path in tiny.results.rglob("*") if path.is_file()}
    start = time.monotonic()
    done = call(*TINY, cwd=tiny.results.parent)
    assert done.stdout == tiny.stdout
    assert "Already complete; nothing trained. Use --again to rerun." in done.stderr
    assert "worker processes" not in done.stderr
    assert time.monotonic() - start < tiny.record.total_seconds
    assert {path: path.stat().st_mtime_ns for path in tiny.results.rglob("*") if path.is_file()} == before


def test_dry_run_prints_trials_epochs_minutes_and_disk_space_and_trains_nothing(tiny: Finished, tmp_path: Path) -> None:
    shutil.copytree(tiny.results, tmp_path / "results")
    done = call(*TINY, "--seed", 1, "--dry-run", cwd=tmp_path)
    assert "search: 5 candidates in 5 trials, 50 epochs\n" in done.stdout
    assert "refits: 2 seeds, 10 epochs each\n" in done.stdout
    assert re.search(r"about \d\.\d minutes and 0\.\d MB on disk, estimated from a few steps of 6 candid", done.stdout)
    assert len(list(all_folders(tmp_path / "results"))) == 1


@pytest.mark.long
def test_dry_run_ends_with_the_exit_code_of_the_signal(tmp_path: Path) -> None:
    with started(*TINY, "--dry-run", cwd=tmp_path) as running:
        running.wait_until(lambda: "Timing a few training steps" in running.text, "timing")
        running.process.send_signal(signal.SIGTERM)
        assert running.end() == 143
        assert running.nothing_left()
    assert "Traceback" not in running.text


# The same search with any number of workers


@pytest.fixture(scope="session")
def one_worker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of two tuners with one worker each, at the same time in the same folder."""
    cwd = tmp_path_factory.mktemp("one_worker")
    arguments = (*DIGITS, "--family", "tiny", "--workers", 1, *TUNERS["hyperband"])
    with started(*arguments, cwd=cwd) as concurrent:
        searches(["bayesian"], 1, cwd)
        assert concurrent.end() == 0, concurrent.text
    return cwd / "results"


# Grid search, like random search, proposes without results, and tests/tuning compares it for any number of workers.
@pytest.mark.parametrize("tuner", ["hyperband", "bayesian"])
def test_one_worker_and_two_give_equal_runs(
    tuner: str, one_worker: Path, undisturbed: Callable[[str], Finished]
) -> None:
    one, two = finished(one_worker, "tiny", tuner), undisturbed(tuner)
    assert (one.record.workers, two.record.workers) == (1, 2)
    assert_equal_runs(one, two)


@pytest.mark.long
def test_grid_search_trains_every_candidate_once(tmp_path: Path) -> None:
    search = finished(searches(["grid"], 1, tmp_path), "tiny", "grid").record.search
    assert search is not None
    assert [trial.status for trial in search.trials] == ["ok"] * 16
    assert len({tuple(sorted(trial.values.items())) for trial in search.trials}) == 16


@pytest.mark.parametrize(
    ("tuner", "trials", "epochs", "workers"),
    [
        pytest.param("random", 16, 1, 8, marks=pytest.mark.long),
        # Brackets of 3 candidates for 1 epoch and 2 for 3 epochs; the rung above them needs results.
        ("hyperband", 4, 3, 4),
    ],
)
def test_all_workers_train_at_the_same_time(tuner: str, trials: int, epochs: int, workers: int, tmp_path: Path) -> None:
    sleepers = tmp_path / "sleepers"
    sleepers.mkdir()
    budget = ("--tuner", tuner, "--trials", trials, "--epochs", epochs, "--refit-seeds", 1)
    env = variables(SLEEPERS_FOLDER=str(sleepers), SLEEPERS=str(workers))
    run(*DIGITS, "--family", "sleeps", "--workers", workers, *budget, cwd=tmp_path, env=env)
    (folder,) = all_folders(tmp_path / "results")
    ended = [event.trial for event in folder.events() if isinstance(event, TrialEnded)]
    assert {trial.status for trial in ended} == {"ok"}
    if tuner == "random":
        assert len(ended) == 16
        assert max_overlap(ended) == workers
        return
    first_rungs = [trial for trial in ended if trial.parent is None]
    assert Counter(trial.epochs for trial in first_rungs) == {1: 3, 3: 2}
    assert max_overlap(first_rungs) == workers


def max_overlap(trials: Sequence[TrialRecord]) -> int:
    """The largest number of trials that were in training at the same time."""
    starts = [trial.ended_seconds - trial.task_seconds for trial in trials]
    return max(
        sum(start <= moment < trial.ended_seconds for start, trial in zip(starts, trials, strict=True))
        for moment in starts
    )


# Several families in one command; families with bugs


@pytest.fixture(scope="module")
def several(tiny: Finished, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """`tiny` again, with two families with bugs, in one command: the results and the output."""
    cwd = tmp_path_factory.mktemp("several")
    shutil.copytree(tiny.results, cwd / "results")
    families = chain(*(("--family", name) for name in ("tiny", "always_raises", "sometimes_raises")))
    done = call(*DIGITS, *families, *SMALL, "--workers", 1, "--again", "--verbose", cwd=cwd, code=2)
    return cwd / "results", done.stderr


def test_rerun_with_other_families_and_one_worker_has_its_own_folder_and_equals_the_first_run(
    several: tuple[Path, str], tiny: Finished
) -> None:
    first, second = (folder for folder in all_folders(several[0]) if folder.path.name.startswith("tiny-"))
    assert second.path.name == f"{first.path.name}-repeat2"
    record = second.read_record()
    assert (record.workers, tiny.record.workers) == (1, 2)
    assert_equal_runs(Finished(second, record), tiny)


def test_every_trial_and_refit_has_a_line_if_asked_for(several: tuple[Path, str]) -> None:
    output = several[1]
    assert len(re.findall(r"\] tiny: trial \d: validation accuracy \S+% after epoch 10, \S+ s\n", output)) == 5
    assert len(re.findall(r"\] tiny: refit \d: 10 epochs, \S+ s\n", output)) == 2


def test_failed_trial_has_its_error_in_ledger_and_report(several: tuple[Path, str]) -> None:
    results = several[0]
    reason = "ValueError: this family cannot have 16 units (in architecture, sometimes_r"
    run_of_family = finished(results, "sometimes_raises")
    search = run_of_family.record.search
    assert search is not None
    ok = [trial for trial in search.trials if trial.status == "ok"]
    failed = [trial for trial in search.trials if trial.status == "failed"]
    assert ok
    assert failed
    assert all(trial.error is not None and trial.error.startswith(reason) for trial in failed)
    assert len(ended_trials(run_of_family.folder)) == 5
    assert search.winner in {trial.trial_id for trial in ok}
    assert {trial.values["units"] for trial in failed} == {16}
    assert reason in (results / "digits/sometimes_raises.md").read_text()


def test_family_that_always_fails_is_an_error_with_the_reason(several: tuple[Path, str]) -> None:
    results, output = several
    assert re.search(
        r"error: none of 5 trials of 'always_raises' completed at full length\. "
        r"Reasons: RuntimeError: this family cannot be trained \(in architecture, always_raises\.py:\d+\)",
        output,
    )
    assert "always_raises" not in (results / "leaderboard.md").read_text()


def test_family_that_cannot_declare_its_space_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "search_spaces").mkdir()
    (tmp_path / "search_spaces" / "broken.py").write_text(
        "import no_such_library\nfrom search_spaces import Family\n\nclass Broken(Family): ...\n"
    )
    families = ("--family", "tiny", "--family", "broken")
    done = run(*DIGITS, *families, *SMALL, "--workers", 1, cwd=tmp_path, code=2, env=variables(tmp_path))
    assert "error: family 'broken' cannot be built for digits: ModuleNotFoundError: No module named" in done.stderr
    assert "(in <module>, broken.py:1): fix that, then repeat the command\n" in done.stderr
    assert list((tmp_path / "results").iterdir()) == []


def test_file_without_a_family_is_refused_before_workers_start(tmp_path: Path) -> None:
    (tmp_path / "search_spaces").mkdir()
    (tmp_path / "search_spaces" / "helper.py").write_text("WIDTH = 8\n")
    done = call(*DIGITS, "--family", "helper", *SMALL, cwd=tmp_path, code=2)
    assert done.stderr.splitlines()[1:] == [
        (
            f"error: family 'helper' cannot be loaded: {tmp_path}/search_spaces/helper.py must define a subclass of "
            "search_spaces.Family, found none: add it, or, if other families import the file, rename it to _helper.py"
        )
    ]


# The test set does not influence the search


POISONED = """
from dataclasses import replace
from pathlib import Path
from bench.data.sets import digits

def test(access):
    images, labels, source = digits.DATASET.test(access)
    return images, labels[::-1] if Path({marker!r}).exists() else labels, source

DATASET = replace(digits.DATASET, title="Digits whose test labels may be wrong", test=test)
"""


def test_poisoned_test_labels_leave_winner_trials_and_refits_the_same(tmp_path: Path) -> None:
    marker = tmp_path / "poisoned"
    (tmp_path / "own.py").write_text(POISONED.format(marker=str(marker)))
    small = ("--tuner", "random", "--trials", 2, "--epochs", 5, "--refit-seeds", 1, "--workers", 1)
    search = ("run", "--family", "tiny", "--dataset", "own.py", *small)
    call(*search, "--results", "right", cwd=tmp_path)
    marker.touch()
    call(*search, "--results", "wrong", cwd=tmp_path)
    right, wrong = (finished(tmp_path / name, "tiny") for name in ("right", "wrong"))
    assert not np.array_equal(right.predictions.labels, wrong.predictions.labels)
    assert load(wrong.results).runs[0].scores.accuracy < load(right.results).runs[0].scores.accuracy / 2
    assert np.array_equal(right.predictions.log_probabilities, wrong.predictions.log_probabilities)
    assert without_circumstances(wrong.record) == replace(
        without_circumstances(right.record), predictions_sha256=wrong.record.predictions_sha256
    )


FRAGILE = """
import os, signal
from dataclasses import replace
from pathlib import Path
from bench.data.sets import digits

def test(access):
    marker = Path({marker!r})
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return digits.DATASET.test(access)

DATASET = replace(digits.DATASET, title="Digits whose first evaluation kills its worker", test=test)
"""


def test_evaluation_whose_worker_is_killed_is_retried_and_logged_twice(tmp_path: Path) -> None:
    dataset = tmp_path / "fragile.py"
    dataset.write_text(FRAGILE.format(marker=str(tmp_path / "killed")))
    small = ("--tuner", "random", "--trials", 1, "--epochs", 1, "--refit-seeds", 1, "--workers", 1)
    done = call("run", "--family", "tiny", "--dataset", dataset, *small, cwd=tmp_path)
    assert re.search(r"evaluation of tiny: its worker process was killed by signal 9.*; retrying", done.stderr)
    (folder,) = all_folders(tmp_path / "results")
    evaluations = EvaluationLog(tmp_path / "results", "fragile").read()
    assert [entry.run for entry in evaluations] == [folder.path.name] * 2
    assert "contains 2 evaluations on the test set of" in (tmp_path / "results/leaderboard.md").read_text()


# Killed, interrupted, resumed


@dataclass(frozen=True)
class Stopped:
    """How an interrupted run ended."""

    code: int
    seconds: float  # from the signal to the end of the process
    nothing_left: bool  # of its processes
    output: str
    trials: list[str]  # in the ledger afterwards
    refits: list[int]


def stop(running: Started, folder: RunFolder, number: int, *, whole_group: bool) -> Stopped:
    start = time.monotonic()
    running.signal_all(number) if whole_group else running.process.send_signal(number)
    code = running.end()
    seconds = time.monotonic() - start
    return Stopped(code, seconds, running.nothing_left(), running.text, ended_trials(folder), ended_refits(folder))


@dataclass(frozen=True)
class Disturbed:
    """A finished run that was interrupted three times and lost a worker once."""

    run: Finished
    stops: dict[str, Stopped]  # by the signal, in order
    second_process: str  # output of another process on the same run
    unfinished: Path  # a copy of the results folder as Ctrl-C left it


@pytest.fixture(scope="session")
def disturbed(tmp_path_factory: pytest.TempPathFactory) -> Disturbed:
    """The run of `tiny`, interrupted as often as possible."""
    cwd = tmp_path_factory.mktemp("disturbed")
    stops = {}

    def folder() -> RunFolder:
        return next(all_folders(cwd / "results"))

    with started(*TINY, "--workers", 1, cwd=cwd) as running:
        running.wait_until(lambda: list(all_folders(cwd / "results")) and ended_trials(folder()), "result of a trial")
        # Paused, so that trials are left for the next session.
        running.process.send_signal(signal.SIGSTOP)
        second = call(*TINY, cwd=cwd, code=2)
        stops["SIGKILL"] = stop(running, folder(), signal.SIGKILL, whole_group=False)
    with started(*TINY, "--workers", 1, cwd=cwd) as running:
        running.wait_until(
            lambda: len(ended_trials(folder())) > len(stops["SIGKILL"].trials), "result of another trial"
        )
        stops["SIGINT"] = stop(running, folder(), signal.SIGINT, whole_group=True)
    unfinished = shutil.copytree(cwd / "results", tmp_path_factory.mktemp("unfinished") / "results")
    with started(*TINY, cwd=cwd) as running:
        running.wait_until(lambda: "tiny: refit" in running.text, "refit")
        time.sleep(0.3)  # until both workers have one
        os.kill(running.workers()[0], signal.SIGKILL)
        running.wait_until(lambda: ended_refits(folder()), "result of a refit")
        stops["SIGTERM"] = stop(running, folder(), signal.SIGTERM, whole_group=False)
    with training_here():
        call("resume", cwd=cwd)
    return Disturbed(finished(cwd / "results", "tiny"), stops, second.stderr, unfinished)


def test_disturbed_run_equals_an_undisturbed_one(disturbed: Disturbed, tiny: Finished) -> None:
    assert disturbed.run.record.resumed == 3
    assert_equal_runs(disturbed.run, tiny)


def test_times_of_trials_continue_over_interruptions(disturbed: Disturbed) -> None:
    search, events = disturbed.run.record.search, disturbed.run.folder.events()
    assert search is not None
    last = max(number for number, event in enumerate(events) if isinstance(event, TrialEnded))
    times = [datetime.fromisoformat(event.time) for event in events[: last + 1]]
    steps = zip(pairwise(times), events[1:], strict=False)
    seconds = sum((b - a).total_seconds() for (a, b), event in steps if not isinstance(event, SessionStarted))
    assert search.search_seconds == pytest.approx(seconds, abs=1)


def test_nothing_is_trained_twice(disturbed: Disturbed) -> None:
    trials, refits = ended_trials(disturbed.run.folder), ended_refits(disturbed.run.folder)
    assert len(trials) == len(set(trials)) == 5
    assert sorted(refits) == [0, 1]
    for stopped in disturbed.stops.values():
        assert trials[: len(stopped.trials)] == stopped.trials
        assert refits[: len(stopped.refits)] == stopped.refits


def test_no_worker_outlives_the_main_process(disturbed: Disturbed) -> None:
    assert {name: stopped.nothing_left for name, stopped in disturbed.stops.items()} == dict.fromkeys(
        ("SIGKILL", "SIGINT", "SIGTERM"), True
    )


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_interrupted_run_ends_soon_and_prints_the_command_that_resumes(
    name: str, code: int, disturbed: Disturbed
) -> None:
    stopped = disturbed.stops[name]
    assert stopped.code == code
    assert stopped.seconds < INTERRUPT_SECONDS
    *_, message, hint = stopped.output.splitlines()
    assert message == "Interrupted; completed trials and refits are saved. To resume:"
    assert hint == f"  python -m bench resume {disturbed.run.folder.path.name}"
    assert "Traceback" not in stopped.output


def test_resume_uses_the_options_of_the_last_session(disturbed: Disturbed) -> None:
    sessions = [event.options for event in disturbed.run.folder.events() if isinstance(event, SessionStarted)]
    assert [options.workers for options in sessions if options is not None] == [1, 1, usable_cores(), usable_cores()]


def test_resume_of_a_run_whose_code_changed_says_why_not(disturbed: Disturbed, tmp_path: Path) -> None:
    shutil.copytree(disturbed.unfinished, tmp_path / "results")
    folder = next(all_folders(tmp_path / "results"))
    spec = json.loads(folder.spec_file.read_text())
    folder.spec_file.write_text(json.dumps(spec | {"source": "0" * 12}))
    done = call("resume", cwd=tmp_path, code=2)
    assert f"{folder.path.name} cannot be resumed: the code of 'tiny' has changed since" in done.stderr


def test_interrupt_while_workers_start_is_not_lost(tmp_path: Path) -> None:
    with started(*TINY, cwd=tmp_path) as running:
        running.wait_until(lambda: len(group(running.process.pid)) > 1, "first child process")
        stopped = stop(running, RunFolder(tmp_path), signal.SIGINT, whole_group=True)
    assert (stopped.code, stopped.nothing_left) == (130, True)
    assert stopped.seconds < INTERRUPT_SECONDS
    assert "Traceback" not in stopped.output


def test_dead_worker_is_replaced_and_its_task_retried(disturbed: Disturbed) -> None:
    output = disturbed.stops["SIGTERM"].output
    assert re.search(r"refit \d of tiny: its worker process was killed by signal 9.*; retrying", output)


def test_second_process_on_the_same_run_is_refused(disturbed: Disturbed) -> None:
    assert re.search(r"error: another process is using .*tiny-random-\w+: wait until it ends", disturbed.second_process)
    assert "worker processes" not in disturbed.second_process


def test_runs_prints_the_command_that_resumes(disturbed: Disturbed) -> None:
    done = call("runs", cwd=disturbed.unfinished.parent)
    name = disturbed.run.folder.path.name
    assert re.search(rf"^{name} .*unfinished: \d trials, \d+ of 50 epochs, 0 of 2 refits", done.stdout, re.MULTILINE)
    assert f"To resume {name}:\n  python -m bench resume {name}\n" in done.stdout


@pytest.fixture
def unfinished(disturbed: Disturbed, tmp_path: Path) -> RunFolder:
    """The unfinished run in its own results folder."""
    shutil.copytree(disturbed.unfinished, tmp_path / "results")
    return next(all_folders(tmp_path / "results"))


def test_unfinished_run_with_another_spec_is_named_with_the_difference(unfinished: RunFolder, tmp_path: Path) -> None:
    with started(*TINY, "--seed", 7, "--max-pending", 3, cwd=tmp_path) as running:
        running.wait_until(lambda: "Starting" in running.text, "workers")
        assert f"Another run is unfinished: {unfinished.path.name} with seed 0, max_pending None\n" in running.text
        assert stop(running, unfinished, signal.SIGINT, whole_group=True).code == 130


def test_run_started_with_another_tensorflow_is_refused(unfinished: RunFolder, tmp_path: Path) -> None:
    whole = unfinished.ledger.read_text()
    (version,) = set(re.findall(r'"tensorflow":"([^"]*)"', whole))
    unfinished.ledger.write_text(whole.replace(f'"tensorflow":"{version}"', '"tensorflow":"2.15.0"'))
    changed = unfinished.ledger.read_bytes()
    done = call(*TINY, cwd=tmp_path, code=2)
    assert (
        f"was started with tensorflow 2.15.0, this machine has {version}: resume it in the original environment, or "
        "start a new run with --again" in (done.stderr)
    )
    assert unfinished.ledger.read_bytes() == changed


def test_damaged_ledger_is_named_and_not_trained_on(unfinished: RunFolder, tmp_path: Path) -> None:
    first, second, *rest = unfinished.ledger.read_text().splitlines(keepends=True)
    unfinished.ledger.write_text("".join([first, second[:20] + "\n", *rest]))
    done = call(*TINY, cwd=tmp_path, code=2)
    assert re.search(r"error: .*trials\.jsonl:2: ", done.stderr)


def fill(disk: Path) -> None:
    with (disk / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
        while True:
            ballast.write(bytes(4096))


def test_full_disk_ends_the_run_and_leaves_readable_files(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", "64m") as disk:
        results = disk / "results"
        with started(*TINY, "--workers", 1, "--results", results, cwd=tmp_path) as running:
            running.wait_until(
                lambda: list(all_folders(results)) and ended_trials(next(all_folders(results))), "first result"
            )
            fill(disk)
            assert running.end() == 2, running.text
            assert running.nothing_left()
        assert re.search(r"error: cannot write .*small/results.*: No space left on device", running.text)
        assert "Traceback" not in running.text
        folder = next(all_folders(results))
        assert ended_trials(folder)
        assert not folder.finished
        assert "unfinished" in call("runs", "--results", results, cwd=tmp_path).stdout


# Time and network


@pytest.mark.quiet
def test_cnn_on_digits_finishes_in_time_without_a_network(tmp_path: Path) -> None:
    offline = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    try:
        probe = subprocess.run([*offline, "true"], capture_output=True, text=True, check=False)
    except OSError as error:
        pytest.skip(f"no unshare command: {error}")
    if probe.returncode != 0:
        pytest.skip(f"no network namespace: {probe.stderr.strip()}")
    start = time.monotonic()
    done = subprocess.run(
        [*offline, *command(*DIGITS, "--family", "cnn", "--preset", "quick", "--refit-seeds", 1)],
        cwd=tmp_path,
        env=variables(),
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - start
    assert done.returncode == 0, done.stderr
    assert load(tmp_path / "results").runs[0].scores.accuracy > 0.95
    assert seconds < DIGITS_SECONDS * slowness() or usable_cores() < 2
