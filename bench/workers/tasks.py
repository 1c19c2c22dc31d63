"""What runs in a worker process; imports TensorFlow only when called, so that starting a worker is fast."""

import gc
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import search_spaces
from bench.machine import Environment, environment, silence_stderr
from bench.records.record import RefitRecord
from bench.records.spec import TrialSpec
from bench.signals import defer_signals

if TYPE_CHECKING:
    from bench.training.fit import State, StepTimes, Trained
    from bench.training.predict import Judgement

Report = Callable[[int, float, float | None], None]  # epochs done, seconds of the last, validation accuracy


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerInfo:
    """What a worker of a cluster says of itself."""

    environment: Environment
    sources: Mapping[str, str]  # family to digest of its code; families that are not there are left out
    checksum: str  # of the dataset


def worker_info(families: Sequence[str], dataset: str, data_dir: Path | None) -> WorkerInfo:
    """What this worker is; gets the dataset where it is not here yet.

    Raises:
        DataError: the dataset cannot be had here.
    """
    warm_up()
    from bench.training import fit as training

    known = [family for family in families if family in search_spaces.names()]
    return WorkerInfo(
        environment=environment(),
        sources={family: search_spaces.source_digest(family) for family in known},
        checksum=training.development_part(dataset, data_dir).checksum,
    )


def warm_up() -> None:
    """Import what training needs, and let TensorFlow look for devices, without its greetings on the terminal."""
    if "bench.training.fit" in sys.modules:
        return
    with silence_stderr(), defer_signals():
        from bench.training.fit import devices

        devices()
    # It warns where a function is traced again, as every new candidate must be.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    # What was imported stays; looking through it after each candidate would take half a second.
    gc.freeze()


def train(
    spec: TrialSpec, state: "State | None", data_dir: Path | None, seconds: float | None, report: Report
) -> "Trained":
    """Train one candidate."""
    warm_up()
    from bench.training import fit as training

    return training.train(spec, state, data_dir, seconds, report)


def time_steps(spec: TrialSpec, data_dir: Path | None, _report: Report) -> "StepTimes":
    """Time a few steps of one candidate."""
    warm_up()
    from bench.training import fit as training

    return training.time_steps(spec, data_dir)


def judge(models: Sequence[bytes], dataset: str, data_dir: Path | None, _report: Report) -> "Judgement":
    """Predict the sealed test part, in float32 and with one thread whatever this worker did before."""
    warm_up()
    from bench.training import predict as judging
    from bench.training.fit import prepare_process

    prepare_process("float32")
    return judging.judge(models, dataset, data_dir)


def fit_classifier(
    name: str, seeds: Sequence[int], dataset: str, data_dir: Path | None, _report: Report
) -> "tuple[tuple[RefitRecord, ...], Judgement]":
    """Fit a model of the floor on the development part under each seed, and let it predict the sealed test part."""
    warm_up()
    from bench.baselines.classifiers import fit
    from bench.training import predict as judging
    from bench.training.fit import development_part

    data = development_part(dataset, data_dir)
    fitted = [fit(name, seed, number, data) for number, seed in enumerate(seeds)]
    judgement = judging.judge_predictors([predict for predict, _ in fitted], dataset, data_dir)
    return tuple(refit for _, refit in fitted), judgement
