"""Whole runs on digits, as real processes: repeated, killed, interrupted, refused, and with everything in order."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

from bench.machine import usable_cores
from bench.records.record import comparable
from bench.records.store import RunFolder, all_folders
from bench.report.runs import load
from command_line import SOURCE, Started, command, group, run, small_disk, started, variables
from machine import slowness
from whole_runs import DIGITS, SMALL, TINY, TUNERS, Finished, assert_equal_runs, finished, refitted, searches, told

pytestmark = pytest.mark.slow

INTERRUPT_SECONDS = 5
FIRST_LINE_SECONDS = 3  # half a second on an idle machine; importing TensorFlow first would take longer than this
DIGITS_SECONDS = 90


# The main job


def test_run_leaves_records_predictions_models_and_report(tiny: Finished) -> None:
    there = {path.relative_to(tiny.results).as_posix() for path in tiny.results.rglob("*") if path.is_file()}
    own = tiny.folder.path.relative_to(tiny.results).as_posix()
    assert there >= {
        "leaderboard.md",
        "digits/tiny.md",
        "digits/figures/tiny-curves.png",
        "digits/figures/tiny-confusion.png",
        "digits/figures/tiny-mistakes.png",
        "records/digits/test_readings.jsonl",
        *(f"{own}/{name}" for name in ("spec.json", "trials.jsonl", "record.json", "predictions.npz")),
        *(f"{own}/models/refit-{number}.keras" for number in range(2)),
    }
    assert not any("states/" in name or name.endswith(".tmp") for name in there)
    assert run("report", "--check", cwd=tiny.results.parent).returncode == 0


def test_run_prints_its_row_and_where_the_report_is(tiny: Finished) -> None:
    scores = load(tiny.results).runs[0].scores
    assert f"{100 * scores.accuracy:.2f}" in tiny.stdout
    assert "Report: results/digits/tiny.md\n" in tiny.stdout
    assert "Leaderboard: results/leaderboard.md\n" in tiny.stdout


def test_run_tells_its_progress_and_nothing_else(tiny: Finished) -> None:
    lines = tiny.stderr.splitlines()
    assert all(re.match(r"\[\d+:\d\d\] ", line) for line in lines), tiny.stderr
    assert re.search(r"tiny: random trains 5 candidates in 5 trials, 50 epochs", tiny.stderr)
    assert re.search(r"searching, trials 0 of 5, epochs 0 of 50, no trial scored yet, time left unknown", tiny.stderr)
    assert re.search(r"refitting, trials 5 of 5, .*best validation accuracy 0\.\d{4}, time left \d+:\d\d", tiny.stderr)
    assert "\x1b" not in tiny.stderr


def test_time_left_is_never_absurd(tiny: Finished) -> None:
    timed = re.findall(r"\[(\d+):(\d\d)\] .* time left (\d+):(\d\d)", tiny.stderr)
    total = tiny.record.total_seconds
    for minutes, seconds, minutes_left, seconds_left in timed:
        expected = int(minutes) * 60 + int(seconds) + int(minutes_left) * 60 + int(seconds_left)
        assert total / 4 < expected < 4 * total, tiny.stderr


def test_published_numbers_can_be_recomputed_from_the_predictions(tiny: Finished) -> None:
    with np.load(tiny.folder.predictions_file) as file:
        labels, said = file["labels"], file["log_probabilities"].argmax(axis=-1)
    accuracy = np.mean([accuracy_score(labels, one) for one in said])
    macro_f1 = np.mean([f1_score(labels, one, average="macro") for one in said])
    confusion = sum(confusion_matrix(labels, one, labels=range(10)) for one in said)
    (row,) = json.loads(run("leaderboard", "--json", cwd=tiny.results.parent).stdout)
    assert row["test_accuracy"] == pytest.approx(accuracy)
    assert row["macro_f1"] == pytest.approx(macro_f1)
    assert (load(tiny.results).runs[0].scores.confusion == confusion).all()
    page = (tiny.results / "digits/tiny.md").read_text()
    assert f"test accuracy {100 * accuracy:.2f} % (" in page
    assert f"| {macro_f1:.4f} " in page
    mistaken = confusion + confusion.T - 2 * np.diag(confusion.diagonal())
    a, b = np.unravel_index(np.triu(mistaken).argmax(), mistaken.shape)
    counts = {f"{confusion[a, b] / len(said):.1f}", f"{confusion[b, a] / len(said):.1f}"}
    worst = [cell.strip() for cell in page.partition("share of errors")[2].splitlines()[2].split("|")]
    assert counts == set(worst[2:4])


def test_first_line_comes_before_anything_heavy(tmp_path: Path) -> None:
    begun = time.monotonic()
    with started(*TINY, cwd=tmp_path) as running:
        running.wait_until(lambda: running.text, "first line")
        assert time.monotonic() - begun < FIRST_LINE_SECONDS
        assert running.text.startswith("[0:00] tiny on digits, random, results in results\n")


# The same run again


def test_same_command_trains_nothing_and_prints_the_row(tiny: Finished) -> None:
    before = {path: path.stat().st_mtime_ns for path in tiny.results.rglob("*") if path.is_file()}
    begun = time.monotonic()
    done = run(*TINY, cwd=tiny.results.parent)
    assert done.stdout == tiny.stdout
    assert "Finished before; --again repeats it." in done.stderr
    assert "worker processes" not in done.stderr
    assert time.monotonic() - begun < tiny.record.total_seconds
    assert {path: path.stat().st_mtime_ns for path in tiny.results.rglob("*") if path.is_file()} == before


def test_repeated_run_has_a_folder_of_its_own_and_one_worker_gives_what_two_gave(
    tiny: Finished, tmp_path: Path
) -> None:
    shutil.copytree(tiny.results, tmp_path / "results")
    run(*TINY, "--again", "--workers", 1, cwd=tmp_path)
    first, second = all_folders(tmp_path / "results")
    assert second.path.name == f"{first.path.name}-repeat2"
    record = second.read_record()
    assert (record.workers, tiny.record.workers) == (1, 2)
    assert_equal_runs(Finished(second, record), tiny)


def test_dry_run_tells_trials_epochs_minutes_and_disk_and_trains_nothing(tiny: Finished, tmp_path: Path) -> None:
    shutil.copytree(tiny.results, tmp_path / "results")
    done = run(*TINY, "--seed", 1, "--dry-run", cwd=tmp_path)
    assert "search: 5 candidates in 5 trials, 50 epochs\n" in done.stdout
    assert "refits: 2 seed(s), 10 epochs each\n" in done.stdout
    assert re.search(r"about \d\.\d minutes and 0\.\d MB on disk, by a few steps of 6 candidates on this", done.stdout)
    assert len(list(all_folders(tmp_path / "results"))) == 1


# The same search for any number of workers


@pytest.fixture(scope="session")
def one_worker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of all tuners by one worker, two of them at the same time in the same folder."""
    cwd = tmp_path_factory.mktemp("one_worker")
    first, *others = TUNERS
    arguments = (*DIGITS, "--family", "tiny", "--workers", 1, *TUNERS[first])
    with started(*arguments, cwd=cwd) as beside:
        searches(others, 1, cwd)
        assert beside.end() == 0, beside.text
    return cwd / "results"


@pytest.mark.parametrize("tuner", TUNERS)
def test_one_worker_and_two_give_equal_runs(
    tuner: str, one_worker: Path, undisturbed: Callable[[str], Finished]
) -> None:
    one, two = finished(one_worker, "tiny", tuner), undisturbed(tuner)
    assert (one.record.workers, two.record.workers) == (1, 2)
    assert_equal_runs(one, two)


# Several families in one call; families with bugs


@pytest.fixture(scope="session")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Four families in one call, three of them with bugs: the results, and what was said."""
    cwd = tmp_path_factory.mktemp("crowd")
    families = [("--family", name) for name in ("tiny", "always_raises", "sometimes_raises", "sometimes_nan")]
    return cwd / "results", run(*DIGITS, *chain(*families), *SMALL, cwd=cwd, code=2).stderr


def test_family_in_a_crowd_equals_the_family_alone(crowd: tuple[Path, str], tiny: Finished) -> None:
    assert_equal_runs(finished(crowd[0], "tiny"), tiny)


@pytest.mark.parametrize(
    ("family", "reason"),
    [
        ("sometimes_raises", "ValueError: this family cannot have 16 units (in architecture, sometimes_r"),
        ("sometimes_nan", "NonFiniteLossError: "),
    ],
)
def test_failed_trial_has_its_reason_in_ledger_and_report(family: str, reason: str, crowd: tuple[Path, str]) -> None:
    results = crowd[0]
    one = finished(results, family)
    ok = [trial for trial in one.record.trials if trial.status == "ok"]
    failed = [trial for trial in one.record.trials if trial.status == "failed"]
    assert ok
    assert failed
    assert all(trial.error is not None and trial.error.startswith(reason) for trial in failed)
    assert len(told(one.folder)) == 5
    assert one.record.winner in {trial.trial_id for trial in ok}
    assert {trial.values["units"] for trial in failed} == {16}
    assert reason in (results / f"digits/{family}.md").read_text()


def test_family_that_always_fails_is_an_error_that_names_the_reason(crowd: tuple[Path, str]) -> None:
    results, said = crowd
    assert re.search(
        r"error: none of the 5 trials of 'always_raises' ended with a score at full length\. "
        r"Reasons: RuntimeError: this family cannot be trained \(in architecture, always_raises\.py:\d+\)",
        said,
    )
    assert "always_raises" not in (results / "leaderboard.md").read_text()


def test_family_that_cannot_declare_its_space_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "search_spaces").mkdir()
    (tmp_path / "search_spaces" / "broken.py").write_text("import no_such_library\n")
    done = run(*DIGITS, "--family", "broken", *SMALL, "--workers", 1, cwd=tmp_path, code=2, env=variables(tmp_path))
    assert "error: family 'broken' cannot be built for digits: ModuleNotFoundError: No module named" in done.stderr
    assert list((tmp_path / "results").iterdir()) == []


# The test part decides nothing


def test_poisoned_test_labels_leave_winner_trials_and_refits_the_same(tiny: Finished, tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    for name in ("bench", "search_spaces"):
        shutil.copytree(SOURCE / name, packages / name, ignore=shutil.ignore_patterns("__pycache__"))
    digits = packages / "bench/data/sets/digits.py"
    text = digits.read_text()
    poisoned = text.replace("return images, labels[chosen],", "return images, labels[chosen][:: -1 if which else 1],")
    assert poisoned != text
    digits.write_text(poisoned)
    run(*TINY, "--workers", 1, cwd=tmp_path, env=variables(packages))
    other = finished(tmp_path / "results", "tiny")
    here, there = comparable(tiny.record), comparable(other.record)
    assert not np.array_equal(tiny.predictions.labels, other.predictions.labels)
    assert load(other.results).runs[0].scores.accuracy < load(tiny.results).runs[0].scores.accuracy / 2
    assert np.array_equal(tiny.predictions.log_probabilities, other.predictions.log_probabilities)
    assert there == replace(here, predictions_sha256=other.record.predictions_sha256)


# Killed, interrupted, disturbed


@dataclass(frozen=True)
class Stopped:
    """How a run that was stopped ended."""

    code: int
    seconds: float  # from the signal to the end of the process
    nothing_left: bool  # of its processes
    said: str
    told: list[str]  # trials in the ledger afterwards
    refitted: list[int]


def stop(running: Started, folder: RunFolder, number: int, *, everybody: bool) -> Stopped:
    begun = time.monotonic()
    running.signal_all(number) if everybody else running.process.send_signal(number)
    code = running.end()
    seconds = time.monotonic() - begun
    return Stopped(code, seconds, running.nothing_left(), running.text, told(folder), refitted(folder))


@dataclass(frozen=True)
class Disturbed:
    """A run that was stopped four times, once lost a worker, and was finished all the same."""

    run: Finished
    stops: dict[str, Stopped]  # by the signal, in order
    second_process: str  # what another process on the same run said
    unfinished: Path  # a copy of the results folder as Ctrl-C left it
    last: str  # what the last session said


@pytest.fixture(scope="session")
def disturbed(tmp_path_factory: pytest.TempPathFactory) -> Disturbed:
    """The run of `tiny`, disturbed as often as possible."""
    cwd = tmp_path_factory.mktemp("disturbed")
    stops = {}

    def folder() -> RunFolder:
        return next(all_folders(cwd / "results"))

    with started(*TINY, "--workers", 1, cwd=cwd) as running:
        running.wait_until(lambda: list(all_folders(cwd / "results")) and told(folder()), "result of a trial")
        second = run(*TINY, cwd=cwd, code=2)
        stops["SIGKILL"] = stop(running, folder(), signal.SIGKILL, everybody=False)
    with started(*TINY, "--workers", 1, cwd=cwd) as running:
        running.wait_until(lambda: len(told(folder())) >= 3, "results of three trials")
        stops["SIGINT"] = stop(running, folder(), signal.SIGINT, everybody=True)
    unfinished = shutil.copytree(cwd / "results", tmp_path_factory.mktemp("unfinished") / "results")
    with started(*TINY, cwd=cwd) as running:
        running.wait_until(lambda: "refitting" in running.text, "refit")
        time.sleep(0.3)  # until both workers have one
        os.kill(running.workers()[0], signal.SIGKILL)
        running.wait_until(lambda: refitted(folder()), "result of a refit")
        stops["SIGTERM"] = stop(running, folder(), signal.SIGTERM, everybody=False)
    last = run(*TINY, cwd=cwd)
    return Disturbed(finished(cwd / "results", "tiny"), stops, second.stderr, unfinished, last.stderr)


def test_disturbed_run_equals_an_undisturbed_one(disturbed: Disturbed, tiny: Finished) -> None:
    assert disturbed.run.record.resumed == 3
    assert_equal_runs(disturbed.run, tiny)


def test_nothing_that_was_done_is_done_again(disturbed: Disturbed) -> None:
    trials, refits = told(disturbed.run.folder), refitted(disturbed.run.folder)
    assert len(trials) == len(set(trials)) == 5
    assert sorted(refits) == [0, 1]
    for stopped in disturbed.stops.values():
        assert trials[: len(stopped.told)] == stopped.told
        assert refits[: len(stopped.refitted)] == stopped.refitted


def test_no_worker_outlives_the_main_process(disturbed: Disturbed) -> None:
    assert {name: stopped.nothing_left for name, stopped in disturbed.stops.items()} == dict.fromkeys(
        ("SIGKILL", "SIGINT", "SIGTERM"), True
    )


@pytest.mark.parametrize(("name", "code", "workers"), [("SIGINT", 130, 1), ("SIGTERM", 143, usable_cores())])
def test_interrupted_run_ends_soon_and_says_how_to_go_on(
    name: str, code: int, workers: int, disturbed: Disturbed
) -> None:
    stopped = disturbed.stops[name]
    assert stopped.code == code
    assert stopped.seconds < INTERRUPT_SECONDS
    *_, said, to_go_on = stopped.said.splitlines()
    assert said == "Interrupted; what is done is kept. To go on:"
    assert "Traceback" not in stopped.said
    precision = disturbed.run.record.spec.precision
    words = to_go_on.split()
    assert words[:4] == ["python", "-m", "bench", "run"]
    assert words[4:] == [
        *("--family", "tiny", "--dataset", "digits", "--tuner", "random"),
        *("--trials", "5", "--epochs", "10", "--seeds", "2", "--precision", precision),
        *(() if workers == usable_cores() else ("--workers", str(workers))),
    ]


def test_interrupt_while_workers_start_is_not_lost(tmp_path: Path) -> None:
    with started(*TINY, cwd=tmp_path) as running:
        running.wait_until(lambda: len(group(running.process.pid)) > 1, "first child process")
        stopped = stop(running, RunFolder(tmp_path), signal.SIGINT, everybody=True)
    assert (stopped.code, stopped.nothing_left) == (130, True)
    assert stopped.seconds < INTERRUPT_SECONDS
    assert "Traceback" not in stopped.said


def test_dead_worker_is_replaced_and_its_task_repeated(disturbed: Disturbed) -> None:
    said = disturbed.stops["SIGTERM"].said
    assert re.search(r"refit \d of tiny: its worker process was killed by signal 9.*; trying it once more", said)


def test_second_process_on_the_same_run_says_so(disturbed: Disturbed) -> None:
    assert re.search(r"error: another process is working on .*tiny-random-\w+: wait for it", disturbed.second_process)
    assert "worker processes" not in disturbed.second_process


def test_runs_shows_the_command_to_go_on(disturbed: Disturbed) -> None:
    done = run("runs", cwd=disturbed.unfinished.parent)
    name = disturbed.run.folder.path.name
    assert re.search(
        rf"^{name} .*unfinished: \d trials, \d+ epochs of a budget of 50, 0 of 2 refits", done.stdout, re.MULTILINE
    )
    assert f"To go on with {name}:\n  python -m bench run --family tiny --dataset digits" in done.stdout


@pytest.fixture
def unfinished(disturbed: Disturbed, tmp_path: Path) -> RunFolder:
    """The unfinished run in a results folder of its own."""
    shutil.copytree(disturbed.unfinished, tmp_path / "results")
    return next(all_folders(tmp_path / "results"))


def test_unfinished_run_under_another_spec_is_named_with_what_differs(unfinished: RunFolder, tmp_path: Path) -> None:
    with started(*TINY, "--seed", 7, "--lookahead", 3, cwd=tmp_path) as running:
        running.wait_until(lambda: "Starting" in running.text, "workers")
        assert f"Unfinished beside this run: {unfinished.path.name} with seed 0, lookahead 4\n" in running.text
        assert stop(running, unfinished, signal.SIGINT, everybody=True).code == 130


def test_run_begun_with_another_tensorflow_is_refused(unfinished: RunFolder, tmp_path: Path) -> None:
    whole = unfinished.ledger.read_text()
    (version,) = set(re.findall(r'"tensorflow":"([^"]*)"', whole))
    unfinished.ledger.write_text(whole.replace(f'"tensorflow":"{version}"', '"tensorflow":"2.15.0"'))
    changed = unfinished.ledger.read_bytes()
    done = run(*TINY, cwd=tmp_path, code=2)
    assert f"was begun with tensorflow 2.15.0, now it is {version}: go on there, or start anew with --again" in (
        done.stderr
    )
    assert unfinished.ledger.read_bytes() == changed


def test_damaged_ledger_is_named_and_not_trained_on(unfinished: RunFolder, tmp_path: Path) -> None:
    first, second, *rest = unfinished.ledger.read_text().splitlines(keepends=True)
    unfinished.ledger.write_text("".join([first, second[:20] + "\n", *rest]))
    done = run(*TINY, cwd=tmp_path, code=2)
    assert re.search(r"error: .*trials\.jsonl:2: ", done.stderr)


def fill(disk: Path) -> None:
    with (disk / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
        while True:
            ballast.write(bytes(4096))


def test_disk_that_fills_up_ends_the_run_and_leaves_readable_files(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", 64) as disk:
        results = disk / "results"
        with started(*TINY, "--workers", 1, "--results", results, cwd=tmp_path) as running:
            running.wait_until(lambda: list(all_folders(results)) and told(next(all_folders(results))), "first result")
            fill(disk)
            assert running.end() == 2, running.text
            assert running.nothing_left()
        assert re.search(r"error: cannot write .*small/results.*: No space left on device", running.text)
        assert "Traceback" not in running.text
        folder = next(all_folders(results))
        assert told(folder)
        assert not folder.finished
        assert "unfinished" in run("runs", "--results", results, cwd=tmp_path).stdout


# What is promised


@pytest.mark.quiet
def test_cnn_on_digits_ends_in_time_without_a_network(tmp_path: Path) -> None:
    offline = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    try:
        probe = subprocess.run([*offline, "true"], capture_output=True, text=True, check=False)
    except OSError as error:
        pytest.skip(f"no unshare command: {error}")
    if probe.returncode != 0:
        pytest.skip(f"no network namespace: {probe.stderr.strip()}")
    begun = time.monotonic()
    done = subprocess.run(
        [*offline, *command(*DIGITS, "--family", "cnn")],
        cwd=tmp_path,
        env=variables(),
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - begun
    assert done.returncode == 0, done.stderr
    assert load(tmp_path / "results").runs[0].scores.accuracy > 0.95
    assert seconds < DIGITS_SECONDS * slowness() or usable_cores() < 2
