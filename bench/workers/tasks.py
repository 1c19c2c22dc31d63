"""Functions that run in worker processes; they import TensorFlow when called, so that workers start fast."""

import gc
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import search_spaces
from bench.baselines import catalog as baselines
from bench.compat import run_checks
from bench.errors import ModelError
from bench.machine import Environment, environment, silence_stderr
from bench.records.record import Latency, RefitRecord
from bench.records.spec import TrialSpec
from bench.signals import defer_signals
from search_spaces import FamilyLocation

if TYPE_CHECKING:
    from bench.data.catalog import DatasetLocation
    from bench.data.held_out import HeldOutTestSet
    from bench.records.dataset import DatasetFacts
    from bench.records.plain import PlainKeras
    from bench.records.predictions import Predictions
    from bench.training.check import CandidateCost
    from bench.training.outcome import EpochReport, State, StepTimes, TrainedTrial
    from bench.training.own_tuner.exchange import FatalFailure, TrialRun, TrialTask


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerInfo:
    """A cluster worker's environment, code and data."""

    environment: Environment
    sources: Mapping[str, str]  # code digest by model; models missing on the worker are omitted
    checksum: str  # of the dataset; empty if it needs none


@cache
def import_libraries() -> None:
    """Import TensorFlow, Keras and the training code without TensorFlow's start-up messages."""
    with silence_stderr(), defer_signals():
        from bench.training import fit, predict  # noqa: F401 - imported for later calls
        from bench.training.precision import detect_devices

        detect_devices()
    # TensorFlow warns when a function is retraced, as it must be for every new candidate.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    # Modules are never freed; scanning them after each candidate would take half a second.
    gc.freeze()


@cache
def prepare_worker() -> None:
    """Import the libraries for training, limit TensorFlow to one thread, and check the APIs that training relies on.

    Raises:
        SearchError: TensorFlow was already started with more than one thread.
        CompatibilityError: a library does not behave as the tested versions do.
    """
    import_libraries()
    from bench.training.precision import prepare_process

    with silence_stderr():
        prepare_process("float32")
        run_checks("tensorflow")


def worker_info(models: Sequence[str | FamilyLocation], location: "DatasetLocation") -> WorkerInfo:
    """Describe this worker; downloads the dataset if needed.

    Args:
        models: reference models, and families.
        location: of the dataset.

    Raises:
        DataError: the dataset is not available on this worker.
    """
    prepare_worker()
    from bench.training.batches import cached_development

    sources = {}
    for model in models:
        if isinstance(model, str):
            sources[model] = baselines.source(model)
        else:
            with suppress(ValueError, SyntaxError, OSError):  # missing on this worker
                sources[model.name] = search_spaces.source_digest(model)
    return WorkerInfo(environment=environment(), sources=sources, checksum=cached_development(location).checksum)


def worker_with_folder(folder: str) -> WorkerInfo:
    """Describe this worker, which needs no code and no dataset but the folder of a search.

    Raises:
        SearchError: the folder is not on this worker.
    """
    prepare_worker()
    from bench.training.own_tuner.content import require_folder

    require_folder(Path(folder))
    return WorkerInfo(environment=environment(), sources={}, checksum="")


def train(
    spec: TrialSpec, state: "State | None", location: "DatasetLocation", seconds: float | None, report: "EpochReport"
) -> "TrainedTrial":
    """Train a candidate of a search."""
    prepare_worker()
    from bench.training import fit

    return fit.train(spec, state, location, seconds, report)


def train_own(task: "TrialTask", report: "EpochReport") -> "TrialRun | FatalFailure":
    """Run a trial of a user's own Keras Tuner tuner."""
    prepare_worker()
    from bench.training.own_tuner import trial

    return trial.run(task, report)


def refit(
    spec: TrialSpec, number: int, location: "DatasetLocation", report: "EpochReport"
) -> tuple[RefitRecord, bytes]:
    """Train a model for evaluation: a winner on all development images, or a tutorial with its own recipe."""
    prepare_worker()
    from bench.training import fit

    return fit.refit(spec, number, location, report)


def plain_code(spec: TrialSpec, dataset: "DatasetFacts", _report: "EpochReport") -> "PlainKeras | None":
    """Write the model of a refit as plain Keras code; None if that is impossible (`bench show` says why)."""
    prepare_worker()
    from bench.training.plain.rebuild import rebuild
    from bench.training.plain.script import plain_keras

    try:
        model, settings = rebuild(spec, dataset)
        return plain_keras(model, dataset, settings)
    except ModelError:
        return None


def time_steps(spec: TrialSpec, location: "DatasetLocation", _report: "EpochReport") -> "StepTimes":
    """Time a few steps of a candidate."""
    prepare_worker()
    from bench.training import fit

    return fit.time_steps(spec, location)


def check_candidate(spec: TrialSpec, location: "DatasetLocation", _report: "EpochReport") -> "CandidateCost":
    """Build a candidate and train a few steps."""
    prepare_worker()
    from bench.training import check

    return check.check_candidate(spec, location)


def evaluate(
    models: Sequence[bytes],
    test_set: "HeldOutTestSet",
    seeds: Sequence[int],
    family: FamilyLocation | None,
    source: str,
    _report: "EpochReport",
) -> "tuple[Predictions, Latency]":
    """Predict the test set with each of `models` (.keras files of `family`), in float32 and with one thread.

    Raises:
        SearchError: the code of `family` has another digest than `source`.
    """
    prepare_worker()
    from bench.training import predict
    from bench.training.precision import prepare_process

    prepare_process("float32")
    return predict.evaluate(models, test_set, seeds, family, source)


def fit_classifier(
    name: str,
    seeds: Sequence[int],
    test_set: "HeldOutTestSet",
    location: "DatasetLocation",
    facts: "DatasetFacts | None",
    _report: "EpochReport",
) -> "tuple[tuple[RefitRecord, ...], PlainKeras | None, Predictions, Latency]":
    """Fit a scikit-learn classifier on the development images with each seed, and predict the test set.

    One task does both, since such models may be too large to keep. If `facts` of the dataset are given, it also writes
    the code of the first one.
    """
    prepare_worker()
    from bench.baselines.classifiers import fit
    from bench.baselines.script import classifier_script
    from bench.training import predict
    from bench.training.batches import cached_development

    dataset = cached_development(location)
    fitted = [fit(name, seed, number, dataset) for number, seed in enumerate(seeds)]
    predictions, latency = predict.evaluate([predictor for predictor, _ in fitted], test_set, seeds)
    plain = None if facts is None else classifier_script(name, seeds[0], facts)
    return tuple(record for _, record in fitted), plain, predictions, latency
