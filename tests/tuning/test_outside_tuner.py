"""A tuner from outside the package: one file, found by an entry point, searches like a built-in one."""

import importlib
from pathlib import Path

import pytest

import spaces
from bench.errors import ExtensionError, SpecError
from bench.records.record import Curve
from bench.records.spec import Budget
from bench.records.store import RunFolder
from bench.tuning import tuners
from bench.tuning.search import Search
from bench.tuning.trials import Plan
from builders import make_spec
from packages import install

pytestmark = pytest.mark.slow

# Two rungs: every candidate that the budget covers for one epoch, then the best of them to full length.
HALVING = """
import keras_tuner

from bench.tuning.tuner import Tuner, settings


class Oracle(keras_tuner.oracles.RandomSearchOracle):
    promoted = False

    def populate_space(self, trial_id):
        if len(self.start_order) < self.max_trials - 1:
            proposal = super().populate_space(trial_id)
            proposal["values"] |= {"tuner/initial_epoch": 0, "tuner/epochs": 1}
            return proposal
        if self.ongoing_trials:
            return {"status": "IDLE"}
        if self.promoted:
            return {"status": "STOPPED"}
        self.promoted = True
        best = max(self.trials.values(), key=lambda trial: trial.score)
        promotion = {"tuner/initial_epoch": 1, "tuner/epochs": 3, "tuner/trial_id": best.trial_id}
        return {"status": "RUNNING", "values": best.hyperparameters.values | promotion}


class Halving(Tuner):
    def oracle(self, spec, hyperparameters):
        return Oracle(max_trials=spec.budget.trials, **settings(spec, hyperparameters))

    def promotable(self, oracle):
        return set() if oracle.promoted else set(oracle.trials)


TUNER = Halving()
"""


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the file as a distribution: an entry in its metadata, and the folder on the path."""
    (tmp_path / "outside_halving.py").write_text(HALVING)
    entries = "halving = outside_halving:TUNER\nbroken = outside_halving:Halving\ngrid = outside_halving:TUNER\n"
    install(tmp_path, "outside-halving", f"[{tuners.GROUP}]\n{entries}")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()


@pytest.mark.usefixtures("outside")
def test_tuner_from_outside_searches_like_a_built_in_one(tmp_path: Path) -> None:
    assert {"halving", "random"} <= set(tuners.names())
    spec = make_spec(tuner="halving", budget=Budget(trials=5, epochs=3), max_pending=2)
    tuner = tuners.choose(spec, spaces.layered())
    # Four trials of 1 epoch, of which two are equal, then one of 2 more.
    assert tuner.plan(spec, spaces.layered()) == Plan(candidates=3, trials=5, epochs=6)
    folder = RunFolder(tmp_path / "run")
    states = folder.states_dir
    states.mkdir(parents=True)
    search = Search(spec, tuner.proposer(spec, spaces.layered()), folder, [])
    while (trial := search.next_trial()) is not None:
        if trial.spec.keep_state:
            folder.state_file(str(trial.number)).write_bytes(b"weights")
        accuracies = (0.5 + trial.number % 4 / 10,) * (trial.spec.epochs - trial.spec.initial_epoch)
        curve = Curve(training_loss=accuracies, training_accuracy=accuracies, validation_accuracy=accuracies)
        search.finish(trial.record(curve=curve, parameters=10, fit_seconds=1.0, task_seconds=1.0, ended_seconds=1.0))
    assert search.is_done()
    assert [trial.parent for trial in search.results] == [None] * 4 + ["3"]
    assert search.winner().values == search.results[3].values
    assert list(states.iterdir()) == []
    resumed = Search(spec, tuner.proposer(spec, spaces.layered()), folder, folder.events())
    assert resumed.is_done()
    assert resumed.results == search.results


@pytest.mark.usefixtures("outside")
@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        (
            "broken",
            ExtensionError,
            r"entry point outside_halving:Halving in .*\.tuners must be an instance of a Tuner subclass, got <class",
        ),
        ("grid", SpecError, r"tuner 'grid' is both built in and the entry point outside_halving:TUNER"),
    ],
)
def test_entry_point_that_is_no_tuner_or_has_a_taken_name_is_refused(
    name: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        tuners.load(name)
