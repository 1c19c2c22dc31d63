"""Learning curves and hyperparameters as TensorBoard logs, written with TensorBoard's own package."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.machine import silence_stderr
from bench.records.files import writing
from bench.records.objective import score_name
from bench.records.record import Curve, TrialRecord
from bench.records.spec import Value
from bench.report.board import Board
from bench.report.exports import curve_points, runs_of, score_of
from bench.report.runs import Run

TEST_ACCURACY = "test accuracy"


def write_logs(board: Board, folder: Path) -> tuple[int, int]:
    """Write a log folder per run, `<dataset>/<run id>`, with one per trial and refit; existing ones are kept.

    Returns:
        The number of runs written, and of those that were already there.

    Raises:
        StoreError: the folder cannot be written.
    """
    written = existing = 0
    for run in runs_of(board):
        target = folder / run.record.dataset.name / run.record.run_id
        if target.exists():
            existing += 1
            continue
        unfinished = target.with_name(f".{target.name}.part")  # so that an export that was killed is repeated
        shutil.rmtree(unfinished, ignore_errors=True)
        with writing(target):
            unfinished.mkdir(parents=True)
            _write_run(run, unfinished)
            unfinished.rename(target)
        written += 1
    return written, existing


def _write_run(run: Run, target: Path) -> None:
    record = run.record
    started = datetime.fromisoformat(record.started).timestamp()
    if record.search is not None:
        names = [parameter.name for parameter in record.search.space]
        with _writer(target, started) as writer:
            writer.experiment(names, score_name(record.spec))
        for trial in record.search.trials:
            with _writer(target / f"trial-{trial.trial_id}", started) as writer:
                _write_trial(writer, run, trial)
    for refit, accuracy in zip(record.refits, run.scores.accuracy_by_seed, strict=True):
        with _writer(target / f"refit-{refit.number}", started) as writer:
            writer.curve(refit.curve)
            writer.scalar(TEST_ACCURACY, float(accuracy), refit.epochs)


def _write_trial(writer: "_Writer", run: Run, trial: TrialRecord) -> None:
    writer.session(trial.values, f"{run.record.run_id}/{trial.trial_id}")
    writer.curve(trial.curve)
    for name, score in score_of(run, trial).items():
        writer.scalar(name, score, trial.epochs)
    writer.session_end(trial.status)


@contextmanager
def _writer(folder: Path, started: float) -> Iterator["_Writer"]:
    writer = _Writer(folder, started)
    try:
        yield writer
    finally:
        writer.close()


class _Writer:
    """An event file."""

    def __init__(self, folder: Path, started: float) -> None:
        with silence_stderr():  # it imports TensorFlow, which writes messages
            from tensorboard.plugins.hparams import api  # noqa: F401 - imported for later calls
            from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._started = started
        self._file = EventFileWriter(str(folder))

    def experiment(self, names: list[str], objective: str) -> None:
        """The hyperparameters and the objective of all trials."""
        from tensorboard.plugins.hparams import api

        metrics = [api.Metric(objective), api.Metric("validation loss")]
        self._add(api.hparams_config_pb([api.HParam(name) for name in names], metrics, self._started))

    def session(self, values: Mapping[str, Value], name: str) -> None:
        """The hyperparameters of one trial."""
        from tensorboard.plugins.hparams import api

        self._add(api.hparams_pb(dict(values), trial_id=name, start_time_secs=self._started))

    def session_end(self, status: str) -> None:
        """How the trial ended: its status in the record."""
        from tensorboard.plugins.hparams import api_pb2, summary

        statuses = {"ok": api_pb2.STATUS_SUCCESS, "failed": api_pb2.STATUS_FAILURE, "cut": api_pb2.STATUS_UNKNOWN}
        self._add(summary.session_end_pb(statuses[status], self._started))

    def curve(self, curve: Curve) -> None:
        """One value per epoch, counted from 1."""
        for name, epoch, value in curve_points(curve):
            self.scalar(name, value, epoch)

    def scalar(self, tag: str, value: float, step: int) -> None:
        """A value after an epoch."""
        from tensorboard.plugins.scalar.summary_v2 import scalar_pb

        self._add(scalar_pb(tag, value), step)

    def close(self) -> None:
        """Write everything to disk."""
        self._file.close()

    def _add(self, summary: Any, step: int = 0) -> None:
        from tensorboard.compat.proto import event_pb2

        event = event_pb2.Event(step=step, wall_time=self._started)
        event.summary.ParseFromString(summary.SerializeToString())
        self._file.add_event(event)
