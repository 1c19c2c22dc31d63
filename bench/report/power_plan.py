"""`bench plan`: the seeds and minutes needed to detect a difference, from the variance in two finished runs."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from bench.errors import SpecError
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
from bench.report.comparison import comparable_runs
from bench.report.markdown import plain_table
from bench.report.ranking import rank
from bench.report.runs import Loaded, Run, load
from bench.report.text.numbers import counted

SHOWN_SEEDS = (2, 3, 4, 5, 8, 12, 20, 50, 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerPlan:
    """What it takes to detect a difference between two models."""

    a: Run
    b: Run
    detect: float  # the difference of mean test accuracy, as a fraction
    variance: VarianceComponents
    seeds: int | None  # per model; None if MAX_SEEDS are not enough
    minutes: float | None  # to train both with so many seeds; None if they were trained on different machines
    detectable_now: float | None  # difference detected with the present seeds; None if their numbers differ
    detectable_ever: float  # with unlimited seeds on these test images

    @property
    def images_needed(self) -> int:
        """Test images with which unlimited seeds would be enough."""
        return math.ceil(self.a.record.dataset.n_test * (self.detectable_ever / self.detect) ** 2)


def power_plan(results: Path, dataset: str, detect: float, names: Sequence[str] = ()) -> PowerPlan:
    """Plan to detect a difference between two runs: the named ones, or the two best of the first table.

    Args:
        results: the results folder.
        dataset: name of the dataset.
        detect: the difference of mean test accuracy in percentage points.
        names: two row labels or run ids, or none.

    Raises:
        SpecError: the difference is out of range, or there are no two runs with at least two seeds.
    """
    if not 0 < detect < 100:
        raise SpecError(f"--detect is a difference in percentage points between 0 and 100, got {detect:g}")
    a, b = _runs(results, load(results), dataset, names)
    if not (a.correctness.has_variance_estimate and b.correctness.has_variance_estimate):
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


def _runs(results: Path, loaded: Loaded, dataset: str, names: Sequence[str]) -> tuple[Run, Run]:
    if names:
        if len(names) != 2:
            raise SpecError(f"a difference needs two runs, got {len(names)}: {', '.join(names)}")
        return comparable_runs(_of_dataset(loaded, dataset), *names)
    tables = [table for table in rank(results, loaded).tables if table.dataset.name == dataset]
    runs = [row.run for table in tables[:1] for row in table.compared if row.run.correctness.has_variance_estimate]
    if len(runs) < 2:
        raise SpecError(
            f"two runs on {dataset} with at least two seeds are needed to estimate variances, there are {len(runs)}: "
            f"`python -m bench run --family dense --family cnn --dataset {dataset}` trains two"
        )
    return runs[0], runs[1]


def _of_dataset(loaded: Loaded, dataset: str) -> Loaded:
    def kept(runs: Sequence[Run]) -> tuple[Run, ...]:
        return tuple(run for run in runs if run.record.dataset.name == dataset)

    return replace(loaded, runs=kept(loaded.runs), reproductions=kept(loaded.reproductions))


def _seed_std(run: Run) -> float:
    return 0.0 if run.correctness.deterministic else float(run.scores.correct.mean(axis=1).std(ddof=1))


def _minutes(runs: Sequence[Run], seeds: int) -> float | None:
    """Training time; a deterministic model is trained once."""
    if len({run.record.environment.cpu for run in runs}) > 1:
        return None
    total = 0.0
    for run in runs:
        refits = 1 if run.correctness.deterministic else seeds
        fit = statistics.median(refit.fit_seconds for refit in run.record.refits)
        total += fit * math.ceil(refits / run.record.workers)
    return total / 60


def plan_text(plan: PowerPlan) -> str:
    """The plan for the terminal."""
    a, b = plan.a, plan.b
    seeds = " and ".join(f"{counted(len(run.record.refits), 'seed')} of {run.label}" for run in (a, b))
    parts = [
        f"{a.label} and {b.label} on {a.record.dataset.n_test:,} test images; variances from {seeds}.",
        _answer(plan),
    ]
    if plan.detectable_now is not None:
        parts.append(
            f"Minimum detectable difference at {TARGET_POWER:.0%} power: {_points(plan.detectable_now)} points with "
            f"the present seeds, {_points(plan.detectable_ever)} points with unlimited seeds."
        )
    if any(plan.variance.seed_std):
        parts.append(
            plain_table(
                pd.DataFrame(
                    {
                        "seeds per model": str(seeds),
                        "power (%)": f"{100 * power(plan.detect, plan.variance, seeds):.0f}",
                    }
                    for seeds in SHOWN_SEEDS
                )
            )
        )
    return "\n\n".join(parts)


def _answer(plan: PowerPlan) -> str:
    difference = "1 point" if _points(plan.detect) == "1" else f"{_points(plan.detect)} points"
    unlimited = power_with_unlimited_seeds(plan.detect, plan.variance)
    if unlimited < TARGET_POWER:
        return (
            f"A difference of {difference} cannot be detected reliably on {plan.a.record.dataset.n_test:,} test "
            f"images: even unlimited seeds give {unlimited:.0%} power. About {_two_digits(plan.images_needed):,} "
            "test images are needed."
        )
    if plan.seeds is None:
        return f"Detecting a difference of {difference} takes more than {MAX_SEEDS} seeds per model."
    cpu = plan.a.record.environment.cpu
    time = "" if plan.minutes is None else f", about {_minutes_text(plan.minutes)} of training on {cpu}"
    needed = f"takes {plan.seeds} seeds per model{time}"
    return f"Detecting a difference of {difference} with {TARGET_POWER:.0%} power {needed}."


def _two_digits(count: int) -> int:
    return int(float(f"{count:.2g}"))


def _minutes_text(minutes: float) -> str:
    return "a minute" if minutes < 1.5 else f"{minutes:.0f} minutes"


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
