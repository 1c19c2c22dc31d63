"""What runs in a worker process; imports TensorFlow only when called, so that starting a worker is fast."""

import gc
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.environment import silent_stderr
from bench.spec import TrialSpec

if TYPE_CHECKING:
    from bench.evaluation.judge import Judgement
    from bench.search.training import State, StepTimes, Trained

Report = Callable[[int, float, float | None], None]  # epochs done, seconds of the last, validation accuracy


def warm_up() -> None:
    """Import what training needs, and let TensorFlow look for devices, without its greetings on the terminal."""
    if "bench.search.training" in sys.modules:
        return
    with silent_stderr():
        from bench.search.training import devices

        devices()
    # It warns where a function is traced again, as every new candidate must be.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    # What was imported stays; looking through it after each candidate would take half a second.
    gc.freeze()


def train(spec: TrialSpec, state: "State | None", data_dir: Path | None, report: Report) -> "Trained":
    """Train one candidate."""
    warm_up()
    from bench.search import training

    return training.train(spec, state, data_dir, report)


def time_steps(spec: TrialSpec, data_dir: Path | None, _report: Report) -> "StepTimes":
    """Time a few steps of one candidate."""
    warm_up()
    from bench.search import training

    return training.time_steps(spec, data_dir)


def judge(models: Sequence[bytes], dataset: str, data_dir: Path | None, _report: Report) -> "Judgement":
    """Predict the sealed test part, in float32 and with one thread whatever this worker did before."""
    warm_up()
    from bench.evaluation import judge as judging
    from bench.search.training import prepare_process

    prepare_process("float32")
    return judging.judge(models, dataset, data_dir)
