"""Scripts that search with Keras Tuner, run as a user runs them: real processes, without a `__main__` guard."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.own_tuner.ledger import Event, Ledger, TrialEnded
from bench.own_tuner.project import LEDGER
from command_line import SECONDS, variables

# A few digits, so that a trial takes a second.
DIGITS = """
import keras, keras_tuner, numpy as np, bench
from keras import layers
from sklearn.datasets import load_digits

x, y = load_digits(return_X_y=True)
x = (x / 16).astype("float32")
x_train, y_train, x_val, y_val = x[:1200], y[:1200], x[1200:], y[1200:]

def build_model(hp):
    model = keras.Sequential([keras.Input((64,))])
    model.add(layers.Dense(hp.Choice("units", [4, 8, 16, 32]), activation="relu"))
    if hp.Boolean("dropout"):
        model.add(layers.Dropout(hp.Float("rate", 0.1, 0.5)))
    model.add(layers.Dense(10, activation="softmax"))
    optimizer = keras.optimizers.Adam(hp.Float("learning_rate", 1e-3, 1e-1, sampling="log"))
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model

data = dict(x=x_train, y=y_train, validation_data=(x_val, y_val))
"""


def run_script(text: str, cwd: Path, *, code: int = 0, prelude: str = DIGITS) -> "subprocess.CompletedProcess[str]":
    """Run a script in the folder `cwd`; it must exit with `code`."""
    (cwd / "script.py").write_text(prelude + text)
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=cwd,
        env=variables(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == code, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def kill_script(text: str, cwd: Path, ledger: Path, trials: int, number: int = signal.SIGKILL) -> int:
    """Run a script, and send a signal to all its processes when `trials` trials have ended.

    Returns:
        How many trials have ended at last.
    """
    (cwd / "script.py").write_text(DIGITS + text)
    with (cwd / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "script.py"], cwd=cwd, env=variables(), stdout=log, stderr=log, start_new_session=True
        )
    try:
        until = time.monotonic() + SECONDS
        while ended_lines(ledger) < trials:
            assert process.poll() is None, (cwd / "log.txt").read_text()
            assert time.monotonic() < until
            time.sleep(0.02)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        process.wait(SECONDS)
    return ended_lines(ledger)


def ended_lines(ledger: Path) -> int:
    """Number of trials that have ended according to the file."""
    return ledger.read_bytes().count(b'"trial_ended"') if ledger.exists() else 0


def events(project: Path) -> list[Event]:
    """The ledger of a project."""
    return Ledger(project / LEDGER).events()


def trial_files(project: Path) -> dict[str, Mapping[str, Any]]:
    """Every trial.json by the name of its folder."""
    return {path.parent.name: json.loads(path.read_text()) for path in sorted(project.glob("trial_*/trial.json"))}


def oracle_file(project: Path) -> dict[str, Any]:
    """oracle.json, without times, and with sorted hashes."""
    state: dict[str, Any] = json.loads((project / "oracle.json").read_text())
    return state | {"display": None, "tried_so_far": sorted(state["tried_so_far"])}


def results(project: Path) -> dict[tuple[str, int], Any]:
    """Everything that the ledger has on each trial, except durations."""
    ended = [event for event in events(project) if isinstance(event, TrialEnded)]
    return {
        (event.trial_id, event.run): (
            event.result.status,
            event.result.updates,
            [(each.metrics, each.curves) for each in event.result.executions],
        )
        for event in ended
    }
