"""Specs are validated when they are built, and their digests change with every field."""

import pickle
from typing import Any

import pytest

from bench.errors import SpecError
from bench.records.spec import Budget, ReferenceSpec, SearchSpec, refit_seed, trial_seed
from builders import make_reference_spec, make_spec, make_trial_spec


def test_budget_counts_epochs_of_all_trials_together() -> None:
    assert Budget(trials=20, epochs=6).total_epochs == 120


@pytest.mark.parametrize("field", ["trials", "epochs"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True, "3"])
def test_budget_refuses_values_that_are_not_counts(field: str, value: Any) -> None:
    with pytest.raises(SpecError, match=rf"{field} must be a whole number from 1 to [0-9]+, got {value!r}"):
        Budget(**{"trials": 1, "epochs": 1} | {field: value})


@pytest.mark.parametrize(("field", "value"), [("seed", -1), ("seed", 2**31), ("refit_seeds", 0), ("max_pending", 0)])
def test_search_refuses_a_number_out_of_range_and_names_the_range(field: str, value: int) -> None:
    with pytest.raises(SpecError, match=rf"{field} must be a whole number from \d+ to \d+, got {value}"):
        make_spec(**{field: value})


def test_search_accepts_seed_0() -> None:
    assert make_spec(seed=0).seed == 0


def test_unknown_precision_is_refused_with_the_valid_names() -> None:
    with pytest.raises(SpecError, match="float32, bfloat16, got 'float16'"):
        make_spec(precision="float16")


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("objective", "objective must be one of macro-f1, balanced-accuracy, or None, got 'f1'"),
        ("class_weights", "class_weights must be one of balanced, or None, got 'f1'"),
        ("pixel_range", "pixel_range must be one of 0-1, 0-255, or None, got 'f1'"),
        ("definition", "definition must be a file name or module, and an object, got 'f1'"),
    ],
)
def test_unknown_option_of_a_search_is_refused_with_the_valid_values(field: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        make_spec(**{field: "f1"})


def test_definition_holds_no_folder() -> None:
    assert make_spec(definition="my net.py:build_model").definition == "my net.py:build_model"
    with pytest.raises(SpecError, match="definition must be"):
        make_spec(definition="/home/me/my.py:build_model")


@pytest.mark.parametrize("field", ["dataset", "family"])
@pytest.mark.parametrize("name", ["", "../up", "a b", "a-b", "x\n"])
def test_names_that_cannot_be_folder_names_are_refused(field: str, name: str) -> None:
    with pytest.raises(SpecError, match=f"{field} must consist of ASCII letters, digits and _"):
        make_spec(**{field: name})


CHANGES: dict[str, Any] = {
    "dataset": "other",
    "data": "1" * 32,
    "family": "cnn",
    "source": "1" * 12,
    "tuner": "grid",
    "budget": Budget(trials=4, epochs=4),
    "seed": 2,
    "refit_seeds": 4,
    "precision": "bfloat16",
    "preset": "quick",
    "split": 1,
    "max_pending": 5,
    "protocol": 3,
    "time_limit": 600,
    "definition": "my.py:build_model",
    "objective": "macro-f1",
    "class_weights": "balanced",
    "pixel_range": "0-255",
}
REFERENCE_CHANGES: dict[str, Any] = {
    "dataset": "other",
    "data": "1" * 32,
    "model": "tutorial-cnn",
    "source": "1" * 12,
    "epochs": 4,
    "seed": 2,
    "refit_seeds": 4,
    "protocol": 3,
}


def test_every_field_has_a_change_above() -> None:
    assert set(CHANGES) == set(SearchSpec.__struct_fields__)
    assert set(REFERENCE_CHANGES) == set(ReferenceSpec.__struct_fields__)


@pytest.mark.parametrize("field", CHANGES)
def test_digest_of_a_search_changes_with_every_field(field: str) -> None:
    assert make_spec(**{field: CHANGES[field]}).digest != make_spec().digest


@pytest.mark.parametrize("field", REFERENCE_CHANGES)
def test_digest_of_a_reference_model_changes_with_every_field(field: str) -> None:
    assert make_reference_spec(**{field: REFERENCE_CHANGES[field]}).digest != make_reference_spec().digest


def test_digests_do_not_change_between_versions() -> None:
    # A new value here renames every run that users have: options that are not set must not count.
    assert (make_spec().digest, make_reference_spec().digest) == ("8510e80bc9", "8c19e2175c")


def test_name_of_a_run_is_that_of_its_model_and_tuner_with_the_digest() -> None:
    assert make_spec().name == f"dense-random-{make_spec().digest}"
    assert make_reference_spec().name == f"tutorial-linear-{make_reference_spec().digest}"


def test_differences_name_the_fields_with_both_values() -> None:
    other = make_spec(budget=Budget(trials=9, epochs=3), seed=2, max_pending=5)
    assert make_spec().differences(other) == {
        "trials": (4, 9),
        "seed": (1, 2),
        "max_pending": (None, 5),
    }


def test_equal_specs_have_no_differences() -> None:
    assert make_spec().differences(make_spec()) == {}


@pytest.mark.parametrize("epochs", [(-1, 2, 6), (2, 2, 6), (3, 2, 6), (0, 7, 6)])
def test_trial_epochs_must_be_in_order(epochs: tuple[int, int, int]) -> None:
    initial, last, horizon = epochs
    with pytest.raises(SpecError, match=f"got {initial}, {last}, {horizon}"):
        make_trial_spec(initial_epoch=initial, epochs=last, horizon=horizon)


def test_trial_spec_reaches_a_worker_unchanged() -> None:
    spec = make_trial_spec(values={"units": 32})
    assert pickle.loads(pickle.dumps(spec)) == spec


def test_trial_seed_is_a_function_of_values_and_run_seed() -> None:
    assert trial_seed(1, {"units": 32, "rate": 0.1}) == trial_seed(1, {"rate": 0.1, "units": 32})
    assert trial_seed(1, {"units": 32}) != trial_seed(1, {"units": 64})
    assert trial_seed(1, {"units": 32}) != trial_seed(2, {"units": 32})


def test_each_refit_has_its_own_seed_whatever_their_number() -> None:
    seeds = [refit_seed(make_spec(refit_seeds=3), number) for number in range(3)]
    assert len(set(seeds)) == 3
    assert refit_seed(make_spec(refit_seeds=1), 0) == seeds[0]
