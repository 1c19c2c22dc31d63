"""Verify a finished run: its files, code and data, and one retrained refit."""

from collections.abc import Collection, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np

from bench.baselines.catalog import CLASSIFIERS
from bench.data.development import facts, load_development
from bench.data.held_out import HeldOutTestSet
from bench.errors import BenchError, SearchError
from bench.evaluation.comparison import prediction_interval
from bench.execution.compatibility import DECISIVE
from bench.execution.evaluation_stage import ClassifierStage, EvaluationStage
from bench.execution.events import Message, Progress, Report
from bench.execution.options import Options
from bench.execution.refit_stage import RefitStage
from bench.execution.resume import model_source
from bench.execution.runner import space
from bench.execution.scheduling import RunningTask, work
from bench.execution.stages import Stage, Task, TaskEnd
from bench.machine import environment
from bench.records.evaluation_log import EvaluationLog
from bench.records.predictions import Predictions
from bench.records.record import RunRecord
from bench.records.spec import PROTOCOL_VERSION, RunSpec, SearchSpec
from bench.records.store import RunFolder
from bench.tuning.space import parameters
from bench.workers import tasks as worker
from bench.workers.executor import EpochCompleted, Executor
from bench.workers.local import LocalPool


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """The result of one check."""

    passed: bool
    text: str


def verify(folder: RunFolder, options: Options, report: Report) -> tuple[Check, ...]:
    """Verify a finished run and retrain its first refit; the additional test-set evaluation is logged.

    If the code has changed but the predictions are identical, the new code digest is added to the record.

    Raises:
        BenchError: the record cannot be read, or the refit cannot be trained.
    """
    report(Message(text=f"Checking {folder.path}"))
    record = folder.read_record()
    predictions = folder.read_predictions(record)
    try:
        folder.check()
        files = Check(passed=True, text="files: spec, ledger, record and predictions are consistent")
    except BenchError as error:
        files = Check(passed=False, text=f"files: {error}")
    blocker = _blocker(record.spec)
    if blocker is not None:
        return files, Check(passed=False, text=f"code: {blocker}"), Check(passed=False, text="refit: not trained")
    report(Message(text="Reading the data"))
    data = _data(record, options)
    if not data.passed:
        return files, data, Check(passed=False, text="refit: not trained, because the data differs")
    refitted = _first_refit(record, options, report)
    refit = _compare(record, predictions, refitted)
    identical = np.array_equal(refitted.log_probabilities[0], predictions.log_probabilities[0])
    return files, _code(folder, record, identical=identical), data, refit


def _blocker(spec: RunSpec) -> str | None:
    """Why the model cannot be retrained here; None if it can."""
    if spec.protocol != PROTOCOL_VERSION:
        return f"the run uses protocol {spec.protocol}, but the current protocol is {PROTOCOL_VERSION}"
    try:
        model_source(spec)
    except BenchError as error:
        return str(error)
    return None


def _data(record: RunRecord, options: Options) -> Check:
    current = facts(options.dataset, load_development(options.dataset))
    if current == record.dataset:
        return Check(passed=True, text=f"data: checksum {current.checksum[:12]} matches the record")
    names = [name for name in current.__slots__ if getattr(current, name) != getattr(record.dataset, name)]
    changes = "; ".join(f"{name} {getattr(current, name)}, recorded {getattr(record.dataset, name)}" for name in names)
    return Check(passed=False, text=f"data: differs from the record: {changes}")


def _code(folder: RunFolder, record: RunRecord, *, identical: bool) -> Check:
    """Compare the code with the record; changed code passes if its predictions are identical."""
    source, model = model_source(record.spec), record.spec.model
    if source in record.sources:
        return Check(passed=True, text=f"code: {model!r} matches the record, digest {source}")
    changed = f"code: {model!r} has changed, from digest {record.spec.source} to {source}"
    if not identical:
        return Check(passed=False, text=changed)
    if isinstance(record.spec, SearchSpec) and record.search is not None:
        declared = parameters(space(record.spec, record.dataset))
        if declared != record.search.space:
            return Check(passed=False, text=f"{changed}, and so has its search space")
    folder.write_record(replace(record, verified_sources=(*record.verified_sources, source)))
    return Check(passed=True, text=f"{changed}; predictions are identical, so the new digest was added to the record")


def _first_refit(record: RunRecord, options: Options, report: Report) -> Predictions:
    """Retrain the first refit and predict the test set with it."""
    worker.import_libraries()
    spec = msgspec.structs.replace(record.spec, refit_seeds=1)
    values = {} if record.search is None else record.search.winning_trial.values
    log = EvaluationLog(options.results, record.dataset.name)
    test_set = partial(HeldOutTestSet, options.dataset, record.run_id, log)
    report(Message(text=f"Retraining {spec.model} with its first seed"))
    with TemporaryDirectory(prefix="bench-verify-") as name, closing(LocalPool(1)) as pool:
        folder = RunFolder(Path(name))
        stage = (
            ClassifierStage(spec, folder, test_set, options.dataset)
            if spec.model in CLASSIFIERS
            else RefitStage(spec, values, folder, options.dataset)
        )
        refit = _Refit(spec, stage, EvaluationStage(spec, folder, test_set))
        work([refit], Executor(pool), report)
        predictions, _ = refit.evaluation.result
        return predictions


class _Refit:
    """A single refit and its evaluation, as a job of the polling loop."""

    key = "verify"
    priority = 0

    def __init__(self, spec: RunSpec, stage: Stage, evaluation: EvaluationStage) -> None:
        self.title = spec.model
        self._spec = spec
        self._stage = stage
        self.evaluation = stage if isinstance(stage, EvaluationStage) else evaluation

    @property
    def done(self) -> bool:
        return self._stage is self.evaluation and self._stage.is_done(())

    def advance(self, in_flight: Collection[str]) -> None:
        if self._stage.is_done(in_flight):
            self._stage = self.evaluation

    def next_task(self, in_flight: Collection[str]) -> Task | None:
        return self._stage.next_task(in_flight)

    def take_epoch(self, running: RunningTask, epoch: EpochCompleted) -> None:
        pass

    def take(self, running: RunningTask, end: TaskEnd) -> None:
        running.task.take(end, 0.0)

    def fail(self, reason: str) -> None:
        raise SearchError(reason)

    def progress(self, running: Sequence[RunningTask]) -> Progress:
        return Progress(
            run=f"{self._spec.dataset} {self._spec.model}",
            stage=self._stage.name,
            trials=0,
            trials_total=0,
            failed=0,
            epochs=sum(task.epochs for task in running),
            epochs_total=self._spec.refit_epochs,
            best_validation_accuracy=None,
            seconds_left=None,
        )


def _compare(record: RunRecord, recorded: Predictions, new: Predictions) -> Check:
    """Identical with the same CPU model and versions; otherwise inside the prediction interval for one seed."""
    if not np.array_equal(new.labels, recorded.labels):
        return Check(passed=False, text="refit: the test labels differ from those in the record")
    predicted = new.log_probabilities[0].argmax(axis=1)
    accuracies = (recorded.log_probabilities.argmax(axis=-1) == recorded.labels).mean(axis=1)
    accuracy = float((predicted == recorded.labels).mean())
    text = f"refit: {100 * accuracy:.2f}% test accuracy"
    if np.array_equal(new.log_probabilities[0], recorded.log_probabilities[0]):
        return Check(passed=True, text=f"{text}, all predictions are identical bit for bit")
    changed = int((predicted != recorded.log_probabilities[0].argmax(axis=1)).sum())
    text += f", recorded {100 * accuracies[0]:.2f}%; {changed:,} of {len(predicted):,} predicted classes differ"
    conditions = _changed_conditions(record)
    if not conditions:
        return Check(passed=False, text=f"{text}, although CPU model and versions are the same")
    text += f", with {', '.join(conditions)}"
    interval = prediction_interval(accuracies)
    if interval is None:
        return Check(passed=False, text=f"{text}; a single seed gives no prediction interval")
    inside = interval[0] <= accuracy <= interval[1]
    limits = f"the 95% prediction interval for one seed, {100 * interval[0]:.2f}% to {100 * interval[1]:.2f}%"
    return Check(passed=inside, text=f"{text}: {'inside' if inside else 'outside'} {limits}")


def _changed_conditions(record: RunRecord) -> list[str]:
    current = environment()
    return [
        f"{name} {getattr(current, name)} instead of {getattr(record.environment, name)}"
        for name in (*DECISIVE, "scikit_learn", "threads")
        if getattr(current, name) != getattr(record.environment, name)
    ]
