"""bench.search with real tuners and processes: Keras Tuner's own code can use everything that it leaves."""

import signal
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import pytest

from bench.own_tuner.ledger import TrialEnded
from tuner_scripts import DIGITS, events, kill_script, oracle_file, results, run_script, trial_files

pytestmark = pytest.mark.slow

RANDOM = """
tuner = keras_tuner.RandomSearch(
    build_model, objective="val_accuracy", max_trials=3, executions_per_trial=2, seed=3, directory="work",
    project_name="mine",
)
stop = keras.callbacks.EarlyStopping(patience=1)
result = bench.search(tuner, **data, epochs=3, callbacks=[stop], workers=WORKERS, progress=False)
print(result)
"""

CHECKS = """
tuner.results_summary()
best, second = tuner.get_best_models(2)
trials = tuner.oracle.get_best_trials(3)
assert [trial.status for trial in trials] == ["COMPLETED"] * 3
assert sorted((trial.score for trial in trials), reverse=True) == [trial.score for trial in trials]
hp = tuner.get_best_hyperparameters()[0]
assert hp.values == trials[0].hyperparameters.values and set(hp.values) >= {"units", "dropout", "learning_rate"}

frame = result.executions
assert len(frame) == 6 and set(frame["execution"]) == {0, 1}
means = frame.groupby("trial")["val_accuracy"].mean()
assert all(abs(means[trial.trial_id] - trial.score) < 1e-9 for trial in trials), (means, trials)
# The checkpoint is the best epoch of both executions.
accuracy = best.evaluate(x_val, y_val, verbose=0)[1]
assert abs(accuracy - frame[frame["trial"] == trials[0].trial_id]["val_accuracy"].max()) < 1e-6
curves = result.curves
assert len(curves) == frame["epochs"].sum()
assert frame["val_accuracy"].tolist() == curves.groupby(["trial", "execution"])["val_accuracy"].max().tolist()
assert frame["seconds"].between(0.05, 60).all()

again = bench.search(tuner, **data, epochs=3, callbacks=[stop], progress=False)
assert (again.trained, again.complete) == (0, True) and again.executions.equals(frame), again

# A damaged file of Keras Tuner is restored.
import json, pathlib
project = pathlib.Path("work", "mine")
damaged = next(project.glob("trial_*/trial.json"))
before = damaged.read_bytes()
damaged.write_bytes(before[:50])
options = dict(objective="val_accuracy", executions_per_trial=2, seed=3, directory="work", project_name="mine")
try:
    keras_tuner.RandomSearch(build_model, max_trials=3, **options)
except json.JSONDecodeError:
    (project / "tuner0.json").unlink()
restored = keras_tuner.RandomSearch(build_model, max_trials=3, **options)
again = bench.search(restored, **data, epochs=3, callbacks=[stop], progress=False)
assert again.trained == 0 and damaged.read_bytes() == before

# As a later script would: Keras Tuner reloads the project, and its own search continues.
reloaded = keras_tuner.RandomSearch(build_model, max_trials=4, **options)
assert len(reloaded.oracle.trials) == 3
def state(oracle):
    state = oracle.get_state()
    return state | {"display": 0, "tried_so_far": sorted(state["tried_so_far"])}
assert state(reloaded.oracle) == state(tuner.oracle), (state(reloaded.oracle), state(tuner.oracle))
reloaded.search(**data, epochs=2, verbose=0)
assert len(reloaded.oracle.trials) == 4
assert all(trial.status == "COMPLETED" for trial in reloaded.oracle.trials.values())

# A call that fails before its first trial keeps those of earlier calls.
import bench.workers.cluster
bench.workers.cluster.CONNECT_SECONDS = 1
before = [trial.score for trial in reloaded.oracle.get_best_trials(4)]
more = keras_tuner.RandomSearch(build_model, max_trials=5, **options)
try:
    bench.search(more, **data, epochs=3, callbacks=[stop], scheduler="tcp://127.0.0.1:1", progress=False)
except bench.errors.SearchError:
    for each in (more, keras_tuner.RandomSearch(build_model, max_trials=5, **options)):  # the second is loaded
        completed = [trial.score for trial in each.oracle.get_best_trials(4)]
        assert completed == before, completed
else:
    raise AssertionError("there should be no scheduler")
print("all checks passed")
"""


def test_keras_tuner_can_use_the_results(tmp_path: Path) -> None:
    done = run_script(RANDOM.replace("WORKERS", "2") + CHECKS, tmp_path)
    assert "all checks passed" in done.stdout
    assert f"3 trials in {tmp_path / 'work' / 'mine'}, 3 of them trained in this call" in done.stdout
    assert not (tmp_path / "work" / "mine" / "search_data").exists()


TUNERS = {
    "random": "keras_tuner.RandomSearch(build_model, 'val_accuracy', max_trials=6, seed=3, directory='work')",
    "grid": "keras_tuner.GridSearch(build_model, 'val_accuracy', max_trials=8, seed=3, directory='work')",
    "hyperband": (
        "keras_tuner.Hyperband(build_model, 'val_accuracy', max_epochs=3, factor=3, seed=3, directory='work')"
    ),
    "bayesian": (
        "keras_tuner.BayesianOptimization(build_model, 'val_loss', max_trials=9, num_initial_points=4, seed=3, "
        "directory='work')"
    ),
}
SEARCH = "\nresult = bench.search(TUNER, **data, epochs=2, workers=WORKERS, progress=False)\nprint(result)\n"


def searching(tuner: str, workers: int) -> str:
    return SEARCH.replace("TUNER", TUNERS.get(tuner, tuner)).replace("WORKERS", str(workers))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Returns the project of a tuner after a search in this process with one worker, made at the first call."""

    @cache
    def project(tuner: str) -> Path:
        cwd = tmp_path_factory.mktemp(tuner)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(cwd)
            exec(DIGITS + searching(tuner, 1), {"__name__": "script"})
        return cwd / "work" / "untitled_project"

    return project


@pytest.mark.parametrize(
    ("tuner", "kills"),
    [
        ("hyperband", {2: 3}),
        *(pytest.param(name, {2: 2, 3: 5}, marks=pytest.mark.long) for name in ("random", "grid", "bayesian")),
    ],
)
def test_killed_search_with_other_workers_has_the_same_results(
    tuner: str, kills: Mapping[int, int], uninterrupted: Callable[[str], Path], tmp_path: Path
) -> None:
    project = tmp_path / "work" / "untitled_project"
    for workers, trials in kills.items():
        kept = kill_script(searching(tuner, workers), tmp_path, project / "search.jsonl", trials)
    for path in project.glob("trial_*/trial.json"):
        path.write_text(path.read_text()[:50])
    done = run_script(searching(tuner, 2), tmp_path)
    expected = uninterrupted(tuner)
    assert results(project) == results(expected)
    assert trial_files(project) == trial_files(expected)
    assert oracle_file(project) == oracle_file(expected)
    assert sum(isinstance(event, TrialEnded) for event in events(project)) == len(results(expected))
    assert f"{len(results(expected)) - kept} of them trained in this call" in done.stdout
    assert "the code of the hypermodel" not in done.stderr


@pytest.mark.long
@pytest.mark.parametrize("tuner", ["random", "grid"])
def test_trials_are_those_of_keras_tuner(tuner: str, uninterrupted: Callable[[str], Path], tmp_path: Path) -> None:
    run_script(f"\n{TUNERS[tuner]}.search(**data, epochs=1, verbose=0)\n", tmp_path)
    stock = trial_files(tmp_path / "work" / "untitled_project")
    ours = trial_files(uninterrupted(tuner))
    assert {name: trial["hyperparameters"] for name, trial in ours.items()} == {
        name: trial["hyperparameters"] for name, trial in stock.items()
    }
    assert {frozenset(trial) for trial in ours.values()} == {frozenset(trial) for trial in stock.values()}


@pytest.mark.long
@pytest.mark.parametrize("tuner", ["grid", "bayesian"])
def test_interrupted_search_leaves_files_of_keras_tuner_and_continues(
    tuner: str, uninterrupted: Callable[[str], Path], tmp_path: Path
) -> None:
    project = tmp_path / "work" / "untitled_project"
    kill_script(searching(tuner, 2), tmp_path, project / "search.jsonl", 4, signal.SIGINT)
    last = (tmp_path / "log.txt").read_text().splitlines()[-2:]
    assert last[0].endswith("KeyboardInterrupt")
    assert last[1].endswith("run the same call again to resume.")
    assert not (project / "search_data").exists()
    run_script(f"\ntuner = {TUNERS[tuner]}\nassert len(tuner.oracle.end_order) >= 3\n", tmp_path)
    # Keras Tuner itself restores neither the position of a grid search nor the random state of Bayesian optimization.
    run_script(searching(tuner, 2), tmp_path)
    assert results(project) == results(uninterrupted(tuner))
    assert trial_files(project) == trial_files(uninterrupted(tuner))


MORE = """
tuner = keras_tuner.RandomSearch(build_model, "val_loss", max_trials=7, seed=3, directory="work")
print(bench.search(tuner, **data, epochs=2, workers=2, progress=False))
values = [trial.hyperparameters.values for trial in tuner.oracle.trials.values()]
assert len({str(each) for each in values}) == 7, values
assert sorted(tuner.oracle.end_order) == sorted(tuner.oracle.trials)
"""


@pytest.mark.long
def test_killed_search_after_one_of_keras_tuner_loses_no_trial(tmp_path: Path) -> None:
    project = tmp_path / "work" / "untitled_project"
    run_script(f"\n{TUNERS['random'].replace('=6', '=2')}.search(**data, epochs=1, verbose=0)\n", tmp_path)
    kept = kill_script(MORE, tmp_path, project / "search.jsonl", 3)
    done = run_script(MORE, tmp_path)
    assert f"5 trials in {project}, {5 - kept} of them trained in this call" in done.stdout


OWN_ORACLE = """
class Own(keras_tuner.Oracle):
    def __init__(self, **options):
        super().__init__(**options)

    def populate_space(self, trial_id):
        return {"status": "RUNNING", "values": self._random_values()}

oracle = Own(objective="val_loss", max_trials=8, seed=3)
tuner = keras_tuner.Tuner(oracle, build_model, directory="work")
"""

OWN_CHECKS = """
print(result)
assert {trial.status for trial in tuner.oracle.trials.values()} == {"COMPLETED"} and len(tuner.oracle.trials) == 8
oracle = Own(objective="val_loss", max_trials=8)
try:
    bench.search(keras_tuner.Tuner(oracle, build_model, directory="other"), **data, seed=1, progress=False)
except bench.errors.SearchError as error:
    assert "bench.search cannot set the seed of Own: pass seed to the oracle instead" in str(error)
else:
    raise AssertionError("a seed")
"""


@pytest.mark.long
def test_oracle_that_cannot_be_reset_continues_from_the_files_of_keras_tuner(tmp_path: Path) -> None:
    project = tmp_path / "work" / "untitled_project"
    script = OWN_ORACLE + searching("tuner", 2)
    kill_script(script, tmp_path, project / "search.jsonl", 4, signal.SIGINT)
    done = run_script(script + OWN_CHECKS, tmp_path)
    trained = int(done.stdout.split(" of them trained in this call")[0].rpartition(" ")[2])
    assert 3 <= trained <= 5  # one that had ended may have waited for an earlier one


def test_hyperband_promotes_the_best_with_their_checkpoints(uninterrupted: Callable[[str], Path]) -> None:
    project = uninterrupted("hyperband")
    trials = trial_files(project)
    promoted = [each for each in trials.values() if "tuner/trial_id" in each["hyperparameters"]["values"]]
    assert promoted
    for trial in promoted:
        values = trial["hyperparameters"]["values"]
        parent = trials[f"trial_{values['tuner/trial_id']}"]
        inherited = parent["hyperparameters"]["values"]
        # A parent may lack a hyperparameter that was found later.
        own = [name for name in values if not name.startswith("tuner/") and name in inherited]
        assert len(own) >= 3
        assert all(values[name] == inherited[name] for name in own)
        # Continuing from the checkpoint, a trial is better than a new one of as many epochs usually is.
        assert trial["score"] > 0.3
        (weights,) = (project / f"trial_{trial['trial_id']}").glob("checkpoint.weights.h5")
        assert weights.stat().st_size > 1000
