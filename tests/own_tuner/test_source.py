"""What Keras Tuner has after a search was stopped: all trials that ended, and those to be trained by a later search."""

from pathlib import Path
from typing import Any

import keras
import keras_tuner
import pytest

from bench.compat import own_tuner as compat
from bench.own_tuner.project import Project
from bench.own_tuner.sequence import TrialSequence
from bench.own_tuner.source import TunerSource
from bench.training.own_tuner.exchange import TrialRun, Update
from bench.tuning.trials import NoProposal

pytestmark = pytest.mark.slow

SUCCESSFUL = TrialRun(status="COMPLETED", updates=(Update(metrics={"value": 0.5}, step=0),))
FAILED = TrialRun(status="INVALID", message="ValueError: a mistake")


def make(folder: Path) -> Any:
    space = keras_tuner.HyperParameters()
    space.Float("x", -1.0, 1.0)
    objective = keras_tuner.Objective("value", "min")
    options = {"hyperparameters": space, "max_trials": 5, "seed": 1, "directory": str(folder)}
    return keras_tuner.RandomSearch(lambda _hp: keras.Sequential(), objective, **options)


def test_trials_that_ended_after_one_that_is_running_at_the_end_are_kept(tmp_path: Path) -> None:
    tuner = make(tmp_path)
    project = Project(tuner)
    source = TunerSource(tuner, project, {}, lambda hyperparameters: hyperparameters)
    sequence = TrialSequence(source, 32, {}, first_alone=False)
    with compat.held_files(tuner):
        sequence.refill((), 5)
        for proposal in sequence.waiting(())[1:]:
            sequence.finish(proposal, SUCCESSFUL if proposal.number == 4 else FAILED)
        sequence.flush()
        compat.retry_ongoing(tuner.oracle, tuner.tuner_id)
    project.write_state()
    for each in (tuner, make(tmp_path)):
        statuses = [each.oracle.trials[str(number)].status for number in range(5)]
        assert statuses == ["RUNNING", *["FAILED"] * 3, "COMPLETED"]
        assert each.oracle.get_best_trials(1)[0].score == 0.5
        assert each.oracle.get_state()["retry_queue"] == ["0"]


def test_stored_conditions_are_left_as_they_are() -> None:
    space = keras_tuner.HyperParameters()
    space.Choice("kind", ["a", "b"])
    with space.conditional_scope("kind", ["b"]):
        space.Int("units", 1, 4)
    config = compat.space_config(space)
    assert compat.space_config(compat.hyperparameters_of(config)) == config
    assert config == compat.space_config(space)


def test_grid_search_covers_hyperparameters_that_depend_on_others(tmp_path: Path) -> None:
    def declare(hp: Any) -> Any:
        for layer in range(hp.Int("layers", 1, 2)):
            hp.Choice(f"units_{layer}", [4, 8])
        hp.Choice("optimizer", ["adam", "sgd"])
        return hp

    def built(config: Any) -> Any:
        return compat.space_config(declare(compat.hyperparameters_of(config)))

    objective = keras_tuner.Objective("value", "min")
    tuner = keras_tuner.GridSearch(lambda hp: declare(hp) and keras.Sequential(), objective, directory=str(tmp_path))
    source = TunerSource(tuner, Project(tuner), {}, built)
    found = []
    while not isinstance(proposal := source.propose(), NoProposal):
        found.append((proposal.values["layers"], *(proposal.values.get(f"units_{layer}") for layer in range(2))))
        source.report(proposal, SUCCESSFUL)
    assert sorted({(layers, *units[:layers]) for layers, *units in found}) == [
        (1, 4), (1, 8), (2, 4, 4), (2, 4, 8), (2, 8, 4), (2, 8, 8),
    ]  # fmt: skip
