"""How far runs have come and how long they will still take, from the epochs that workers report."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import fmean, median

from bench.execution.active_run import ActiveRun
from bench.execution.events import Progress
from bench.execution.search_run import FamilyRun
from bench.execution.stages import StageName, Task
from bench.records.record import TrialRecord
from bench.tuning.oracles import Plan
from bench.tuning.search import Totals
from bench.workers.executor import Epoch

# A refit has a fifth more images than a trial, and float32 takes about twice as long as bfloat16.
REFIT_EPOCH = {"float32": 1.2, "bfloat16": 2.2}
EVALUATION_SECONDS = 5.0
STAGES: Mapping[StageName, str] = {"search": "searching", "refit": "refitting", "judge": "judging"}


@dataclass(slots=True, kw_only=True)
class _Seconds:
    """The mean of what epochs took, without the first of each task where possible: it includes tracing."""

    firsts: float = 0.0
    tasks: int = 0
    others: float = 0.0
    epochs: int = 0  # without the firsts

    def add(self, seconds: float, *, first: bool) -> None:
        if first:
            self.firsts, self.tasks = self.firsts + seconds, self.tasks + 1
        else:
            self.others, self.epochs = self.others + seconds, self.epochs + 1

    @property
    def mean(self) -> float | None:
        if self.epochs:
            return self.others / self.epochs
        return self.firsts / self.tasks if self.tasks else None


@dataclass(slots=True, kw_only=True)
class _Count:
    """What is known of one run; each event costs the same, however many there were."""

    plan: Plan
    running: dict[str, int] = field(default_factory=dict)  # epochs of each task under way
    seen: dict[str, list[float]] = field(default_factory=dict)  # seconds of each epoch of each task under way
    trials: _Seconds = field(default_factory=_Seconds)
    refits: _Seconds = field(default_factory=_Seconds)
    beside: list[float] = field(default_factory=list)  # of each trial, seconds for building, tracing, coming and going
    task_seconds: float | None = None  # median of these
    best: tuple[float, float] | None = None  # score and seconds of an epoch of the best trial


class ProgressTracker:
    """Counts for each run; asks nothing of the machine but what workers report."""

    def __init__(self, workers: int) -> None:
        """Estimate for `workers` processes."""
        self._workers = workers
        self._counts: dict[str, _Count] = {}

    def add(self, run: ActiveRun, plan: Plan | None) -> None:
        """Count `run`, whose search will train what `plan` says; None where nothing is searched."""
        self._counts[run.folder.path.name] = _Count(plan=plan or Plan(candidates=0, tasks=0, epochs=0))

    def introduction(self, run: ActiveRun) -> str:
        """What the run will do, in one line."""
        plan, spec = self._count(run).plan, run.spec
        if spec.fixed:
            return f"{spec.family}: trained under {spec.refit_seeds} seed(s) as it was published, and judged"
        return (
            f"{spec.family}: {spec.tuner} trains {plan.candidates} candidates in {plan.tasks} trials, "
            f"{plan.epochs} epochs in {spec.precision}; the winner is refitted under {spec.refit_seeds} seeds, "
            f"{spec.budget.epochs} epochs each in float32"
        )

    def take_epoch(self, run: ActiveRun, task: Task, epoch: Epoch) -> None:
        """A task has finished an epoch."""
        count = self._count(run)
        count.running[task.name] = max(0, epoch.epochs - task.arguments[0].initial_epoch)
        seen = count.seen.setdefault(task.name, [])
        seen.append(epoch.seconds)
        kind = count.refits if task.name.startswith("refit") else count.trials
        kind.add(epoch.seconds, first=len(seen) == 1)

    def take_end(self, run: ActiveRun, task: Task) -> None:
        """A task has ended; from now on its record counts."""
        count = self._count(run)
        count.running.pop(task.name, None)
        seen = count.seen.pop(task.name, [])
        trial = run.search.result(task.name) if isinstance(run, FamilyRun) else None
        if trial is None or trial.status != "ok" or not seen:
            return
        epoch = fmean(seen[1:] or seen)
        count.beside.append(max(0.0, trial.task_seconds - _epochs(trial) * epoch))
        count.task_seconds = median(count.beside)
        if count.best is None or trial.score > count.best[0]:
            count.best = trial.score, epoch

    def progress(self, run: ActiveRun) -> Progress:
        """How far `run` is."""
        count, spec = self._count(run), run.spec
        totals = run.search.totals if isinstance(run, FamilyRun) else Totals()
        running = sum(count.running.values())
        epochs, total = totals.epochs + running, count.plan.epochs
        if run.stage.name != "search":
            epochs, total = len(run.refitted) * spec.budget.epochs + running, spec.refit_seeds * spec.budget.epochs
        return Progress(
            run=f"{spec.dataset} {spec.family}" + (f" seed {spec.seed}" if spec.seed else ""),
            stage=STAGES[run.stage.name],
            trials=totals.trials,
            trials_total=count.plan.tasks,
            failed=totals.failed,
            epochs=epochs,
            epochs_total=total,
            best_validation_accuracy=totals.best,
            seconds_left=self._seconds_left(run, count, total - epochs),
        )

    def clock(self, run: FamilyRun, start: float) -> "Clock":
        """What time `run` has, in a session that began at `start` (time.perf_counter)."""
        limit = run.spec.time_limit
        until = None if limit is None else start + limit - run.seconds_before
        return Clock(self, run, until)

    def finish_seconds(self, run: FamilyRun) -> float:
        """What refits and judging will take, as far as is known; 0 before anything is."""
        count = self._count(run)
        refit_epoch = self._refit_epoch_seconds(run, count)
        if refit_epoch is None or count.task_seconds is None:
            return 0.0
        one_refit = count.task_seconds + run.spec.budget.epochs * refit_epoch
        return math.ceil(run.spec.refit_seeds / self._workers) * one_refit + EVALUATION_SECONDS

    def trial_seconds(self, run: FamilyRun) -> tuple[float, float] | None:
        """What a trial takes beside its epochs, and for each of them; None before it is known."""
        count = self._count(run)
        if count.task_seconds is None or count.trials.mean is None:
            return None
        return count.task_seconds, count.trials.mean

    def _seconds_left(self, run: ActiveRun, count: _Count, epochs_left: int) -> float | None:
        if run.stage.name == "judge":
            return EVALUATION_SECONDS
        refit_epoch = self._refit_epoch_seconds(run, count)
        if refit_epoch is None:
            return None
        if run.stage.name == "refit":
            left = run.spec.refit_seeds - len(run.refitted)
            work = epochs_left * refit_epoch + (left - len(count.running)) * (count.task_seconds or 0.0)
            return work / min(left, self._workers) + EVALUATION_SECONDS
        if not isinstance(run, FamilyRun) or (known := self.trial_seconds(run)) is None:
            return None
        beside, epoch = known
        tasks_left = count.plan.tasks - run.search.totals.trials - len(count.running)
        search = (max(0, tasks_left) * beside + max(0, epochs_left) * epoch) / self._workers
        limit = run.clock.seconds_left()
        return (search if limit is None else min(search, max(0.0, limit))) + self.finish_seconds(run)

    def _refit_epoch_seconds(self, run: ActiveRun, count: _Count) -> float | None:
        """Of the refits as far as they are seen; before that, of the trial that would win by now."""
        if count.refits.mean is not None:
            return count.refits.mean
        return None if count.best is None else count.best[1] * REFIT_EPOCH[run.spec.precision]

    def _count(self, run: ActiveRun) -> _Count:
        return self._counts[run.folder.path.name]


class Clock:
    """What time the search of a run has, refits and judging set aside."""

    def __init__(self, tally: ProgressTracker, run: FamilyRun, until: float | None) -> None:
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
        if (known := self._tally.trial_seconds(self._run)) is None:
            return math.inf if left > 0 else 0.0
        beside, epoch = known
        return (left - beside) / epoch


def _epochs(trial: TrialRecord) -> int:
    return trial.epochs - trial.initial_epoch
