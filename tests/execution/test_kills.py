"""Runs on digits, killed at every write and at random moments, which finish nevertheless.

Each chain is one run, killed in session after session; every session resumes where the last one was killed.
"""

import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from tempfile import mkdtemp

import pytest

from bench.records.spec import SearchSpec
from bench.records.store import all_folders
from command_line import Started, killed_before, run, started
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
)

# The first test of a chain waits for all its sessions.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

ALL_TUNERS = {"random": SMALL, **TUNERS}


@dataclass(frozen=True, kw_only=True)
class Point:
    """Just before an access to a file, in the notation of tests/stop_points."""

    before: str
    torn: bool = False  # half of the ledger's last line is lost, as in a power failure before it was on disk


# In the order in which a run reaches them. Every session counts from 1; its own line in the ledger is the first.
POINTS = {
    "hyperband": (
        Point(before="replace */spec.json 1"),
        Point(before="append */trials.jsonl 1"),
        Point(before="replace */states/*.npz 2"),
        Point(before="read */states/*.npz 1"),  # a promoted trial starts
        Point(before="remove */states/*.npz 1"),  # the promoted trial has its result
        Point(before="fsync */models/.*.tmp 1"),
        Point(before="replace */models/refit-0.keras 1"),
        Point(before="append */trials.jsonl 2"),  # the line of the refit, whose model is written
        Point(before="replace */predictions.npz 1"),
        Point(before="replace */record.json 1"),
        Point(before="replace */leaderboard.md 1"),
    ),
    "random": (
        Point(before="append */trials.jsonl 7"),
        Point(before="fsync */trials.jsonl 4", torn=True),
        Point(before="replace */models/refit-1.keras 1"),
        Point(before="fsync */.record.json.*.tmp 1"),
    ),
}


@dataclass(frozen=True, kw_only=True)
class Moment:
    """When something is killed in a run, and what."""

    lines: int  # in the ledger, without those of sessions
    seconds: float  # after that, or after the start of the session if `lines` is 0
    victim: str
    workers: int


VICTIMS = ("main", "main", "worker", "group", "worker and main")
WORKERS = (1, 2, 4, 1, 2)
START_SECONDS, LINE_SECONDS = 4.0, 0.5  # approximate time of a start, and of a line of the ledger


def moments(tuner: str, lines: int) -> list[Moment]:
    """Five moments in a run of `lines` lines, in order; the combinations of victims and workers depend on the tuner."""
    chance = random.Random(f"kills of {tuner}")
    places = sorted(chance.randrange(lines) for _ in VICTIMS)
    first = list(ALL_TUNERS).index(tuner)
    return [
        Moment(
            lines=place,
            seconds=chance.uniform(0, LINE_SECONDS if place else START_SECONDS),
            victim=VICTIMS[(number + first) % len(VICTIMS)],
            workers=workers,
        )
        for number, (place, workers) in enumerate(zip(places, WORKERS, strict=True))
    ]


@dataclass(frozen=True, kw_only=True)
class Kill:
    """The state after a kill."""

    description: str
    nothing_left: bool  # of the processes
    ledger: bytes  # complete lines


@dataclass(frozen=True, kw_only=True)
class Killed:
    """A finished run that was killed repeatedly."""

    kills: tuple[Kill, ...]
    run: Finished


def arguments(tuner: str, workers: int) -> tuple[object, ...]:
    return (*DIGITS, "--family", "tiny", "--workers", workers, *ALL_TUNERS[tuner])


def tuner_of(run_: Finished) -> str:
    assert isinstance(run_.record.spec, SearchSpec)
    return run_.record.spec.tuner


def ledger(cwd: Path) -> Path | None:
    """The run's ledger; None if there is no run yet."""
    return next((folder.ledger for folder in all_folders(cwd / "results") if folder.ledger.exists()), None)


def tear(file: Path) -> None:
    """Lose half of the last line."""
    content = file.read_bytes()
    start = content[:-1].rfind(b"\n") + 1
    os.truncate(file, (start + len(content)) // 2)


def reaches(running: Started, moment: Moment, cwd: Path) -> bool:
    """Wait for the moment; False if the session ends earlier."""
    while running.process.poll() is None:
        if lines(cwd) >= moment.lines:
            with suppress(subprocess.TimeoutExpired):
                running.end(moment.seconds)
            break
        time.sleep(0.02)
    assert running.process.returncode in (0, None), running.text
    return running.process.returncode is None


def lines(cwd: Path) -> int:
    """Complete lines of the ledger, without those of sessions."""
    file = ledger(cwd)
    return (
        0
        if file is None
        else sum(b'"event":"session_started"' not in line for line in file.read_bytes().split(b"\n")[:-1])
    )


def kill_worker(running: Started) -> bool:
    """Kill a worker as soon as one exists; False if the session ends earlier."""
    while running.process.poll() is None:
        with suppress(IndexError, ProcessLookupError):  # there is none at the moment
            os.kill(random.choice(running.workers()), signal.SIGKILL)
            return True
        time.sleep(0.02)
    return False


def strike(running: Started, victim: str) -> bool:
    """Kill `victim` and wait until the session ends; False if the session had already ended."""
    if "worker" in victim and not kill_worker(running):
        return False
    if victim == "group":
        running.signal_all(signal.SIGKILL)
    elif "main" in victim:
        running.process.kill()
    code = running.end()
    if victim == "worker":  # it is replaced, unless it was just starting
        assert code == 0 or "worker processes did not start" in running.text, running.text
        return True
    assert code in (0, -signal.SIGKILL), running.text
    return code != 0


class Chain:
    """Runs with one tuner, each killed repeatedly until it finishes."""

    def __init__(self, cwd: Path, tuner: str) -> None:
        self.runs: list[Killed] = []
        self._all = cwd
        self._tuner = tuner
        self._new_run()

    def kill_at_point(self, point: Point, workers: int) -> None:
        """Let a session kill itself at `point`."""
        with self._session(workers, killed_before(point.before)) as running:
            assert running.end() == -signal.SIGKILL, f"never reached {point.before!r}:\n{running.text}"
            nothing_left = running.nothing_left()
        if point.torn and (file := ledger(self._cwd)) is not None:
            tear(file)
        self._add_kill(point.before, nothing_left)

    def kill_at_moment(self, moment: Moment) -> None:
        """Kill a session at `moment`; if the run finishes before, start another one."""
        struck = False
        while not struck:
            with self._session(moment.workers) as running:
                struck = reaches(running, moment, self._cwd) and strike(running, moment.victim)
                nothing_left = running.nothing_left()
            if struck:
                self._add_kill(f"{moment.victim} at line {moment.lines}", nothing_left)
            if running.process.returncode == 0:
                self.finish()

    def finish(self) -> None:
        """Let the run finish if it was killed at all, and start another one."""
        if self._kills:
            run(*arguments(self._tuner, 2), cwd=self._cwd)
            self.runs.append(Killed(kills=tuple(self._kills), run=finished(self._cwd / "results", "tiny", self._tuner)))
        self._new_run()

    def _new_run(self) -> None:
        self._kills: list[Kill] = []
        self._cwd = Path(mkdtemp(dir=self._all))

    def _session(self, workers: int, env: Mapping[str, str] | None = None) -> AbstractContextManager[Started]:
        return started(*arguments(self._tuner, workers), cwd=self._cwd, env=env)

    def _add_kill(self, description: str, nothing_left: bool) -> None:
        file = ledger(self._cwd)
        content = b"" if file is None else file.read_bytes()
        self._kills.append(
            Kill(description=description, nothing_left=nothing_left, ledger=content[: content.rfind(b"\n") + 1])
        )


def killed_at_points(cwd: Path, tuner: str) -> list[Killed]:
    chain = Chain(cwd, tuner)
    for point, workers in zip(POINTS[tuner], cycle((1, 1, 2)), strict=False):
        chain.kill_at_point(point, workers)
    chain.finish()
    return chain.runs


def killed_at_moments(cwd: Path, undisturbed: Finished) -> list[Killed]:
    tuner = tuner_of(undisturbed)
    chain = Chain(cwd, tuner)
    for moment in moments(tuner, lines(undisturbed.results.parent)):
        chain.kill_at_moment(moment)
    chain.finish()
    return chain.runs


KILLED = [*(("points", tuner) for tuner in POINTS), *(("moments", tuner) for tuner in ALL_TUNERS)]


# test_run.py kills and interrupts one run; these tests take half an hour.
@pytest.fixture(
    scope="module", params=[pytest.param(each, id="-".join(each), marks=pytest.mark.long) for each in KILLED]
)
def killed(
    request: pytest.FixtureRequest, undisturbed: Callable[[str], Finished], tmp_path_factory: pytest.TempPathFactory
) -> list[Killed]:
    """Finished runs with one tuner that were killed repeatedly; random moments may need more than one run."""
    kind, tuner = request.param
    cwd = tmp_path_factory.mktemp(f"killed-{kind}-{tuner}")
    return killed_at_points(cwd, tuner) if kind == "points" else killed_at_moments(cwd, undisturbed(tuner))


def test_killed_run_equals_an_undisturbed_one(killed: list[Killed], undisturbed: Callable[[str], Finished]) -> None:
    for each in killed:
        assert_equal_runs(each.run, undisturbed(tuner_of(each.run)))


def test_nothing_is_trained_twice(killed: list[Killed]) -> None:
    for each in killed:
        trials, refits = ended_trials(each.run.folder), ended_refits(each.run.folder)
        search = each.run.record.search
        assert search is not None
        assert sorted(trials) == sorted(trial.trial_id for trial in search.trials if trial.duplicate_of is None)
        assert sorted(refits) == list(range(each.run.record.spec.refit_seeds))
        whole = each.run.folder.ledger.read_bytes()
        assert [kill.description for kill in each.kills if not whole.startswith(kill.ledger)] == []


def test_no_process_outlives_a_kill(killed: list[Killed]) -> None:
    assert [kill.description for each in killed for kill in each.kills if not kill.nothing_left] == []


def test_pages_of_a_killed_run_are_those_of_its_record(killed: list[Killed]) -> None:
    for each in killed:
        run("report", "--check", cwd=each.run.results.parent)


# Two processes at the same time


def test_of_two_equal_commands_at_the_same_time_one_is_refused(tmp_path: Path) -> None:
    with started(*TINY, cwd=tmp_path) as one, started(*TINY, cwd=tmp_path) as other:
        while one.process.poll() is None and other.process.poll() is None:
            time.sleep(0.02)
        refused, accepted = (one, other) if one.process.poll() is not None else (other, one)
        assert refused.end() == 2
        assert re.search(r"error: another process is using .*tiny-random-\w+: wait until it ends", refused.text)
        assert "Starting" not in refused.text
        accepted.wait_until(lambda: list(all_folders(tmp_path / "results")), "spec of the run")
