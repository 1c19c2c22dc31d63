"""Failing trials, timeouts and limits: as in Keras Tuner, and no trial is lost."""

import re
import signal
import sys
import time
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # distributed depends on it
import pytest

from tuner_scripts import DIGITS, run_script

pytestmark = pytest.mark.slow

SPACE = """
import os, time

OTHERS = 2

def build(hp):
    kind = hp.Choice("kind", ["good", "error", "failed", "nan", "kill", "hang", "stuck", "greedy", "fatal"])
    hp.Int("other", 0, OTHERS)
    if kind == "error":
        raise ValueError("too large")
    if kind == "failed":
        raise keras_tuner.errors.FailedTrialError("not worth it")
    if kind == "fatal":
        raise keras_tuner.errors.FatalValueError("no more")
    if kind == "kill" and os.path.exists("workers.txt"):
        os.kill(os.getpid(), 9)
    if kind == "stuck":
        time.sleep(600)
    model = keras.Sequential([keras.Input((64,)), layers.Dense(10, activation="softmax")])
    loss = "sparse_categorical_crossentropy"
    if kind == "nan":
        loss = lambda y_true, y_pred: keras.ops.sum(y_pred) * float("nan")
    model.compile("adam", loss, metrics=["accuracy"])
    return model

class Net(keras_tuner.HyperModel):
    def build(self, hp):
        return build(hp)

    def fit(self, hp, model, *args, **kwargs):
        if hp.get("kind") == "hang":
            time.sleep(600)
        held = []
        while hp.get("kind") == "greedy":
            held.append(np.ones(2**23))
            time.sleep(0.02)
        return model.fit(*args, **kwargs)

def space(*kinds):
    hp = keras_tuner.HyperParameters()
    hp.Choice("kind", list(kinds))
    return hp

def make(project, *kinds, **options):
    options = dict(objective="val_loss", hyperparameters=space(*kinds), project_name=project) | options
    return keras_tuner.GridSearch(Net(), **options)

options = dict(epochs=1, workers=2, progress=False)
def statuses(tuner):
    return [trial.status for trial in tuner.oracle.trials.values()]
"""

FAILING = """
OTHERS = 1
limits = dict(max_retries_per_trial=1, max_consecutive_failed_trials=99)
tuner = make("failing", "good", "error", "failed", "nan", **limits)
result = bench.search(tuner, **data, **options)
trials = {trial.hyperparameters.values["kind"]: trial for trial in tuner.oracle.trials.values()}
assert [trials[kind].status for kind in ("good", "error", "failed", "nan")] == ["COMPLETED", *["FAILED"] * 3]
assert trials["nan"].message == "val_loss is NaN"
assert "ValueError: too large" in trials["error"].message and "Traceback" in trials["error"].message
runs = {kind: tuner.oracle._run_times[trial.trial_id] for kind, trial in trials.items()}
assert runs == {"good": 1, "error": 2, "failed": 1, "nan": 2}, runs
assert repr(result).startswith("8 trials (6 failed) in ") and result.trained == 8, result
frame = result.executions
assert len(frame) == 12 and (frame[frame["hp_kind"] == "error"]["status"] == "INVALID").all(), frame
tuner.results_summary()
# The ids of trials have as many digits as the text of max_trials.
tuner = make("failing", "good", "error", "failed", "nan", **limits, max_trials=20)
assert bench.search(tuner, **data, **options).trained == 0 and len(tuner.oracle.trials) == 8
"""

CONSECUTIVE = """
tuner = make("consecutive", "good", "error")
for _ in range(2):
    try:
        bench.search(tuner, **data, **options)
    except RuntimeError as caught:
        error = caught
        assert str(error).startswith("Number of consecutive failures exceeded the limit of 3."), error
        assert "ValueError: too large" in str(error)
    else:
        raise AssertionError("three failures in a row")
assert "bench.search(..., resume=False)" in error.__notes__[0], error.__notes__
assert statuses(tuner)[:6] == ["COMPLETED"] * 3 + ["FAILED"] * 3, statuses(tuner)
assert tuner.get_best_models()

tuner = make("fatal", "good", "fatal")
try:
    bench.search(tuner, **data, **options)
except keras_tuner.errors.FatalValueError as error:
    assert "no more" in str(error) and "In a worker process" in error.__notes__[0]
else:
    raise AssertionError("a fatal error")
assert statuses(tuner).count("COMPLETED") >= 2
print("all checks passed")
"""

CRASHING = """
open("workers.txt", "w").close()
OTHERS = 1
tuner = make("crashing", "good", "kill", "hang", "stuck", max_consecutive_failed_trials=99)
options["progress"] = True
result = bench.search(tuner, **data, **options, trial_timeout=10)
trials = [(trial.hyperparameters.values["kind"], trial.status, trial.message) for trial in tuner.oracle.trials.values()]
print(trials)
assert [status for kind, status, _ in trials if kind == "good"] == ["COMPLETED"] * 2
for kind, status, message in trials:
    if kind != "good":
        assert status == "FAILED"
        assert ("killed by signal 9" if kind == "kill" else "longer than the trial timeout") in message, message
print("all checks passed")
"""

# Before Dask is imported.
LITTLE_MEMORY = """
import resource
resource.setrlimit(resource.RLIMIT_RSS, (4 * 2**30, 4 * 2**30))
"""
GREEDY = """
OTHERS = 0
tuner = make("greedy", "greedy", "good")
options["progress"] = True
bench.search(tuner, **data, **options)
assert statuses(tuner) == ["FAILED", "COMPLETED"], statuses(tuner)
assert "more than its memory limit" in tuner.oracle.trials["0000"].message
"""

# A module of this name, next to the script, is imported by every process that a script starts.
THREAD = """
import threading
threading.Thread(target=threading.Event().wait, name="telemetry", daemon=True).start()
"""
SPAWNED = """
import sys
original = build_model

def build_model(hp):
    with open("processes.txt", "a") as file:
        print("bench.workers.preloaded" in sys.modules, file=file)  # if it was forked
    return original(hp)

tuner = keras_tuner.RandomSearch(build_model, "val_loss", max_trials=2, seed=1)
bench.search(tuner, **data, epochs=1, workers=1)
assert [trial.status for trial in tuner.oracle.trials.values()] == ["COMPLETED"] * 2
"""

STUCK = """
import os, pathlib, signal, threading, time
main, original, started = os.getpid(), build_model, pathlib.Path("started.txt")

def build_model(hp):
    if os.getpid() != main:
        started.write_text(str(os.getpid()))
        time.sleep(600)
    return original(hp)

def kill():
    while not started.exists() or not started.read_text():
        time.sleep(0.1)
    os.kill(main, signal.SIGKILL)

threading.Thread(target=kill).start()
bench.search(keras_tuner.RandomSearch(build_model, "val_loss", max_trials=2), **data, workers=1)
"""

LIMITED = """
tuner = keras_tuner.RandomSearch(build_model, "val_loss", max_trials=1000, seed=1, project_name="limited")
start = time.monotonic()
result = bench.search(tuner, **data, epochs=1, workers=2, time_limit=20, progress=False)
assert 18 < time.monotonic() - start < 40
assert not result.complete and 0 < result.trained < 1000 and "Time is up: repeat" in repr(result), result
count = result.trained

# Keras Tuner's own search continues with the trials that were running.
tuner.oracle.max_trials = len(tuner.oracle.trials)
tuner.search(**data, epochs=1, verbose=0)
assert statuses(tuner) == ["COMPLETED"] * tuner.oracle.max_trials
print("all checks passed")
"""


@pytest.mark.parametrize(
    "script", [pytest.param(FAILING, id="failing"), pytest.param(CONSECUTIVE, id="consecutive", marks=pytest.mark.long)]
)
def test_failures_are_those_of_keras_tuner(script: str, tmp_path: Path) -> None:
    run_script(SPACE + script, tmp_path)


@pytest.mark.long
def test_crash_or_timeout_of_a_worker_fails_its_trial_only(tmp_path: Path) -> None:
    done = run_script(SPACE + CRASHING, tmp_path)
    assert "Building a model takes longer than 10 s" in done.stderr
    assert "If it never ends, trial_timeout ends its trial" in done.stderr


@pytest.mark.long
def test_trial_that_exceeds_the_memory_of_its_worker_fails_alone(tmp_path: Path) -> None:
    done = run_script(GREEDY, tmp_path, prelude=LITTLE_MEMORY + DIGITS + SPACE)
    assert len(re.findall(r"trial 0000 of greedy: .*more than its memory limit.*; retrying", done.stderr)) == 1


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux only")
def test_nothing_is_forked_from_a_process_with_threads(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(THREAD)
    done = run_script(SPAWNED, tmp_path)
    assert "Starting the worker processes again, without forking" in done.stderr
    assert set((tmp_path / "processes.txt").read_text().split()) == {"False"}


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends processes with their parent on Linux only")
def test_process_that_is_building_a_model_ends_with_a_killed_script(tmp_path: Path) -> None:
    run_script(STUCK, tmp_path, code=-signal.SIGKILL)
    process = int((tmp_path / "started.txt").read_text())
    until = time.monotonic() + 10
    while psutil.pid_exists(process) and psutil.Process(process).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.mark.long
def test_time_limit_keeps_all_trials_that_ended(tmp_path: Path) -> None:
    started = time.monotonic()
    run_script(SPACE + LIMITED, tmp_path)
    assert time.monotonic() - started < 200
