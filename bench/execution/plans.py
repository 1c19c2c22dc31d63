"""The plan of a preset: from the table, or by the cost model for other families and datasets."""

from dataclasses import replace
from statistics import median

from bench.data.catalog import DatasetLocation
from bench.data.dataset import Notify, quiet
from bench.data.development import facts, load_development
from bench.errors import SearchError
from bench.execution.models import family_source, family_space
from bench.records.choices import PixelRange, Preset
from bench.records.record import OwnRecipe
from bench.records.spec import Budget, SearchSpec
from bench.tuning import tuners
from bench.tuning.presets import BATCH_SIZE, OWN_BATCH_SIZE, PLANS, REFIT_SEEDS, PresetPlan, cost_model_plan
from bench.workers.tasks import import_libraries
from search_spaces import FamilyLocation

TYPICAL_CANDIDATES = 9


def choose_plan(
    preset: Preset,
    family: FamilyLocation,
    location: DatasetLocation,
    *,
    pixel_range: PixelRange | None = None,
    trials: int | None = None,
    epochs: int | None = None,
    refit_seeds: int | None = None,
    notify: Notify = quiet,
) -> PresetPlan:
    """The plan of `preset` for a family on a dataset, with the numbers that are given instead of its own.

    Calls `notify` with a one-line message before steps longer than a second.

    Raises:
        SpecError: the family is unknown.
        SearchError: its models cannot be built.
        DataError: the data cannot be read.
    """
    plan = fixed_plan(preset, family, location.name, trials, epochs)
    plan = plan or _plan_by_cost(preset, family, location, pixel_range, notify)
    given = {"trials": trials, "epochs": epochs, "refit_seeds": refit_seeds}
    return replace(plan, **{name: number for name, number in given.items() if number is not None})


def fixed_plan(
    preset: Preset, family: FamilyLocation, dataset: str, trials: int | None = None, epochs: int | None = None
) -> PresetPlan | None:
    """The plan of `preset`, or of the given trials and epochs; None if it needs the cost model."""
    if family.definition is None and (plan := PLANS.get((dataset, family.name, preset))) is not None:
        return plan
    if trials is None or epochs is None:
        return None
    return PresetPlan(trials=trials, epochs=epochs, refit_seeds=REFIT_SEEDS[preset])


def sampling_spec(
    family: FamilyLocation,
    dataset: str,
    budget: Budget,
    *,
    tuner: str = "random",
    pixel_range: PixelRange | None = None,
) -> SearchSpec:
    """The spec of a search that is not executed: only what decides its space and its candidates matters.

    Raises:
        SpecError: the family is unknown.
    """
    return SearchSpec(
        dataset=dataset,
        family=family.name,
        definition=family.definition,
        source=family_source(family),
        tuner=tuner,
        budget=budget,
        seed=0,
        refit_seeds=1,
        precision="float32",
        pixel_range=pixel_range,
    )


def batch_size(own_recipe: OwnRecipe | None) -> int:
    """The batch size of a family, typically."""
    return BATCH_SIZE if own_recipe is None else OWN_BATCH_SIZE


def _plan_by_cost(
    preset: Preset, family: FamilyLocation, location: DatasetLocation, pixel_range: PixelRange | None, notify: Notify
) -> PresetPlan:
    """The plan of the cost model, for the median candidate of a few random ones."""
    notify(f"Choosing trials and epochs for {family.name}, from the cost of its models")
    import_libraries()
    from bench.training.family import candidate_costs, load_family

    dataset = facts(location, load_development(location, notify))
    budget = Budget(trials=TYPICAL_CANDIDATES, epochs=1)
    spec = sampling_spec(family, dataset.name, budget, pixel_range=pixel_range)
    space = family_space(spec, dataset, family)
    candidates = tuners.random_candidates(spec, space.hyperparameters, TYPICAL_CANDIDATES)
    loaded = load_family(family, dataset.image_shape, len(dataset.class_names), pixel_range=pixel_range)
    costs = candidate_costs(loaded, candidates)
    if not costs:
        raise SearchError(f"none of {len(candidates)} random candidates of {family.name!r} can be built")
    return cost_model_plan(preset, median(costs), dataset.n_train, batch_size(space.own_recipe))
