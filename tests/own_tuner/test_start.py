"""What an earlier call has left decides whether a search is resumed, refused, or started from the beginning."""

from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest
from sklearn.model_selection import KFold

from bench.compat import own_tuner as compat
from bench.errors import SearchError
from bench.own_tuner.identity import labeled, settings
from bench.own_tuner.ledger import TrialEnded, TrialProposed
from bench.own_tuner.options import Options
from bench.own_tuner.project import Project
from bench.own_tuner.start import Resumed, start_or_resume
from bench.own_tuner.trials import may_extend_space
from bench.records.store import now
from bench.training.own_tuner.exchange import TrialRun, Update

pytestmark = pytest.mark.slow

FAILED = TrialRun(status="INVALID", message="ValueError: a mistake")
SUCCESSFUL = TrialRun(status="COMPLETED", updates=(Update(metrics={"value": 0.5}, step=0),))


class Parabola(keras_tuner.RandomSearch):  # type: ignore[misc]
    def run_trial(self, trial: Any, **_named: Any) -> float:
        return float(trial.hyperparameters.get("x") ** 2)


def make(folder: Path, **options: Any) -> Any:
    space = keras_tuner.HyperParameters()
    space.Float("x", -1.0, 1.0)
    objective = keras_tuner.Objective("value", "min")
    options = {"max_trials": 2, "seed": 1, "directory": str(folder), "project_name": "mine"} | options
    return Parabola(objective=objective, hyperparameters=space, **options)


def start(tuner: Any, messages: list[Any], epochs: int, *results: TrialRun) -> Resumed:
    """Start or resume a search, and end trials with `results`, as far as the files are concerned."""
    project = Project(tuner)
    resumed = start_or_resume(project, tuner, {"epochs": epochs}, Options(), report=messages.append)
    for result in results:
        trial_id = end_trial(tuner, "COMPLETED" if result is SUCCESSFUL else "FAILED")
        project.ledger.append(TrialEnded(time=now(), trial_id=trial_id, run=1, result=result))
    project.write_state()
    return resumed


def end_trial(tuner: Any, status: str) -> str:
    """Let the oracle of a tuner propose a trial, and end it."""
    trial_id = str(tuner.oracle.create_trial(f"slot{len(tuner.oracle.trials)}").trial_id)
    tuner.oracle.trials[trial_id].status = status
    return trial_id


@pytest.mark.parametrize("same_tuner", [True, False])
def test_search_without_a_successful_trial_starts_again_whatever_has_changed(same_tuner: bool, tmp_path: Path) -> None:
    messages: list[Any] = []
    tuner = make(tmp_path)
    start(tuner, messages, 1, FAILED, FAILED)
    assert not messages
    tuner = tuner if same_tuner else make(tmp_path)
    again = start(tuner, messages, 2)
    assert not again.results
    assert not tuner.oracle.trials
    assert [each.text for each in messages] == ["No earlier trial succeeded (2 failed): starting from the beginning"]
    assert not list(tmp_path.glob("mine/trial_*"))


def test_trials_of_a_later_search_by_keras_tuner_are_kept(tmp_path: Path) -> None:
    tuner = make(tmp_path)
    start(tuner, [], 1, SUCCESSFUL)
    end_trial(tuner, "COMPLETED")
    assert start(tuner, [], 1).search.base == ("0", "1")
    assert sorted(tuner.oracle.trials) == ["0", "1"]


@pytest.mark.parametrize(("length", "expected"), [(1, "9 10 11"), (2, "09 10 11"), (4, "0009 0010 0011")])
@pytest.mark.parametrize(("max_trials", "number"), [(12, 3), (3, 12)])
def test_trials_of_an_earlier_call_are_proposed_with_their_ids_whatever_max_trials_is(
    length: int, expected: str, max_trials: int, number: int, tmp_path: Path
) -> None:
    oracle = make(tmp_path, max_trials=max_trials).oracle
    with compat.earlier_trials(oracle, length, number):
        ids = [oracle.create_trial(f"slot{number}").trial_id for number in range(12)]
        assert oracle.create_trial("more").status == "STOPPED"
    assert ids[9:] == expected.split()
    assert type(oracle.max_trials) is int
    assert oracle.max_trials == max_trials


def test_trials_up_to_the_last_that_has_ended_are_kept_if_max_trials_becomes_smaller(tmp_path: Path) -> None:
    project = Project(tuner := make(tmp_path, max_trials=5))
    start(tuner, [], 1)
    for trial_id in "0123":
        project.ledger.append(TrialProposed(time=now(), trial_id=trial_id, run=1, values={}))
    for trial_id in "20":
        project.ledger.append(TrialEnded(time=now(), trial_id=trial_id, run=1, result=SUCCESSFUL))
    assert start(make(tmp_path, max_trials=1), [], 1).ids == ["0", "1", "2"]


def test_options_that_keras_tuner_restores_are_known() -> None:
    oracles = keras_tuner.oracles
    hyperband = oracles.HyperbandOracle(objective="val_loss", max_epochs=5)
    assert compat.restored_options(hyperband) == {"max_epochs": 5, "factor": 3, "hyperband_iterations": 1}
    assert compat.restored_options(oracles.RandomSearchOracle(objective="val_loss")) == {}


def test_what_scores_depend_on_is_a_setting_of_the_search(tmp_path: Path) -> None:
    tuner = make(tmp_path, loss="mse")
    named = {"class_weight": {0: 0.5}, "x": [1.0], "callbacks": [], "sizes": [1] * 1000, "units": [8, 4]}
    found = settings(tuner, labeled((np.zeros(3), [1], 32), named), Options(), {"space": []})
    assert found.arguments == {"argument 3": "32", "class_weight": "{0: 0.5}", "units": "[8, 4]"}
    assert (found.options["loss"], found.options.keys() & {"optimizer", "metrics"}) == ("'mse'", set())


def test_numbers_of_numpy_and_objects_of_libraries_are_compared_by_value(tmp_path: Path) -> None:
    def found(rate: float, folds: int, weight: float) -> tuple[Any, Any, Any]:
        tuner = make(tmp_path, optimizer=keras.optimizers.Adam(rate))
        tuner.cv = KFold(folds)
        named = {"class_weight": dict(zip(np.unique([0, 1]), np.array([weight, 1], np.float32), strict=True))}
        new = settings(tuner, labeled((np.zeros(3), np.int64(32)), named), Options(), {"space": []})
        return new.options["optimizer"], new.options["cv"], new.arguments

    first = found(0.5, 3, 0.25)
    assert found(0.5, 3, 0.25) == first
    assert first[2] == {"argument 2": "32", "class_weight": "{0: 0.25, 1: 1.0}"}
    assert all(before != after for before, after in zip(first, found(0.25, 5, 0.5), strict=True))


@pytest.mark.parametrize("method", ["run_trial", "_build_and_fit_model", "_try_build", "_build_hypermodel", None])
def test_override_may_add_hyperparameters(method: str | None, tmp_path: Path) -> None:
    overrides = {} if method is None else {method: lambda *_: None}
    kind = type("Own", (keras_tuner.RandomSearch,), {**overrides, "__module__": __name__})
    tuner = kind(lambda hp: keras.Sequential(), "val_loss", max_trials=1, directory=tmp_path)
    assert may_extend_space(tuner) == (method is not None)


def test_search_with_a_successful_trial_is_resumed_and_protected_against_changes(tmp_path: Path) -> None:
    messages: list[Any] = []
    start(make(tmp_path), messages, 1, FAILED, SUCCESSFUL)
    assert list(start(make(tmp_path), messages, 1).results) == [("0", 1), ("1", 1)]
    with pytest.raises(SearchError, match="epochs from 1 to 2"):
        start(make(tmp_path), messages, 2)
    assert not messages
