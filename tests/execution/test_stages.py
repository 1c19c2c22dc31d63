"""Stages propose tasks without side effects; only starting a task writes files."""

import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import search_spaces
from bench.data.catalog import DatasetLocation
from bench.data.held_out import HeldOutTestSet
from bench.errors import SearchError
from bench.execution.active_run import ActiveRun
from bench.execution.eta import Pace
from bench.execution.events import RunFailed, RunFinished
from bench.execution.options import Options
from bench.execution.scheduling import Job, Task, TaskEnd, work
from bench.execution.search_stage import SearchStage
from bench.execution.session import Session, session_seconds
from bench.execution.stages import ClassifierStage, EvaluationStage, RefitStage
from bench.execution.tuner_process import TunerProcess
from bench.records.dataset import DatasetFacts
from bench.records.evaluation_log import EvaluationLog
from bench.records.files import write_atomic
from bench.records.ledger import LedgerEvent, RefitEnded, SessionStarted, TrialEnded, TrialProposed, WaitEnded
from bench.records.plain import PlainKeras
from bench.records.spec import Budget, Value, refit_seed
from bench.records.store import RunFolder
from bench.training.outcome import State, TrainedTrial
from bench.tuning.search import Search
from bench.tuning.trials import NoProposal, Plan, Proposal
from bench.workers.executor import Executor, TaskCompleted, TaskFailed
from bench.workers.local import LocalPool
from builders import (
    make_curve,
    make_dataset,
    make_environment,
    make_predictions,
    make_reference_spec,
    make_refit,
    make_run,
    make_spec,
    make_trial,
    write_run,
    write_unfinished_run,
)
from worker_tasks import interval

DIGITS = DatasetLocation(name="digits")


@pytest.fixture
def log(tmp_path: Path) -> EvaluationLog:
    return EvaluationLog(tmp_path / "results", "digits")


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A run folder with three models."""
    folder = RunFolder(tmp_path / "run")
    for number in range(3):
        write_atomic(folder.model_file(number), b"model")
    return folder


@pytest.mark.parametrize("kind", ["refits", "classifier"])
def test_every_attempt_at_an_evaluation_is_logged_and_asking_for_it_is_not(
    kind: str, folder: RunFolder, log: EvaluationLog
) -> None:
    test_set = partial(HeldOutTestSet, DIGITS, "run", log)
    stage = (
        EvaluationStage(make_spec(), folder, test_set)
        if kind == "refits"
        else ClassifierStage(make_reference_spec(), folder, test_set, DIGITS)
    )
    task = stage.next_task(())
    assert stage.next_task(()) is not None
    assert task is not None
    assert log.read() == []
    for attempts in (1, 2):
        task.start()
        assert [entry.run for entry in log.read()] == ["run"] * attempts


def test_evaluation_in_flight_is_not_offered_again(folder: RunFolder, log: EvaluationLog) -> None:
    stage = EvaluationStage(make_spec(), folder, partial(HeldOutTestSet, DIGITS, "run", log))
    assert stage.next_task({"evaluation"}) is None
    assert stage.result is None


def refit_stage(folder: RunFolder, *, seconds: float = 0.0, facts: DatasetFacts | None = None) -> RefitStage:
    """The stage of a run that has taken `seconds`."""
    pace = Pace(make_spec(), 1, start=time.perf_counter() - seconds)
    return RefitStage(make_spec(), {"units": 8}, folder, DIGITS, pace=pace, facts=facts)


def test_refits_are_offered_in_order_without_those_in_flight(tmp_path: Path) -> None:
    stage = refit_stage(RunFolder(tmp_path))
    names = []
    in_flight: set[str] = set()
    while (task := stage.next_task(in_flight)) is not None:
        names.append(task.name)
        in_flight.add(task.name)
    assert names == ["refit 0", "refit 1", "refit 2"]
    assert list(tmp_path.iterdir()) == []


def test_refit_is_the_winner_on_all_development_images(tmp_path: Path) -> None:
    task = refit_stage(RunFolder(tmp_path)).next_task(())
    assert task is not None
    spec, number, location = task.start().args
    assert (number, spec.seed, spec.part, spec.epochs) == (0, refit_seed(make_spec(), 0), "development", 3)
    assert (spec.values, spec.precision, location) == ({"units": 8}, "float32", DIGITS)


def test_refit_counts_only_with_its_line_in_the_ledger_and_its_model(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    for number in (0, 1):
        folder.append(RefitEnded(time="2026-01-01T00:00:00+00:00", refit=make_refit(number)))
    write_atomic(folder.model_file(1), b"model")
    write_atomic(folder.model_file(2), b"model")
    stage = refit_stage(folder)
    assert [refit.number for refit in stage.refits] == [1]
    task = stage.next_task(())
    assert task is not None
    assert task.name == "refit 0"


def test_failed_refit_is_an_error_that_does_not_promise_that_anything_is_kept(tmp_path: Path) -> None:
    # `bench verify` trains a refit in a temporary folder.
    task = refit_stage(RunFolder(tmp_path)).next_task(())
    assert task is not None
    with pytest.raises(SearchError, match=r"refit 0 of 'dense' failed: killed$"):
        task.on_end(TaskFailed(key="0", reason="killed", worker_died=True), [])


def active_run(folder: RunFolder, published: RunFolder | None = None) -> ActiveRun:
    """A run of a reference model, started or resumed in `folder`."""
    session = Session(
        options=Options(results=folder.path, dataset=DIGITS, workers=1),
        dataset=make_dataset(),
        environment=make_environment(),
        started=at(0),
        start=0.0,
        report=lambda _: None,
        tuner_process=TunerProcess("spawn", hint="Resume it"),
    )
    return ActiveRun(make_reference_spec(), folder, session, published, tuner=None, waits=False)


def test_run_whose_refit_failed_says_how_to_continue(tmp_path: Path) -> None:
    run = active_run(RunFolder(tmp_path / "records" / "digits" / "run"))
    run.fail("refit 0 failed")
    failed = run.outcome
    assert isinstance(failed, RunFailed)
    command = f"python -m bench resume run --results {tmp_path}"
    assert failed.reason == f"refit 0 failed. Completed trials and refits are saved: continue with `{command}`"


@dataclass
class Listed:
    """The source of the proposals that a test lists."""

    proposals: list[Proposal]
    max_pending: int | None = 1

    def propose(self) -> Proposal | NoProposal:
        return self.proposals.pop(0) if self.proposals else NoProposal.END

    def overrule(self, trial_id: str, values: Mapping[str, Value]) -> None:
        """Not called."""

    def report(self, trial_id: str, score: float | None, error: str | None = None) -> None:
        """Changes nothing."""

    def promotable(self) -> set[str]:
        return set()


def test_trial_whose_parent_has_a_damaged_state_starts_from_the_first_epoch(tmp_path: Path) -> None:
    spec, folder = make_spec(), RunFolder(tmp_path / "run")
    first = Proposal(trial_id="0000", values={"units": 8}, initial_epoch=0, epochs=1, parent=None)
    source = Listed([first, replace(first, trial_id="0001", initial_epoch=1, epochs=3, parent="0000")])
    search, plan = Search(spec, source, folder, []), Plan(candidates=1, trials=2, epochs=3)
    options = Options(results=tmp_path, dataset=DIGITS, workers=1)
    stage = SearchStage(search, plan, folder, options, Pace(spec, 1))
    task = stage.next_task(())
    assert task is not None
    state: State = [np.arange(500)]
    trained = TrainedTrial(
        curve=make_curve(1, 0.5), parameters=8, fit_seconds=1.0, task_seconds=1.0, state=state, cut=False
    )
    task.on_end(TaskCompleted(key="0", value=trained), [1.0])
    promoted = stage.next_task(())
    assert promoted is not None
    assert promoted.start().args[1][0].tolist() == list(range(500))
    file = folder.state_file("0000")
    content = file.read_bytes()
    for length in (1000, 0):
        file.write_bytes(content[:length])
        assert promoted.start().args[1] is None


def train_next(stage: SearchStage, seconds: float | None = None) -> str | None:
    """Train the next trial in this process, with its own time limit or with `seconds`; returns its description."""
    from bench.training import fit

    task = stage.next_task(())
    assert task is not None
    spec, state, location, limit = task.start().args
    epoch_seconds: list[float] = []
    trained = fit.train(
        spec, state, location, limit if seconds is None else seconds, lambda _, each: epoch_seconds.append(each)
    )
    return task.on_end(TaskCompleted(key="0", value=trained), epoch_seconds)


@pytest.mark.slow
@pytest.mark.usefixtures("families")
def test_trial_that_is_cut_short_is_marked_ends_the_search_and_does_not_win(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    spec = make_spec(
        dataset="digits",
        family="tiny",
        source=search_spaces.source_digest("tiny"),
        budget=Budget(trials=3, epochs=2),
        time_limit=3600,
    )
    proposals = [
        Proposal(trial_id=str(number), values={"learning_rate": rate}, initial_epoch=0, epochs=2, parent=None)
        for number, rate in enumerate((0.002, 0.004, 0.008))
    ]
    search, plan = Search(spec, Listed(proposals), folder, []), Plan(candidates=3, trials=3, epochs=6)
    options = Options(results=tmp_path, dataset=DIGITS, workers=1)
    stage = SearchStage(search, plan, folder, options, Pace(spec, 1, limit=3600))
    train_next(stage)
    assert not search.is_done(())
    description = train_next(stage, seconds=0.0)  # so that time is up after its first batch
    assert (description or "").startswith("cut short by the time limit after epoch 0, ")
    assert [(trial.status, trial.epochs) for trial in search.results] == [("ok", 2), ("cut", 0)]
    assert search.is_done(())
    assert stage.next_task(()) is None
    assert search.winner().trial_id == "0"


@pytest.mark.parametrize("reason", ["cannot be read", "another process"])
def test_run_that_cannot_be_compared_with_the_published_one_is_finished_with_a_warning(
    reason: str, tmp_path: Path
) -> None:
    spec, predictions = make_reference_spec(), make_predictions()
    record = make_run(predictions, spec=spec)
    published = write_run(tmp_path, record, predictions)
    own = write_unfinished_run(tmp_path, spec, record, folder=RunFolder(published.path.with_name("repeat")))
    for number in range(3):
        write_atomic(own.model_file(number), b"model")
    run = active_run(own, published)
    with ExitStack() as stack:
        if reason == "another process":
            stack.enter_context(published.lock())
        else:
            published.predictions_file.write_bytes(b"damaged")
        run.finish(predictions, record.latency)
    assert isinstance(run.outcome, RunFinished)
    assert run.outcome.folder == own
    assert own.read_record().reproduces == published.run_id
    (warning,) = run.outcome.warnings
    assert warning.startswith(f"tutorial-linear: the next command compares it with the published run {spec.name}: ")
    assert reason in warning


def refitted(folder: RunFolder) -> RefitStage:
    """The stage of a run whose refits are all completed."""
    for number in range(3):
        folder.append(RefitEnded(time="2026-01-01T00:00:00+00:00", refit=make_refit(number)))
        write_atomic(folder.model_file(number), b"model")
    return refit_stage(folder, facts=make_dataset())


def test_code_of_the_first_refit_is_written_after_the_refits(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    stage, plain = refitted(folder), PlainKeras(code="model.fit(x_train)\n", recipe={"epochs": "3"})
    task = stage.next_task(())
    assert task is not None
    spec, facts = task.start().args
    assert (task.name, spec.seed, spec.values, facts) == (
        "code",
        refit_seed(make_spec(), 0),
        {"units": 8},
        make_dataset(),
    )
    assert stage.next_task({"code"}) is None
    done = stage.done
    task.on_end(TaskCompleted(key="0", value=plain), [])
    assert (done, stage.done) == (False, True)
    assert folder.read_plain() == plain
    # It is not written again when the run is resumed.
    assert refit_stage(folder, facts=make_dataset()).next_task(()) is None


def test_run_of_a_model_that_cannot_be_written_as_code_continues(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    stage = refitted(folder)
    task = stage.next_task(())
    assert task is not None
    task.on_end(TaskFailed(key="0", reason="ModelError: it has a fit of its own", worker_died=False), [])
    assert stage.done
    assert folder.read_plain() is None


def at(second: int) -> str:
    return f"2026-01-01T00:00:{second:02d}+00:00"


def session(second: int) -> SessionStarted:
    return SessionStarted(time=at(second), environment=make_environment(), dataset=make_dataset())


def test_seconds_of_a_run_exclude_pauses_between_sessions() -> None:
    events: list[LedgerEvent] = [
        session(0),
        TrialEnded(time=at(5), trial=make_trial(0, 0.9, ended_seconds=5.0)),
        session(20),
        TrialEnded(time=at(22), trial=make_trial(1, 0.9, ended_seconds=7.0)),
        RefitEnded(time=at(30), refit=make_refit(0)),  # without seconds, as in ledgers of earlier versions
    ]
    # 5 s in the first session; in the second 2 s up to the last trial, 10 s up to the refit.
    assert session_seconds(events[:4]) == 7
    assert session_seconds(events) == 15


def test_seconds_of_a_run_exclude_waits_for_other_runs() -> None:
    proposal = TrialProposed(time=at(21), trial_id="0", values={}, initial_epoch=0, epochs=3, parent=None)
    events: list[LedgerEvent] = [
        session(0),  # killed while it waited
        session(20),
        proposal,
        WaitEnded(time=at(30)),
        TrialEnded(time=at(35), trial=make_trial(0, 0.9, ended_seconds=6.0)),
        WaitEnded(time=at(40)),
        RefitEnded(time=at(47), refit=make_refit(0)),
    ]
    # 1 s of start-up until the proposal, 5 s for the trial, 7 s for the refit.
    assert session_seconds(events[:4]) == 1
    assert session_seconds(events) == 13


def test_seconds_of_a_run_are_counted_whatever_the_clock_says() -> None:
    # The clock is set forward during the trial and back during the refit.
    events: list[LedgerEvent] = [
        session(0),
        TrialEnded(time=at(50), trial=make_trial(0, 0.9, ended_seconds=5.0)),
        WaitEnded(time=at(55), seconds=5.5),
        RefitEnded(time=at(10), refit=make_refit(0), seconds=9.0),
    ]
    assert [session_seconds(events[:n]) for n in (2, 3, 4)] == [5, 5.5, 9]
    proposal = TrialProposed(time=at(42), trial_id="0", values={}, initial_epoch=0, epochs=3, parent=None)
    assert session_seconds([*events, session(40), proposal]) == 9 + 2


def test_refit_is_logged_with_the_seconds_of_its_run_and_of_all_attempts(tmp_path: Path) -> None:
    task = refit_stage(RunFolder(tmp_path), seconds=10).next_task(())
    assert task is not None
    refit = make_refit(0, task_seconds=22.0)
    task.on_end(TaskCompleted(key="0", value=(refit, b"model"), lost_seconds=3.0), [])
    (event,) = RunFolder(tmp_path).events()
    assert isinstance(event, RefitEnded)
    assert event.seconds == pytest.approx(10, abs=1)
    assert event.refit.task_seconds == 25  # with a first attempt whose worker died


class Sleeping(Job):
    """Tasks of about half a second that return when they started and ended; those of `alone` measure time."""

    def __init__(self, key: str, tasks: int, *, alone: bool) -> None:
        self.key = self.title = key
        self.intervals: list[tuple[float, float]] = []
        self._names, self._alone = [str(number) for number in range(tasks)], alone

    @property
    def priority(self) -> int:
        return int(self._alone)

    @property
    def done(self) -> bool:
        return not self._names

    def next_task(self, in_flight: Collection[str]) -> Task | None:
        name = next((name for name in self._names if name not in in_flight), None)
        if name is None:
            return None
        start = partial(partial, interval, 0.5 + 0.1 * int(name))
        return Task(name=name, start=start, on_end=partial(self._on_end, name), alone=self._alone)

    def _on_end(self, name: str, end: TaskEnd, _epoch_seconds: Sequence[float]) -> None:
        assert isinstance(end, TaskCompleted)
        self.intervals.append(end.value)
        self._names.remove(name)


@pytest.mark.slow
def test_prediction_time_is_measured_while_no_other_task_runs(folder: RunFolder, log: EvaluationLog) -> None:
    evaluation = EvaluationStage(make_spec(), folder, partial(HeldOutTestSet, DIGITS, "run", log)).next_task(())
    assert evaluation is not None
    assert evaluation.alone
    others, measuring = Sleeping("others", 3, alone=False), Sleeping("measuring", 2, alone=True)
    with closing(LocalPool(2)) as pool:
        work([measuring, others], Executor(pool), lambda _: None)
    at_once = sorted(others.intervals)
    assert at_once[1][0] < at_once[0][1]  # two workers
    for start, end in measuring.intervals:
        assert all(end <= first or last <= start for first, last in others.intervals)
    (_, first_end), (second_start, _) = sorted(measuring.intervals)
    assert first_end <= second_start
