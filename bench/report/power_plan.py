"""`bench plan`: the seeds and minutes needed to detect a difference, from the variance in two finished runs."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from bench.errors import SpecError, check_name
from bench.evaluation.comparison import compare_all
from bench.evaluation.power import (
    MAX_SEEDS,
    TARGET_POWER,
    VarianceComponents,
    minimum_detectable_difference,
    power,
    power_with_unlimited_seeds,
    required_seeds,
)
from bench.evaluation.text import counted
from bench.records.limits import DEFAULT_DATASET
from bench.report.comparison import comparable_runs
from bench.report.narrow_table import narrow_table, wrap
from bench.report.ranking import rank
from bench.report.runs import Loaded, Run, load
from bench.report.text.dataset_command import command_on

SHOWN_SEEDS = (2, 3, 4, 5, 8, 12, 20, 50, 100)
MIN_DETECT = 0.001  # percentage points: one image in 100,000


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerPlan:
    """What it takes to detect a difference between two models."""

    a: Run
    b: Run
    detect: float  # the difference of mean test accuracy, as a fraction
    variance: VarianceComponents
    seeds: int | None  # per model; None if MAX_SEEDS are not enough
    minutes: float | None  # to train both with so many seeds; None if training times are unknown or not comparable
    detectable_now: float | None  # difference detected with the present seeds; None if their numbers differ
    detectable_ever: float  # with unlimited seeds on these test images

    @property
    def images_needed(self) -> int:
        """Test images with which unlimited seeds would be enough."""
        return math.ceil(self.a.record.dataset.n_test * (self.detectable_ever / self.detect) ** 2)


def power_plan(results: Path, dataset: str | None, detect: float, names: Sequence[str] = ()) -> PowerPlan:
    """Plan to detect a difference between two runs: the named ones, or the two best of the first table.

    Args:
        results: the results folder.
        dataset: name of the dataset; None for that of the named runs, else for the only one, else for Fashion-MNIST.
        detect: the difference of mean test accuracy in percentage points.
        names: two model names or run ids, or none.

    Raises:
        SpecError: the difference is out of range, or there are no two runs with at least two seeds.
    """
    if not MIN_DETECT <= detect < 100:
        raise SpecError(f"--detect is a difference in percentage points between {MIN_DETECT} and 100, got {detect:g}")
    a, b = _runs(results, load(results), dataset, names)
    if not (_has_seed_std(a) and _has_seed_std(b)):
        raise SpecError(f"{a.label} and {b.label} need at least two seeds: a single seed gives no variance estimate")
    comparison = compare_all([a.correctness, b.correctness])
    variance = VarianceComponents(
        image_variance=float(comparison.variance.images[0, 1]), seed_std=(_seed_std(a), _seed_std(b))
    )
    seeds = required_seeds(detect / 100, variance)
    present = {len(run.record.refits) for run in (a, b) if not run.correctness.deterministic}
    return PowerPlan(
        a=a,
        b=b,
        detect=detect / 100,
        variance=variance,
        seeds=seeds,
        minutes=None if seeds is None else _minutes((a, b), seeds),
        detectable_now=minimum_detectable_difference(variance, present.pop()) if len(present) == 1 else None,
        detectable_ever=minimum_detectable_difference(variance, None),
    )


def _runs(results: Path, loaded: Loaded, dataset: str | None, names: Sequence[str]) -> tuple[Run, Run]:
    if names:
        if len(names) != 2:
            raise SpecError(f"a difference needs two runs, got {len(names)}: {', '.join(names)}")
        if dataset is not None:
            check_name("dataset", dataset, sorted({run.record.dataset.name for run in loaded.runs}))
            runs, reproductions = (
                tuple(run for run in group if run.record.dataset.name == dataset)
                for group in (loaded.runs, loaded.reproductions)
            )
            loaded = replace(loaded, runs=runs, reproductions=reproductions)
        return comparable_runs(loaded, *names)
    present = {run.record.dataset.name for run in loaded.runs}
    if dataset is None:
        dataset = present.pop() if len(present) == 1 else DEFAULT_DATASET
    tables = [table for table in rank(results, loaded).tables if table.dataset.name == dataset]
    candidates = [row.run for table in tables[:1] for row in table.compared]
    estimated = [run for run in candidates if _has_seed_std(run)]
    if len(estimated) < 2:
        advice = command_on(dataset, "run --family dense --family cnn") or "bench.run"
        raise SpecError(
            f"two runs on {dataset} with at least two seeds are needed to estimate variances, there are "
            f"{len(estimated)}: train two with {advice}"
        )
    return estimated[0], estimated[1]


def _has_seed_std(run: Run) -> bool:
    """Whether the variance across seeds is known; not if a model trained elsewhere has one file."""
    return run.record.deterministic or len(run.record.refits) > 1


def _seed_std(run: Run) -> float:
    return 0.0 if run.correctness.deterministic else float(run.scores.accuracy_by_seed.std(ddof=1))


def _minutes(runs: Sequence[Run], seeds: int) -> float | None:
    """Training time; a deterministic model is trained once. None if it is unknown or not comparable."""
    if len({run.record.environment.machine for run in runs}) > 1 or any(run.record.trained_elsewhere for run in runs):
        return None
    refits = [1 if run.correctness.deterministic else seeds for run in runs]
    return sum(
        run.training_seconds * math.ceil(count / run.record.workers) / 60
        for run, count in zip(runs, refits, strict=True)
    )


def plan_text(plan: PowerPlan) -> str:
    """The plan for the terminal."""
    a, b = plan.a, plan.b
    seeds = " and ".join(f"{counted(len(run.record.refits), 'seed')} of {run.label}" for run in (a, b))
    parts = [
        f"{a.label} and {b.label} on {a.record.dataset.n_test:,} test images; variances estimated from {seeds}.",
        _answer(plan),
    ]
    if plan.detectable_now is not None:
        parts.append(
            f"Minimum detectable difference at {TARGET_POWER:.0%} power: {_points(plan.detectable_now)} points with "
            f"the current number of seeds, {_points(plan.detectable_ever)} points with unlimited seeds."
        )
    parts = [*map(wrap, parts)]
    if any(plan.variance.seed_std):
        by_seeds = {str(seeds): f"{100 * power(plan.detect, plan.variance, seeds):.0f}" for seeds in SHOWN_SEEDS}
        parts.append(narrow_table(pd.DataFrame({"seeds per model": by_seeds.keys(), "power (%)": by_seeds.values()})))
    return "\n\n".join(parts)


def _answer(plan: PowerPlan) -> str:
    difference = "1 point" if _points(plan.detect) == "1" else f"{_points(plan.detect)} points"
    unlimited = power_with_unlimited_seeds(plan.detect, plan.variance)
    if unlimited < TARGET_POWER:
        # Two digits, rounded up: the present number would otherwise be named where it is just too small.
        size = 10 ** max(len(str(plan.images_needed)) - 2, 0)
        images = math.ceil(plan.images_needed / size) * size
        return (
            f"A difference of {difference} cannot be detected with {TARGET_POWER:.0%} power on "
            f"{plan.a.record.dataset.n_test:,} test images: even unlimited seeds give {unlimited:.0%}. At least about "
            f"{images:,} test images are needed."
        )
    detecting = f"Detecting a difference of {difference} with {TARGET_POWER:.0%} power"
    if plan.seeds is None:
        return f"{detecting} takes more than {MAX_SEEDS} seeds per model."
    time = ""
    if plan.minutes is not None:
        minutes = "a minute" if plan.minutes < 1.5 else f"{plan.minutes:.0f} minutes"
        time = f", about {minutes} of training on {plan.a.record.environment.cpu}"
    return f"{detecting} takes {plan.seeds} seeds per model{time}."


def _points(difference: float) -> str:
    return f"{100 * difference:.2g}"


def plan_json(plan: PowerPlan) -> dict[str, Any]:
    """The plan as plain values at full precision."""
    return {
        "a": plan.a.record.run_id,
        "b": plan.b.record.run_id,
        "n_test": plan.a.record.dataset.n_test,
        "detect": plan.detect,
        "variance": asdict(plan.variance),
        "target_power": TARGET_POWER,
        "seeds": plan.seeds,
        "minutes": plan.minutes,
        "detectable_now": plan.detectable_now,
        "detectable_ever": plan.detectable_ever,
        "power_with_unlimited_seeds": power_with_unlimited_seeds(plan.detect, plan.variance),
        "power_by_seeds": {str(seeds): power(plan.detect, plan.variance, seeds) for seeds in SHOWN_SEEDS},
    }
