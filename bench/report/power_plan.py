"""How many seeds and minutes it takes to see a difference: from two finished runs, and what chance did in them."""

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
from bench.report.leaderboard import rank
from bench.report.markdown import plain_table
from bench.report.pair import comparable
from bench.report.runs import Loaded, Run, load

SHOWN_SEEDS = (2, 3, 4, 5, 8, 12, 20, 50, 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a difference between two models needs."""

    a: Run
    b: Run
    detect: float  # the difference, as a fraction
    chance: VarianceComponents
    seeds: int | None  # of each model; None where no number up to MAX_SEEDS is enough
    minutes: float | None  # to train both under so many seeds; None where they were trained on different machines
    smallest_now: float | None  # difference found with the seeds that there are; None where those differ
    smallest_ever: float  # with endless seeds on these test images

    @property
    def images_needed(self) -> int:
        """Test images on which endless seeds would be enough."""
        return math.ceil(self.a.record.dataset.n_test * (self.smallest_ever / self.detect) ** 2)


def plan(results: Path, dataset: str, detect: float, names: Sequence[str] = ()) -> Plan:
    """Plan to see a difference between two runs: those named, or the two best ones that were searched.

    Args:
        results: the results folder.
        dataset: name of the dataset.
        detect: the difference of mean test accuracy, in points.
        names: of no rows or of two.

    Raises:
        SpecError: the difference makes no sense, or there are no two runs with two seeds or more.
    """
    if not 0 < detect < 100:
        raise SpecError(f"--detect is a difference in points between 0 and 100, got {detect:g}")
    a, b = _runs(load(results), dataset, names)
    if not (a.answers.has_variance_estimate and b.answers.has_variance_estimate):
        raise SpecError(f"{a.label} and {b.label} must have two seeds or more: nobody knows what chance does in one")
    comparison = compare_all([a.answers, b.answers])
    deviations = [0.0 if run.answers.deterministic else _deviation(run) for run in (a, b)]
    chance = VarianceComponents(
        image_variance=float(comparison.variance.images[0, 1]), seed_std=(deviations[0], deviations[1])
    )
    needed = required_seeds(detect / 100, chance)
    now = {len(run.record.refits) for run in (a, b) if not run.answers.deterministic}
    return Plan(
        a=a,
        b=b,
        detect=detect / 100,
        chance=chance,
        seeds=needed,
        minutes=None if needed is None else _minutes((a, b), needed),
        smallest_now=minimum_detectable_difference(chance, now.pop()) if len(now) == 1 else None,
        smallest_ever=minimum_detectable_difference(chance, None),
    )


def _runs(loaded: Loaded, dataset: str, names: Sequence[str]) -> tuple[Run, Run]:
    if names:
        if len(names) != 2:
            raise SpecError(f"a difference is between two runs, got {len(names)}: {', '.join(names)}")
        return comparable(
            replace(loaded, runs=tuple(run for run in loaded.runs if run.record.dataset.name == dataset)), *names
        )
    tables = [table for table in rank(loaded).tables if table.dataset.name == dataset]
    found = [row.run for table in tables[:1] for row in table.everything if row.run.answers.has_variance_estimate]
    if len(found) < 2:
        raise SpecError(
            f"two runs on {dataset} with two seeds or more are needed, to know what chance does in them; "
            f"there are {len(found)}. `python -m bench run --family dense --family cnn --dataset {dataset}` makes two"
        )
    return found[0], found[1]


def _deviation(run: Run) -> float:
    return float(run.scores.correct.mean(axis=1).std(ddof=1))


def _minutes(runs: Sequence[Run], seeds: int) -> float | None:
    """Of training alone; that of a deterministic model is done once."""
    if len({run.record.environment.cpu for run in runs}) > 1:
        return None
    seconds = 0.0
    for run in runs:
        trainings = 1 if run.answers.deterministic else seeds
        fit = statistics.median(refit.fit_seconds for refit in run.record.refits)
        seconds += fit * math.ceil(trainings / run.record.workers)
    return seconds / 60


def plan_text(found: Plan) -> str:
    """What a terminal shows."""
    a, b = found.a, found.b
    images = a.record.dataset.n_test
    title = f"{a.label} and {b.label} on {images:,} test images, by what chance did in {_seeds_text(a, b)}."
    parts = [title, _answer(found)]
    if found.smallest_now is not None:
        parts.append(
            f"The smallest difference that is found in {TARGET_POWER:.0%} of all cases: {_points(found.smallest_now)} points "
            f"with the seeds there are, {_points(found.smallest_ever)} with endless ones."
        )
    if any(found.chance.seed_std):
        parts.append(
            plain_table(
                pd.DataFrame(
                    {"seeds of each": str(seeds), "found, %": f"{100 * power(found.detect, found.chance, seeds):.0f}"}
                    for seeds in SHOWN_SEEDS
                )
            )
        )
    return "\n\n".join(parts)


def _answer(found: Plan) -> str:
    wanted, images = _wanted(found.detect), found.a.record.dataset.n_test
    if power_with_unlimited_seeds(found.detect, found.chance) < TARGET_POWER:
        return (
            f"A difference of {wanted} cannot be shown on these {images:,} test images, however many seeds there are: "
            f"it would be found in {power_with_unlimited_seeds(found.detect, found.chance):.0%} of all cases. About "
            f"{_rounded(found.images_needed):,} images would be needed."
        )
    if found.seeds is None:
        return f"A difference of {wanted} needs more than {MAX_SEEDS} seeds of each model."
    where = found.a.record.environment.cpu
    time = "" if found.minutes is None else f", which is about {_minutes_text(found.minutes)} of training on {where}"
    return f"A difference of {wanted} is found in {TARGET_POWER:.0%} of all cases with {found.seeds} seeds of each model{time}."


def _wanted(detect: float) -> str:
    return "1 point" if _points(detect) == "1" else f"{_points(detect)} points"


def _seeds_text(a: Run, b: Run) -> str:
    counts = [(len(run.record.refits), run.label) for run in (a, b)]
    return " and ".join(f"{count} {'seed' if count == 1 else 'seeds'} of {label}" for count, label in counts)


def _rounded(count: int) -> int:
    """With two digits that count."""
    return int(float(f"{count:.2g}"))


def _minutes_text(minutes: float) -> str:
    return "a minute" if minutes < 1.5 else f"{minutes:.0f} minutes"


def _points(difference: float) -> str:
    return f"{100 * difference:.2g}"


def plan_data(found: Plan) -> dict[str, Any]:
    """The same with plain values at full precision, for JSON."""
    return {
        "a": found.a.record.run_id,
        "b": found.b.record.run_id,
        "n_test": found.a.record.dataset.n_test,
        "detect": found.detect,
        "chance": asdict(found.chance),
        "wanted_power": TARGET_POWER,
        "seeds": found.seeds,
        "minutes": found.minutes,
        "smallest_now": found.smallest_now,
        "smallest_ever": found.smallest_ever,
        "power_with_unlimited_seeds": power_with_unlimited_seeds(found.detect, found.chance),
        "power_by_seeds": {str(seeds): power(found.detect, found.chance, seeds) for seeds in SHOWN_SEEDS},
    }
