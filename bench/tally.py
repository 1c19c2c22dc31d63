"""How far runs have come and how long they will still take, from the epochs that workers report."""

import math
import time
from dataclasses import dataclass, field
from statistics import fmean, median

from bench.events import Progress
from bench.family_run import FamilyRun
from bench.record import TrialRecord
from bench.search.engine import Epoch
from bench.search.oracles import Plan
from bench.stages import JudgeStage, Task

# A refit has a fifth more images than a trial, and float32 takes about twice as long as bfloat16.
REFIT_EPOCH = {"float32": 1.2, "bfloat16": 2.2}
JUDGE_SECONDS = 5.0


@dataclass(slots=True, kw_only=True)
class _Count:
    plan: Plan
    running: dict[str, int] = field(default_factory=dict)  # epochs of each task under way
    seconds: dict[str, list[float]] = field(default_factory=dict)  # of each epoch seen, by task

    def epoch_seconds(self, *tasks: str) -> float | None:
        """Mean of what was seen of `tasks`, without the first epoch of each where possible: it includes tracing."""
        seen = [self.seconds[task] for task in tasks if task in self.seconds]
        epochs = [second for each in seen for second in each[1:]] or [each[0] for each in seen]
        return fmean(epochs) if epochs else None


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
        count.seconds.setdefault(task.name, []).append(epoch.seconds)

    def take_end(self, run: FamilyRun, task: Task) -> None:
        """A task has ended; from now on its record counts."""
        self._count(run).running.pop(task.name, None)

    def progress(self, run: FamilyRun) -> Progress:
        """How far `run` is."""
        count, spec = self._count(run), run.spec
        trials = run.search.results
        epochs = sum(max(0, trial.epochs - trial.initial_epoch) for trial in trials) + sum(count.running.values())
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

    def clock(self, run: FamilyRun, start: float) -> "Clock":
        """What time `run` has, in a session that began at `start` (time.perf_counter)."""
        limit = run.spec.seconds
        until = None if limit is None else start + limit - run.seconds_before
        return Clock(self, run, until)

    def finish_seconds(self, run: FamilyRun) -> float:
        """What refits and judging will take, as far as is known; 0 before anything is."""
        refit_epoch, task = self._refit_epoch_seconds(run), self.task_seconds(run)
        if refit_epoch is None or task is None:
            return 0.0
        one_refit = task + run.spec.budget.epochs * refit_epoch
        return math.ceil(run.spec.seeds / self._workers) * one_refit + JUDGE_SECONDS

    def epoch_seconds(self, run: FamilyRun) -> float | None:
        """What an epoch of a trial takes on average; None while none is seen."""
        count = self._count(run)
        return count.epoch_seconds(*count.seconds)

    def task_seconds(self, run: FamilyRun) -> float | None:
        """What a trial takes beside its epochs: building, tracing, coming and going; None while none has ended."""
        count, found = self._count(run), []
        for trial in self._trained_here(run):
            epoch = count.epoch_seconds(_name(trial)) or 0.0
            found.append(max(0.0, trial.task_seconds - (trial.epochs - trial.initial_epoch) * epoch))
        return median(found) if found else None

    def _seconds_left(self, run: FamilyRun, count: _Count, epochs_left: int) -> float | None:
        if isinstance(run.stage, JudgeStage):
            return JUDGE_SECONDS
        epoch, refit_epoch, task = self.epoch_seconds(run), self._refit_epoch_seconds(run), self.task_seconds(run)
        if refit_epoch is None:
            return None
        if run.refits is not None:
            left = run.spec.seeds - len(run.refits.refits)
            work = epochs_left * refit_epoch + (left - len(count.running)) * (task or 0.0)
            return work / min(left, self._workers) + JUDGE_SECONDS
        if epoch is None or task is None:
            return None
        tasks_left = count.plan.tasks - len(run.search.results) - len(count.running)
        search = (max(0, tasks_left) * task + max(0, epochs_left) * epoch) / self._workers
        limit = run.clock.seconds_left()
        return (search if limit is None else min(search, max(0.0, limit))) + self.finish_seconds(run)

    def _trained_here(self, run: FamilyRun) -> list[TrialRecord]:
        """Trials that this session has seen from their first epoch to their end."""
        seen = self._count(run).seconds
        return [trial for trial in run.search.results if trial.status == "ok" and _name(trial) in seen]

    def _refit_epoch_seconds(self, run: FamilyRun) -> float | None:
        """Of the refits as far as they are seen; before that, of the trial that would win by now."""
        count = self._count(run)
        seen = count.epoch_seconds(*(task for task in count.seconds if task.startswith("refit")))
        if seen is not None:
            return seen
        best = max(self._trained_here(run), key=lambda trial: trial.score, default=None)
        epoch = count.epoch_seconds(_name(best)) if best is not None else None
        return None if epoch is None else epoch * REFIT_EPOCH[run.spec.precision]

    def _count(self, run: FamilyRun) -> _Count:
        return self._counts[run.folder.path.name]


class Clock:
    """What time the search of a run has, refits and judging set aside."""

    def __init__(self, tally: Tally, run: FamilyRun, until: float | None) -> None:
        """The whole run is to end at `until` (time.perf_counter), None where it has no limit."""
        self._tally = tally
        self._run = run
        self._until = until

    def seconds_left(self) -> float | None:
        """Until trials are cut short; None where there is no limit."""
        if self._until is None:
            return None
        return self._until - time.perf_counter() - self._tally.finish_seconds(self._run)

    def epochs_left(self) -> float:
        """What one trial that starts now can train in that time, in epochs, as far as is known."""
        left = self.seconds_left()
        if left is None:
            return math.inf
        task, epoch = self._tally.task_seconds(self._run), self._tally.epoch_seconds(self._run)
        if task is None or epoch is None:
            return math.inf if left > 0 else 0.0
        return (left - task) / epoch


def _name(trial: TrialRecord) -> str:
    return f"trial {trial.number}"
