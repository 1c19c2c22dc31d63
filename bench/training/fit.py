"""Train a candidate or a refit, in a worker."""

import hashlib
import io
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import keras
import numpy as np

import search_spaces
from bench import compat
from bench.baselines.tutorials import TUTORIALS
from bench.records.record import Curve, RefitRecord
from bench.records.spec import TrialSpec, Value
from bench.training import epochs
from bench.training.batches import MAX_STEPS_PER_EXECUTION, TrainingData, cached_development, training_data
from bench.training.candidate import Candidate, Custom
from bench.training.custom.family import CustomFamily
from bench.training.epochs import EpochReport
from bench.training.family import family_of
from bench.training.precision import prepare_process
from bench.training.state import State, get_state, set_state

if TYPE_CHECKING:
    from bench.data.catalog import DatasetLocation

TIMED_STEPS = 2 * MAX_STEPS_PER_EXECUTION


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedTrial:
    """The outcome of a trial."""

    curve: Curve  # of the epochs after spec.initial_epoch
    parameters: int
    fit_seconds: float  # wall clock inside fit, including validation
    task_seconds: float  # wall clock of the task: build, tracing, fit
    state: State | None  # None unless `spec.keep_state` and the trial completed
    cut: bool  # stopped by its time limit, in an epoch that is not counted
    objective_score: float | None = None  # after training; None if it is the last validation accuracy of the curve
    unsearched: Mapping[str, Value] = field(default_factory=dict)  # hyperparameters that are not in the space
    retrained_epochs: int = 0  # before spec.initial_epoch, included in `curve`


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTimes:
    """The cost of a candidate, estimated from a few training steps."""

    start_seconds: float  # building and tracing
    epoch_seconds: float  # of a whole epoch, including validation
    parameters: int


def train(
    spec: TrialSpec, state: State | None, location: "DatasetLocation", seconds: float | None, report: EpochReport
) -> TrainedTrial:
    """Train the candidate of `spec`, continuing from `state` if given.

    Args:
        spec: the candidate.
        state: the candidate's state after `spec.initial_epoch`; if None, the earlier epochs are repeated, which gives
            the same weights.
        location: the dataset.
        seconds: time limit, after which training stops between two batches; None for no limit.
        report: called after each epoch.

    Raises:
        NonFiniteLossError: the loss became NaN or infinite.
    """
    started = time.perf_counter()
    prepare_process(spec.precision)
    candidate = prepare(spec, location)
    model, own_fit = candidate.model, candidate.own_fit
    first_epoch = 0
    if state is not None and own_fit is None:
        first_epoch = spec.initial_epoch
        set_state(model, state)
    deadline = math.inf if seconds is None else started + seconds
    fitted = epochs.fit(candidate, spec, report, first_epoch=first_epoch, deadline=deadline)
    kept_state = get_state(model) if spec.keep_state and not fitted.cut and own_fit is None else None
    trained = TrainedTrial(
        curve=_curve(fitted.logs if own_fit is not None else fitted.logs[spec.initial_epoch - first_epoch :]),
        parameters=model.count_params(),
        fit_seconds=fitted.seconds,
        task_seconds=0.0,
        state=kept_state,
        cut=fitted.cut,
        objective_score=fitted.score,
        unsearched=candidate.unsearched(spec.values),
        retrained_epochs=0 if own_fit is None else spec.initial_epoch,
    )
    del model, candidate, own_fit
    compat.release_graphs()
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
    # Before training, which would add the optimizer's variables.
    summary = _summary(model)
    fitted = epochs.fit(candidate, spec, report)
    train_accuracy = candidate.training_accuracy()
    parameters, weights, content = model.count_params(), _weights_digest(model), candidate.saved()
    del model, candidate
    compat.release_graphs()
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
        with compat.silence_graph_reports():
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


def prepare(spec: TrialSpec, location: "DatasetLocation") -> Candidate:
    """Build the candidate of `spec`, and load its images."""
    dataset = cached_development(location)
    if spec.part != "reference":
        family = family_of(spec, dataset.image_shape, len(dataset.class_names))
        if isinstance(family, CustomFamily):
            return _prepare_custom(family, spec, location)
    data = training_data(spec, location)
    return Candidate(model=build(spec, data), data=data)


def _prepare_custom(family: CustomFamily, spec: TrialSpec, location: "DatasetLocation") -> Candidate:
    if family.fit is not None and spec.part == "development":
        # Its fit may need validation images, to stop early for instance.
        spec = replace(spec, part="train")
    built = family.build(spec.values, spec.seed)
    data = family.data(training_data(spec, location), built.interface)
    if family.fit is None:
        built.model.steps_per_execution = data.steps_per_execution
    return Candidate(
        model=built.model, data=data, custom=Custom(hp=built.hp, interface=built.interface, fit=family.fit)
    )


def build(spec: TrialSpec, data: TrainingData) -> keras.Model:
    """Build the compiled model of a Family's candidate or a reference model, with its initial weights."""
    # Otherwise the names of layers, which are recorded, would depend on the worker's earlier models.
    keras.utils.clear_session()
    keras.utils.set_random_seed(spec.seed)
    shape, classes = data.dataset.image_shape, len(data.dataset.class_names)
    if spec.part == "reference":
        model = TUTORIALS[spec.model].build(shape, classes)
    else:
        family = search_spaces.load(spec.family)(shape, classes, data.steps * spec.horizon, spec.multiply_adds)
        model = family.build_from(spec.values)
    model.steps_per_execution = data.steps_per_execution
    return model


def _curve(logs: Sequence[dict[str, float]]) -> Curve:
    def values(name: str) -> tuple[float, ...]:
        return tuple(float(epoch[name]) for epoch in logs if name in epoch)

    return Curve(
        training_loss=values("loss"),
        training_accuracy=values("accuracy"),
        validation_loss=values("val_loss"),
        validation_accuracy=values("val_accuracy"),
    )


def _summary(model: keras.Model) -> str:
    text = io.StringIO()
    model.summary(print_fn=lambda line, **_: text.write(line + "\n"))
    return text.getvalue()


def _weights_digest(model: keras.Model) -> str:
    digest = hashlib.sha256()
    for weight in model.get_weights():
        digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()
