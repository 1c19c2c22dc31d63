"""Runs as MLflow runs, written with MLflow's own package: a parent per run with one child per trial."""

import re
import shlex
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from bench.errors import ExtensionError, RecordError, SpecError
from bench.machine import install_command, set_variable
from bench.records.files import writing
from bench.records.ledger import TrialEnded
from bench.records.objective import score_name
from bench.records.record import Curve, TrialRecord
from bench.report.board import Board
from bench.report.exports import curve_points, runs_of, score_of
from bench.report.frames import hyperparameter_columns
from bench.report.runs import Run

RUN_TAG = "keras_family_bench.run_id"
PARENT_TAG = "mlflow.parentRunId"  # MLflow's own, which its pages nest runs by
STATUSES: Mapping[str, str] = {"ok": "FINISHED", "failed": "FAILED", "cut": "KILLED"}
DATABASE = "mlflow.db"
MAX_RUNS = 50_000  # of one request
MAX_VALUE = 6000  # characters of a parameter


def tracking_uri(output: str) -> str:
    """The address of a store: `output` itself, or that of a database in the folder `output`, which is created.

    Raises:
        SpecError: `output` is a file.
        StoreError: the folder cannot be created.
    """
    if re.match(r"[a-z][a-z0-9+.-]*:", output):
        return output
    folder = Path(output).absolute()
    if folder.is_file():
        raise SpecError(f"{output} is a file: expected a folder, or the address of a store such as sqlite:///{output}")
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{folder / DATABASE}"


def how_to_show(uri: str) -> str:
    """What shows the runs of a store; mlflow-skinny has no pages."""
    if re.match("https?:", uri):
        return f"open {uri}"
    command = shlex.join(["mlflow", "ui", "--backend-store-uri", uri])
    return f"in an environment with the full package mlflow, run {command}"


def write_runs(board: Board, uri: str) -> tuple[int, int]:
    """Write an experiment per dataset, with the runs that it does not have yet.

    Returns:
        The number of runs written, and of those that were already there.

    Raises:
        ExtensionError: MLflow or a package that it needs is not installed, or the store cannot be written.
        RecordError: a ledger is damaged, or lacks the end of a trial.
    """
    set_variable("MLFLOW_DISABLE_TELEMETRY", "true")
    try:
        import alembic  # noqa: F401 - only MLflow imports it, too late for this message
        import mlflow
        from sqlalchemy.exc import SQLAlchemyError
    except ImportError as error:
        command = install_command("mlflow-skinny", "alembic", "sqlalchemy")
        raise ExtensionError(f"MLflow runs need {error.name}, which is not installed: run `{command}`") from error
    written = existing = 0
    try:
        store = _Store(mlflow.MlflowClient(tracking_uri=uri))
        for run in runs_of(board):
            if store.has(run):
                existing += 1
            else:
                store.add(run, _trial_ends(run))
                written += 1
    except (mlflow.exceptions.MlflowException, SQLAlchemyError, OSError) as error:
        raise ExtensionError(f"{uri} cannot be written: {error}") from error
    return written, existing


class _Store:
    """A tracking store."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._experiments: dict[str, str] = {}  # ids by dataset

    def has(self, run: Run) -> bool:
        """Whether the run is complete in the store; one whose export was interrupted is not."""
        condition = f"tags.`{RUN_TAG}` = '{run.record.run_id}' and attributes.status = 'FINISHED'"
        return bool(self._client.search_runs([self._experiment(run)], condition, max_results=1))

    def add(self, run: Run, trial_ends: Mapping[str, int]) -> None:
        """Add a run and its trials, which ended at `trial_ends` (Unix time, ms); the run is finished last.

        What an interrupted export left of the run is deleted.
        """
        record, experiment = run.record, self._experiment(run)
        for unfinished in self._search(experiment, RUN_TAG, record.run_id):
            for child in self._search(experiment, PARENT_TAG, unfinished):
                self._client.delete_run(child)
            self._client.delete_run(unfinished)
        start, end = _milliseconds(record.started), _milliseconds(record.finished)
        tags = {RUN_TAG: record.run_id, "mlflow.runName": run.label, "model": record.spec.model}
        parent = self._client.create_run(experiment, start_time=start, tags=tags).info.run_id
        parameters = msgspec.to_builtins(record.spec) | hyperparameter_columns(record.hyperparameters)
        self._log(parent, parameters, _results(run), end)
        for refit in record.refits:
            self._log_curve(parent, refit.curve, end, suffix=f" refit {refit.number}")
        for trial in record.trials:
            self._add_trial(run, trial, parent, experiment, trial_ends[trial.duplicate_of or trial.trial_id])
        self._client.set_terminated(parent, "FINISHED", end)

    def _search(self, experiment: str, tag: str, value: str) -> list[str]:
        """Ids of runs by a tag."""
        found = self._client.search_runs([experiment], f"tags.`{tag}` = '{value}'", max_results=MAX_RUNS)
        return [each.info.run_id for each in found]

    def _add_trial(self, run: Run, trial: TrialRecord, parent: str, experiment: str, end: int) -> None:
        tags = {PARENT_TAG: parent, "mlflow.runName": f"{run.label} trial {trial.trial_id}", "status": trial.status}
        tags |= {} if trial.error is None else {"error": trial.error[-MAX_VALUE:]}
        began = max(_milliseconds(run.record.started), end - round(1000 * trial.task_seconds))
        child = self._client.create_run(experiment, start_time=began, tags=tags).info.run_id
        metrics = {"fit seconds": trial.fit_seconds, "epochs": trial.epochs}
        metrics |= {} if trial.parameters is None else {"parameters": trial.parameters}
        metrics |= score_of(run, trial)
        self._log(child, trial.values, metrics, end)
        self._log_curve(child, trial.curve, end)
        self._client.set_terminated(child, STATUSES[trial.status], end)

    def _experiment(self, run: Run) -> str:
        dataset = run.record.dataset.name
        if dataset not in self._experiments:
            name = f"keras-family-bench {dataset}"
            found = self._client.get_experiment_by_name(name)
            self._experiments[dataset] = self._client.create_experiment(name) if found is None else found.experiment_id
        return self._experiments[dataset]

    def _log(self, run_id: str, parameters: Mapping[str, Any], metrics: Mapping[str, float], time: int) -> None:
        from mlflow.entities import Metric, Param

        self._client.log_batch(
            run_id,
            metrics=[Metric(_key(name), float(value), time, 0) for name, value in metrics.items()],
            params=[Param(_key(name), str(value)[:MAX_VALUE]) for name, value in parameters.items()],
        )

    def _log_curve(self, run_id: str, curve: Curve, time: int, suffix: str = "") -> None:
        from mlflow.entities import Metric

        metrics = [Metric(_key(name + suffix), value, time, epoch) for name, epoch, value in curve_points(curve)]
        self._client.log_batch(run_id, metrics=metrics)


def _trial_ends(run: Run) -> dict[str, int]:
    """Unix times (ms) of the ends of trained trials; `ended_seconds` of a record excludes pauses and waits."""
    record, folder = run.record, run.folder
    events = [event for event in folder.events() if isinstance(event, TrialEnded)]
    ends = {event.trial.trial_id: _milliseconds(event.time) for event in events}
    for trial in record.trials:
        if trial.duplicate_of is None and trial.trial_id not in ends:
            raise RecordError(f"{folder.ledger}: the end of trial {trial.trial_id} is missing: restore the file")
    return ends


def _results(run: Run) -> dict[str, float]:
    search = run.record.search
    return {
        "test accuracy": run.scores.accuracy,
        **{metric.name: value for metric in run.metrics if (value := run.value(metric)) is not None},
        **({} if search is None else {f"{score_name(run.record.spec)} of the winner": search.winning_trial.score}),
        **{name: float(value) for name, value in run.costs.items()},
    }


def _key(name: str) -> str:
    """A name with `_` for every character that MLflow rejects."""
    return re.sub(r"[^\w\-. /]", "_", name)


def _milliseconds(time: str) -> int:
    return round(1000 * datetime.fromisoformat(time).timestamp())
