"""The plan of a preset: from the table, or by the cost model for other families and datasets."""

from dataclasses import replace
from statistics import median

from bench.data.catalog import DatasetLocation
from bench.data.development import facts, load_development
from bench.execution.models import family_source, family_space
from bench.records.spec import Budget, Preset, SearchSpec
from bench.tuning.presets import PLANS, REFIT_SEEDS, PresetPlan, cost_model_plan

TYPICAL_CANDIDATES = 9


def choose_plan(
    preset: Preset,
    family: str,
    location: DatasetLocation,
    *,
    trials: int | None = None,
    epochs: int | None = None,
    refit_seeds: int | None = None,
) -> PresetPlan:
    """The plan of `preset` for a family on a dataset, with the numbers that are given instead of its own.

    Raises:
        SpecError: the family is unknown.
        SearchError: its models cannot be built.
        DataError: the data cannot be read.
    """
    plan = PLANS.get((location.name, family, preset))
    if plan is None and trials is not None and epochs is not None:
        return PresetPlan(trials=trials, epochs=epochs, refit_seeds=refit_seeds or REFIT_SEEDS[preset])
    plan = plan or _plan_by_cost(preset, family, location)
    return replace(
        plan,
        trials=trials or plan.trials,
        epochs=epochs or plan.epochs,
        refit_seeds=refit_seeds or plan.refit_seeds,
    )


def _plan_by_cost(preset: Preset, family: str, location: DatasetLocation) -> PresetPlan:
    """The plan of the cost model, for the median candidate of a few random ones."""
    from bench.workers.tasks import import_libraries

    import_libraries()
    import search_spaces
    from bench.training.size import multiply_adds
    from bench.tuning.tuners import random_candidates

    dataset = facts(location, load_development(location))
    # Only the family and the seed matter for drawing candidates.
    spec = SearchSpec(
        dataset=location.name,
        family=family,
        source=family_source(family),
        tuner="random",
        budget=Budget(trials=TYPICAL_CANDIDATES, epochs=1),
        seed=0,
        refit_seeds=1,
        precision="float32",
    )
    build = search_spaces.load(family)(dataset.image_shape, len(dataset.class_names)).build_from
    candidates = random_candidates(spec, family_space(spec, dataset), TYPICAL_CANDIDATES)
    return cost_model_plan(preset, median(multiply_adds(build(values)) for values in candidates), dataset.n_train)
