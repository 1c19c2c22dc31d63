"""How far runs have come and how long they will still take, from the epochs that workers report."""

import math
from dataclasses import dataclass, field
from statistics import fmean

from bench.events import Progress
from bench.family_run import FamilyRun
from bench.search.engine import Epoch
from bench.search.oracles import Plan
from bench.stages import JudgeStage, RefitStage, SearchStage, Task

# A refit has a fifth more images than a trial, and float32 takes about twice as long as bfloat16.
REFIT_EPOCH = {"float32": 1.2, "bfloat16": 2.2}


@dataclass(slots=True, kw_only=True)
class _Count:
    plan: Plan
    running: dict[str, int] = field(default_factory=dict)  # epochs of each task under way
    trial_seconds: list[float] = field(default_factory=list)  # of each epoch seen
    refit_seconds: list[float] = field(default_factory=list)


class Tally:
    """Counts for each run; asks nothing of the machine but what workers report."""

    def __init__(self, workers: int) -> None:
        """Estimate for `workers` processes."""
        self._workers = workers
        self._counts: dict[str, _Count] = {}

    def add(self, run: FamilyRun, plan: Plan) -> None:
        """Count `run`, which will train what `plan` says."""
        self._counts[run.folder.path.name] = _Count(plan=plan)

    def introduction(self, run: FamilyRun) -> str:
        """What the run will do, in one line."""
        plan, spec = self._count(run).plan, run.spec
        return (
            f"{spec.family}: {spec.tuner} trains {plan.candidates} candidates in {plan.tasks} trials, "
            f"{plan.epochs} epochs in {spec.precision}; the winner is refitted under {spec.seeds} seeds, "
            f"{spec.budget.epochs} epochs each in float32"
        )

    def take_epoch(self, run: FamilyRun, task: Task, epoch: Epoch) -> None:
        """A task has finished an epoch."""
        count = self._count(run)
        first = task.arguments[0].initial_epoch
        count.running[task.name] = max(0, epoch.epochs - first)
        seconds = count.refit_seconds if task.name.startswith("refit") else count.trial_seconds
        seconds.append(epoch.seconds)

    def take_end(self, run: FamilyRun, task: Task) -> None:
        """A task has ended; from now on its record counts."""
        self._count(run).running.pop(task.name, None)

    def progress(self, run: FamilyRun) -> Progress:
        """How far `run` is."""
        count, spec = self._count(run), run.spec
        trials = run.search.results
        epochs = sum(trial.epochs - trial.initial_epoch for trial in trials) + sum(count.running.values())
        total, stage = count.plan.epochs, "searching"
        if run.refits is not None:
            epochs = len(run.refits.refits) * spec.budget.epochs + sum(count.running.values())
            total, stage = spec.seeds * spec.budget.epochs, "refitting"
        if isinstance(run.stage, JudgeStage):
            stage = "judging"
        return Progress(
            run=f"{spec.dataset} {spec.family}",
            stage=stage,
            trials=len(trials),
            trials_total=count.plan.tasks,
            epochs=epochs,
            epochs_total=total,
            best_validation_accuracy=max((trial.score for trial in trials if trial.status == "ok"), default=None),
            seconds_left=self._seconds_left(run, count, total - epochs),
        )

    def _seconds_left(self, run: FamilyRun, count: _Count, epochs_left: int) -> float | None:
        spec = run.spec
        if not count.trial_seconds and not count.refit_seconds:
            return None
        refit = fmean(count.refit_seconds or count.trial_seconds)
        if not count.refit_seconds:
            refit *= REFIT_EPOCH[spec.precision]
        if isinstance(run.stage, SearchStage):
            search = max(0, epochs_left) * fmean(count.trial_seconds or count.refit_seconds) / self._workers
            return search + math.ceil(spec.seeds / self._workers) * spec.budget.epochs * refit
        return epochs_left * refit / self._workers if isinstance(run.stage, RefitStage) else 0.0

    def _count(self, run: FamilyRun) -> _Count:
        return self._counts[run.folder.path.name]
