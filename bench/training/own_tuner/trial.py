"""Run a trial of a user's own tuner, in a worker, by Keras Tuner's own code."""

import pickle
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from copy import deepcopy
from pathlib import Path
from typing import Any

import cloudpickle
import keras
import keras_tuner

from bench.compat import own_tuner as compat
from bench.compat.tensorflow import release_graphs, silence_graph_reports, without_autotune
from bench.training.outcome import EpochReport
from bench.training.own_tuner.content import Content, load
from bench.training.own_tuner.exchange import Execution, FatalFailure, TrialRun, TrialTask, Update
from bench.training.own_tuner.executions import Executions
from bench.training.own_tuner.oracle import TrialOracle
from bench.training.precision import set_precision

OUTPUT = "output.txt"  # in the folder of a trial: what it printed


def run(task: TrialTask, report: EpochReport) -> TrialRun | FatalFailure:
    """Run a trial; its checkpoint is written where Keras Tuner expects it.

    Args:
        task: the trial.
        report: called after each epoch.

    Raises:
        SearchError: the folder of the search is not on this machine, or the tuner cannot be loaded here.
    """
    started = time.perf_counter()
    set_precision(task.precision)  # a script keeps its other settings
    content, trial = _prepare(task)
    tuner, named = content.tuner, dict(content.named)
    folder = Path(tuner.get_trial_dir(task.trial_id))
    with _output(folder / OUTPUT), silence_graph_reports(), without_autotune():
        executions = Executions(tuner, task, content.objective, report)
        try:
            compat.run_trial(tuner, trial, content.arguments, named)
        except keras_tuner.errors.FatalError as error:
            return FatalFailure(error=_sendable(error), text=traceback.format_exc())
    proposed = task.trials[0]["hyperparameters"]
    config = compat.space_config(trial.hyperparameters)
    updates = tuple(tuner.oracle.updates)
    ended = TrialRun(
        status=trial.status,
        message=trial.message,
        updates=updates,
        values=None if config["values"] == proposed["values"] else config["values"],
        space=None if config["space"] == proposed["space"] else config["space"],
        executions=(executions.finished() or (_reported(updates[-1]),)) if trial.status == "COMPLETED" else (),
        seconds=time.perf_counter() - started,
    )
    del content, tuner, trial, executions, named
    keras.utils.clear_session()
    release_graphs()
    return ended


def _prepare(task: TrialTask) -> tuple[Content, Any]:
    """The tuner with an oracle that has the trial, and the trial."""
    content = load(Path(task.payload))
    tuner = content.tuner
    # Keras Tuner changes a state that has conditions, and `task` is compared with the trial at its end.
    trial, *others = [keras_tuner.engine.trial.Trial.from_state(deepcopy(state)) for state in task.trials]
    trials = {each.trial_id: each for each in (*others, trial)}
    tuner.oracle = TrialOracle(content.objective, trials, trial.hyperparameters)
    compat.without_tensorboard(tuner)
    return content, trial


def _sendable(error: Exception) -> Exception:
    """`error`, or one with the same text if it cannot be unpickled, since its class has other arguments."""
    try:
        pickle.loads(cloudpickle.dumps(error))  # noqa: S301 - pickled here
    except Exception:  # noqa: BLE001 - the user's class may raise anything
        error = keras_tuner.errors.FatalError(f"{type(error).__name__}: {error}")
    return error


def _reported(update: Update) -> Execution:
    """What is known of an execution whose metrics run_trial has reported to the oracle itself."""
    return Execution(metrics=update.metrics, best_epoch=None, epochs=0, seconds=0.0, curves={})


@contextmanager
def _output(file: Path) -> Iterator[None]:
    """Write what is printed in the block to a file, since the workers share a terminal; removed if it is empty."""
    with file.open("w", encoding="utf-8") as stream, redirect_stdout(stream), redirect_stderr(stream):
        yield
    if file.stat().st_size == 0:
        file.unlink()
