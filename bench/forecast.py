"""How long a run will take and what it will write, from finished runs of the same family on the same dataset."""

from dataclasses import dataclass
from math import ceil
from pathlib import Path
from statistics import fmean, median

from bench.record import RunRecord
from bench.reporting.runs import load
from bench.search.oracles import Plan
from bench.spec import RunSpec
from bench.store import RunFolder, run_folder

JUDGE_AND_START_SECONDS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a run is expected to need, and where that comes from."""

    minutes: float
    megabytes: float  # on disk when it is finished, models included
    measured: str  # run id that the figures were measured in
    cpu: str  # of that run


def forecast(results: Path, spec: RunSpec, plan: Plan, workers: int) -> Forecast | None:
    """What `spec` will need on `workers` processes; None where no run of this family was ever finished here."""
    records = [
        run.record
        for run in load(results).runs
        if (run.record.spec.dataset, run.record.spec.family) == (spec.dataset, spec.family)
    ]
    if not records:
        return None
    # The same precision first, then the newest.
    record = max(records, key=lambda found: (found.spec.precision == spec.precision, found.finished))
    search = plan.epochs * _seconds_per_epoch(record) / workers
    refit = median(refit.task_seconds / refit.epochs for refit in record.refits)
    refits = ceil(spec.seeds / workers) * spec.budget.epochs * refit
    return Forecast(
        minutes=(search + refits + JUDGE_AND_START_SECONDS) / 60,
        megabytes=_megabytes(results, record) * spec.seeds / record.spec.seeds,
        measured=record.run_id,
        cpu=record.environment.cpu,
    )


def _seconds_per_epoch(record: RunRecord) -> float:
    return fmean(
        trial.task_seconds / (trial.epochs - trial.initial_epoch)
        for trial in record.trials
        if trial.status == "ok" and trial.repeats is None
    )


def _megabytes(results: Path, record: RunRecord) -> float:
    folder = RunFolder(run_folder(results, record.spec).path.parent / record.run_id)
    # Four bytes a weight: models are kept without their optimizer.
    models = 4 * record.refits[0].parameters * record.spec.seeds
    kept = sum(file.stat().st_size for file in folder.path.iterdir() if file.is_file())
    return (models + kept) / 1e6
