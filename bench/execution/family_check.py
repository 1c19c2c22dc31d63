"""Check a family: build random candidates, train a step of each, and describe the space."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING

from bench.data.development import facts, load_development
from bench.evaluation.cost_regions import Region, expensive_regions
from bench.execution.candidate_job import CandidateJob
from bench.execution.events import Message, Report
from bench.execution.models import family_space
from bench.execution.options import Options
from bench.execution.plans import batch_size, fixed_plan, sampling_spec
from bench.execution.workers import run_locally
from bench.records.choices import PRESETS, PixelRange
from bench.records.dataset import DatasetFacts
from bench.records.limits import DEFAULT_TUNER
from bench.records.record import OwnRecipe
from bench.records.spec import Budget, Value
from bench.tuning import tuners
from bench.tuning.presets import cost_model_plan
from bench.tuning.space import count_candidates, parameters
from bench.tuning.trials import trial_spec
from bench.workers import tasks as worker
from search_spaces import FamilyLocation

if TYPE_CHECKING:
    from bench.training.check import CandidateCost
    from bench.training.family import Space


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Candidates that failed for the same reason."""

    reason: str
    candidates: int
    example: Mapping[str, Value]  # the first of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The smallest, median and largest value over the candidates."""

    low: float
    median: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PresetCoverage:
    """What a preset tries of the space."""

    preset: str
    candidates: int
    epochs: int  # of a full-length trial
    share: float | None  # of the space, in [0, 1]; None if it is infinite


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyCheck:
    """The result of a check."""

    family: str
    dataset: str
    own_recipe: OwnRecipe | None  # None for a Family
    size: int | None  # number of candidates in the space; None if it is infinite
    checked: int
    failures: tuple[Failure, ...]
    costs: Mapping[str, Spread]  # by name; empty if all candidates failed
    regions: tuple[Region, ...]  # whose candidates take longest
    coverage: tuple[PresetCoverage, ...]


def check_family(
    family: FamilyLocation, options: Options, report: Report, *, candidates: int, pixel_range: PixelRange | None
) -> FamilyCheck:
    """Check `candidates` random candidates of a family on a dataset.

    Raises:
        SpecError: the family is unknown.
        SearchError: its default candidate cannot be built.
        DataError: the data cannot be read.
    """
    worker.import_libraries()
    dataset = facts(options.dataset, load_development(options.dataset, lambda line: report(Message(text=line))))
    budget = Budget(trials=candidates, epochs=1)
    spec = sampling_spec(family, dataset.name, budget, pixel_range=pixel_range)
    space = family_space(spec, dataset, family)
    drawn = tuners.random_candidates(spec, space.hyperparameters, candidates)
    trials = [replace(trial_spec(spec, values), file=family.file) for values in drawn]
    checking = CandidateJob("check", worker.check_candidate, trials, options)
    run_locally(checking, options.workers, report)
    costs = [checking.results[number] for number in sorted(checking.results)]
    trained = [drawn[number] for number in sorted(checking.results)]
    return FamilyCheck(
        family=family.name,
        dataset=dataset.name,
        own_recipe=space.own_recipe,
        size=count_candidates(parameters(space.hyperparameters)),
        checked=len(drawn),
        failures=_failures(checking.errors, drawn),
        costs=_spreads(costs) if costs else {},
        regions=expensive_regions(trained, [cost.step_seconds for cost in costs]),
        coverage=_coverage(family, dataset, space, costs) if costs else (),
    )


def _failures(errors: Mapping[int, str], drawn: Sequence[Mapping[str, Value]]) -> tuple[Failure, ...]:
    counts = Counter(errors[number] for number in sorted(errors))
    first = {reason: number for number, reason in sorted(errors.items(), reverse=True)}
    return tuple(
        Failure(reason=reason, candidates=count, example=drawn[first[reason]]) for reason, count in counts.most_common()
    )


def _spreads(costs: "Sequence[CandidateCost]") -> dict[str, Spread]:
    values = {
        "parameters": [float(cost.parameters) for cost in costs],
        "multiply-adds per image": [float(cost.multiply_adds) for cost in costs],
        "milliseconds per step": [1000 * cost.step_seconds for cost in costs],
    }
    return {name: Spread(low=min(each), median=median(each), high=max(each)) for name, each in values.items()}


def _coverage(
    family: FamilyLocation, dataset: DatasetFacts, space: "Space", costs: "Sequence[CandidateCost]"
) -> tuple[PresetCoverage, ...]:
    """What each preset tries with the default tuner."""
    typical = median(cost.multiply_adds for cost in costs)
    coverage = []
    for preset in PRESETS:
        plan = fixed_plan(preset, family, dataset.name)
        plan = plan or cost_model_plan(preset, typical, dataset.n_train, batch_size(space.own_recipe))
        spec = sampling_spec(family, dataset.name, plan.budget, tuner=DEFAULT_TUNER)
        limited = plan.multiply_adds is not None  # which may change the space
        hyperparameters = (family_space(spec, dataset, family) if limited else space).hyperparameters
        size = count_candidates(parameters(hyperparameters))
        candidates = tuners.choose(spec, hyperparameters).plan(spec, hyperparameters).candidates
        share = None if size is None else min(1.0, candidates / size)
        coverage.append(PresetCoverage(preset=preset, candidates=candidates, epochs=plan.epochs, share=share))
    return tuple(coverage)
