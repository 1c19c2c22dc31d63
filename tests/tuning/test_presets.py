"""Plans of presets: the table, and the cost model for other families and datasets."""

from itertools import product

import pytest

import search_spaces
from bench.data import catalog
from bench.execution.plans import choose_plan
from bench.records.choices import PRESETS
from bench.tuning.presets import BATCH_SIZE, CORE_SECONDS, OWN_BATCH_SIZE, PLANS, PresetPlan, cost_model_plan
from builders import make_spec
from search_spaces import FamilyLocation


def test_built_in_families_have_plans_for_fashion_mnist_and_digits() -> None:
    assert set(product(("fashion_mnist", "digits"), search_spaces.names(), PRESETS)) <= set(PLANS)


def test_plans_name_existing_families_and_datasets() -> None:
    datasets, families, _ = map(set, zip(*PLANS, strict=True))
    assert datasets <= set(catalog.names())
    assert families <= set(search_spaces.names())


def test_cost_model_spends_the_time_of_the_preset() -> None:
    # 50,000 images x (0.5 million / 25e9 + 0.001 / 128) = 1.3906 s per epoch; 10 epochs and 5 s: 18.906 s; 720 s allow
    # 38 such trials.
    assert cost_model_plan("default", 5e5, 50_000) == PresetPlan(trials=38, epochs=10, refit_seeds=5)


def test_cost_model_shortens_the_trials_of_large_models() -> None:
    # 5 million: 10.39 s per epoch; 720 s for 12 trials leave 55 s for the epochs of each.
    assert cost_model_plan("default", 5e6, 50_000) == PresetPlan(trials=12, epochs=5, refit_seeds=5)
    assert cost_model_plan("default", 1e9, 50_000) == PresetPlan(trials=12, epochs=1, refit_seeds=5)


def test_cost_model_allows_for_the_smaller_batches_of_an_own_recipe() -> None:
    # 50,000 images x (0.5 million / 25e9 + 0.001 / 32) = 2.5625 s per epoch; 10 epochs and 5 s: 30.625 s; 720 s allow
    # 23 such trials.
    assert cost_model_plan("default", 5e5, 50_000, batch_size=32).trials == 23


@pytest.mark.parametrize("preset", PRESETS)
def test_cost_model_gives_more_trials_to_smaller_models(preset: str) -> None:
    trials = [cost_model_plan(preset, size, 10_000).trials for size in (1e8, 1e7, 1e6, 1e5)]  # type: ignore[arg-type]
    assert trials == sorted(trials)
    assert trials[-1] * 5 <= CORE_SECONDS[preset]  # type: ignore[index]  # 5 s per trial in addition to its epochs


@pytest.mark.slow
def test_every_plan_is_enough_for_hyperband() -> None:
    import keras_tuner

    from bench.tuning import tuners

    infinite = keras_tuner.HyperParameters()
    infinite.Float("any", 0, 1)
    plans = {*PLANS.values()}
    plans |= {cost_model_plan(preset, size, 50_000) for preset in PRESETS for size in (1e4, 1e5, 1e6, 1e7, 1e8, 1e9)}
    for plan in plans:
        spec = make_spec(tuner="hyperband", budget=plan.budget)
        assert tuners.load("hyperband").plan(spec, infinite).epochs <= plan.budget.total_epochs


def test_given_numbers_replace_those_of_the_plan() -> None:
    location = catalog.locate("digits")
    plan = PLANS["digits", "cnn", "quick"]
    assert choose_plan("quick", FamilyLocation(name="cnn"), location) == plan
    assert choose_plan("quick", FamilyLocation(name="cnn"), location, trials=3).trials == 3
    assert choose_plan("quick", FamilyLocation(name="cnn"), location, trials=3).epochs == plan.epochs
    assert choose_plan("quick", FamilyLocation(name="cnn"), location, refit_seeds=9).refit_seeds == 9


def test_unknown_family_with_all_numbers_given_needs_no_cost_model() -> None:
    plan = choose_plan("default", FamilyLocation(name="theirs"), catalog.locate("digits"), trials=2, epochs=3)
    assert plan == PresetPlan(trials=2, epochs=3, refit_seeds=5)


@pytest.mark.slow
def test_cost_model_has_the_batch_sizes_of_the_recipes() -> None:
    from bench.training.custom import family
    from search_spaces import _recipe

    assert (BATCH_SIZE, OWN_BATCH_SIZE) == (_recipe.BATCH_SIZE, family.BATCH_SIZE)
