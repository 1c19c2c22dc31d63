"""What is asked is validated when it is built, and its digest changes with every field."""

import pickle
from dataclasses import replace
from typing import Any

import pytest

from bench.errors import SpecError
from bench.records.spec import Budget, RunSpec, TrialSpec, Value, candidate_values, trial_seed
from builders import make_spec


def make_trial_spec(**changes: Any) -> TrialSpec:
    fields: dict[str, Any] = {
        "dataset": "digits",
        "family": "dense",
        "values": {"units": 32},
        "part": "train",
        "seed": 5,
        "initial_epoch": 0,
        "epochs": 2,
        "horizon": 6,
        "precision": "float32",
        "keep_state": False,
    }
    return TrialSpec(**fields | changes)


def test_budget_counts_epochs_of_all_trials_together() -> None:
    assert Budget(trials=20, epochs=6).total_epochs == 120


@pytest.mark.parametrize("field", ["trials", "epochs"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True, "3"])
def test_budget_refuses_what_is_no_count(field: str, value: Any) -> None:
    with pytest.raises(SpecError, match=rf"{field} must be a whole number from 1 to [0-9]+, got {value!r}"):
        Budget(**{"trials": 1, "epochs": 1} | {field: value})


@pytest.mark.parametrize(("field", "value"), [("seed", -1), ("seed", 2**31), ("seeds", 0), ("lookahead", 0)])
def test_run_refuses_a_number_out_of_range_and_says_the_range(field: str, value: int) -> None:
    with pytest.raises(SpecError, match=rf"{field} must be a whole number from \d+ to \d+, got {value}"):
        make_spec(**{field: value})


def test_run_accepts_the_smallest_seed() -> None:
    assert make_spec(seed=0).seed == 0


def test_unknown_tuner_is_refused_with_the_valid_names() -> None:
    with pytest.raises(SpecError, match="hyperband, random, bayesian, grid, got 'evolution'"):
        make_spec(tuner="evolution")


def test_unknown_precision_is_refused_with_the_valid_names() -> None:
    with pytest.raises(SpecError, match="float32, bfloat16, got 'float16'"):
        make_spec(precision="float16")


@pytest.mark.parametrize("field", ["dataset", "family"])
@pytest.mark.parametrize("name", ["", "../up", "a b", "a-b", "x\n"])
def test_names_that_are_no_folder_names_are_refused(field: str, name: str) -> None:
    with pytest.raises(SpecError, match=f"{field} must be letters, digits and _"):
        make_spec(**{field: name})


CHANGES: dict[str, Any] = {
    "dataset": "other",
    "family": "cnn",
    "family_source": "1" * 12,
    "tuner": "grid",
    "budget": Budget(trials=4, epochs=4),
    "seed": 2,
    "seeds": 4,
    "precision": "bfloat16",
    "lookahead": 5,
    "protocol": 2,
    "seconds": 600,
}


def test_every_field_of_a_run_has_a_change_below() -> None:
    assert set(CHANGES) == set(RunSpec.__slots__)


@pytest.mark.parametrize("field", CHANGES)
def test_digest_changes_with_every_field(field: str) -> None:
    spec = make_spec()
    assert replace(spec, **{field: CHANGES[field]}).digest != spec.digest


def test_name_of_a_run_without_a_time_limit_is_what_it_was_before_there_were_limits() -> None:
    assert make_spec().digest == "1da8017f0e"


def test_equal_specs_have_equal_names() -> None:
    assert make_spec().name == make_spec().name
    assert make_spec().name == f"dense-random-{make_spec().digest}"


def test_differences_name_the_fields_with_both_values() -> None:
    assert make_spec().differences(make_spec(seed=2, lookahead=5)) == {"seed": (1, 2), "lookahead": (4, 5)}


def test_equal_specs_have_no_differences() -> None:
    assert make_spec().differences(make_spec()) == {}


@pytest.mark.parametrize("epochs", [(-1, 2, 6), (2, 2, 6), (3, 2, 6), (0, 7, 6)])
def test_trial_epochs_must_be_in_order(epochs: tuple[int, int, int]) -> None:
    initial, last, horizon = epochs
    with pytest.raises(SpecError, match=f"got {initial}, {last}, {horizon}"):
        make_trial_spec(initial_epoch=initial, epochs=last, horizon=horizon)


def test_trial_spec_reaches_a_worker_unchanged() -> None:
    spec = make_trial_spec()
    assert pickle.loads(pickle.dumps(spec)) == spec


def test_candidate_values_leave_out_what_hyperband_keeps_there() -> None:
    values: dict[str, Value] = {"units": 32, "tuner/epochs": 2, "tuner/bracket": 1, "tuner_like": 3}
    assert candidate_values(values) == {"units": 32, "tuner_like": 3}


def test_promoted_trial_keeps_its_seed() -> None:
    first: dict[str, Value] = {"units": 32, "rate": 0.1, "tuner/epochs": 2}
    promoted: dict[str, Value] = {"rate": 0.1, "units": 32, "tuner/epochs": 6, "tuner/trial_id": "0001"}
    assert trial_seed(1, first) == trial_seed(1, promoted)


def test_other_values_or_another_run_give_another_trial_seed() -> None:
    assert trial_seed(1, {"units": 32}) != trial_seed(1, {"units": 64})
    assert trial_seed(1, {"units": 32}) != trial_seed(2, {"units": 32})
