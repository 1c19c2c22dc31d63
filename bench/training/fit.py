"""Train a candidate or a refit, in a worker."""

import hashlib
import io
import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import keras
import numpy as np

from bench.compat.tensorflow import release_graphs, silence_graph_reports
from bench.records.record import Curve, RefitRecord
from bench.records.spec import TrialSpec
from bench.training import epochs
from bench.training.batches import MAX_STEPS_PER_EXECUTION, cached_development
from bench.training.candidate import prepare, training
from bench.training.outcome import EpochReport, State, StepTimes, TrainedTrial
from bench.training.precision import prepare_process
from bench.training.state import set_state

if TYPE_CHECKING:
    from bench.data.catalog import DatasetLocation

TIMED_STEPS = 2 * MAX_STEPS_PER_EXECUTION


def train(
    spec: TrialSpec, state: State | None, location: "DatasetLocation", seconds: float | None, report: EpochReport
) -> TrainedTrial:
    """Train the candidate of `spec`, continuing from `state` if given.

    Args:
        spec: the candidate.
        state: the candidate's state after `spec.initial_epoch`; if None, the earlier epochs are repeated, which gives
            the same weights. A `fit` of the model's own always repeats them.
        location: the dataset.
        seconds: time limit, after which training stops between two batches; None for no limit.
        report: called after each epoch.

    Raises:
        NonFiniteLossError: the loss became NaN or infinite.
    """
    started = time.perf_counter()
    prepare_process(spec.precision)
    candidate = prepare(spec, location)
    model, own_fit = candidate.model, candidate.own_fit is not None
    first_epoch = 0
    if state is not None and not own_fit:
        first_epoch = spec.initial_epoch
        set_state(model, state)
    deadline = math.inf if seconds is None else started + seconds
    fitted = epochs.fit(candidate, spec, report, first_epoch=first_epoch, deadline=deadline)
    trained = TrainedTrial(
        curve=_curve(fitted.logs if own_fit else fitted.logs[spec.initial_epoch - first_epoch :]),
        parameters=model.count_params(),
        fit_seconds=fitted.seconds,
        task_seconds=0.0,
        state=fitted.state,
        cut=fitted.cut,
        objective_score=fitted.score,
        unsearched=candidate.unsearched(spec.values),
        retrained_epochs=spec.initial_epoch if own_fit else 0,
    )
    del model, candidate
    release_graphs()
    return replace(trained, task_seconds=time.perf_counter() - started)


def refit(spec: TrialSpec, number: int, location: "DatasetLocation", report: EpochReport) -> tuple[RefitRecord, bytes]:
    """Train the model of `spec`, refit `number` of its run, from its first epoch.

    Returns:
        Its record, and its model as a .keras file without the optimizer.

    Raises:
        NonFiniteLossError: the loss became NaN or infinite.
    """
    started = time.perf_counter()
    prepare_process(spec.precision)
    candidate = prepare(spec, location)
    model = candidate.model
    summary = model_summary(model)
    fitted = epochs.fit(candidate, spec, report)
    train_accuracy = candidate.training_accuracy()
    parameters, weights, content = model.count_params(), weights_digest(model), candidate.saved()
    del model, candidate
    release_graphs()
    record = RefitRecord(
        number=number,
        seed=spec.seed,
        epochs=spec.epochs,
        curve=_curve(fitted.logs),
        train_accuracy=train_accuracy,
        parameters=parameters,
        summary=summary,
        weights_sha256=weights,
        fit_seconds=fitted.seconds,
        task_seconds=time.perf_counter() - started,
    )
    return record, content


def time_steps(spec: TrialSpec, location: "DatasetLocation") -> StepTimes:
    """Time a few steps of the candidate of `spec`."""
    prepare_process(spec.precision)
    cached_development(location)  # not timed
    started = time.perf_counter()
    candidate = prepare(spec, location)
    model, data = candidate.model, candidate.data
    at_once = model.steps_per_execution
    seconds = []
    for steps in (at_once, min(TIMED_STEPS, data.steps) // at_once * at_once):
        batches = data.training_batches(spec.seed, 0, 1).take(steps)
        fit_started = time.perf_counter()
        with silence_graph_reports(), training(spec):
            model.fit(batches, steps_per_epoch=steps, epochs=1, shuffle=False, verbose=0)
        seconds.append(time.perf_counter() - fit_started)
    step = seconds[1] / steps
    # Predicting an image takes a third of the time of training on it.
    validation_steps = 0.0 if data.held_back is None else len(data.held_back) / data.batching.batch_size / 3
    return StepTimes(
        start_seconds=max(0.0, fit_started - started - at_once * step),
        epoch_seconds=step * (data.steps + validation_steps),
        parameters=model.count_params(),
    )


def _curve(logs: Sequence[dict[str, float]]) -> Curve:
    def values(name: str) -> tuple[float, ...]:
        return tuple(float(epoch[name]) for epoch in logs if name in epoch)

    return Curve(
        training_loss=values("loss"),
        training_accuracy=values("accuracy"),
        validation_loss=values("val_loss"),
        validation_accuracy=values("val_accuracy"),
    )


def model_summary(model: keras.Model) -> str:
    """Keras' summary of a model, as plain text."""
    text, compiled = io.StringIO(), model.compiled
    model.compiled = False  # otherwise it would count the variables of the optimizer as parameters
    model.summary(print_fn=lambda line, **_: text.write(line + "\n"))
    model.compiled = compiled
    return text.getvalue()


def weights_digest(model: keras.Model) -> str:
    """SHA-256 over all weights in order."""
    digest = hashlib.sha256()
    for weight in model.get_weights():
        digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()
