"""Train a candidate or a refit, in a worker."""

import hashlib
import io
import math
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np

import search_spaces
from bench import compat
from bench.baselines.tutorials import TUTORIALS
from bench.records.record import Curve, RefitRecord
from bench.records.spec import TrialSpec
from bench.training.batches import MAX_STEPS_PER_EXECUTION, TrainingData, training_data
from bench.training.outcome import State, StepTimes, TrainedTrial
from bench.training.precision import prepare_process
from bench.training.state import get_state, set_state
from search_spaces._mirror import portable

if TYPE_CHECKING:
    from bench.data.catalog import DatasetLocation

TIMED_STEPS = 2 * MAX_STEPS_PER_EXECUTION

# Takes the epochs completed, the seconds of the last one, and its validation accuracy.
EpochReport = Callable[[int, float, float | None], None]


class NonFiniteLossError(Exception):
    """The loss became NaN or infinite."""


class _TimeLimitReached(Exception):
    """Raised between two batches to stop `fit`."""


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
    data = training_data(spec, location)
    model = build(spec, data)
    first_epoch = 0
    if state is not None:
        first_epoch = spec.initial_epoch
        set_state(model, state)
    deadline = math.inf if seconds is None else started + seconds
    logs, fit_seconds = _fit(model, data, spec, report, first_epoch=first_epoch, deadline=deadline)
    cut = len(logs) < spec.epochs - first_epoch
    kept_state = get_state(model) if spec.keep_state and not cut else None
    parameters = model.count_params()
    del model
    compat.release_graphs()
    return TrainedTrial(
        curve=_curve(logs[spec.initial_epoch - first_epoch :]),
        parameters=parameters,
        fit_seconds=fit_seconds,
        task_seconds=time.perf_counter() - started,
        state=kept_state,
        cut=cut,
    )


def refit(spec: TrialSpec, number: int, location: "DatasetLocation", report: EpochReport) -> tuple[RefitRecord, bytes]:
    """Train the model of `spec`, refit `number` of its run, from its first epoch.

    Returns:
        Its record, and its model as a .keras file without the optimizer.

    Raises:
        NonFiniteLossError: the loss became NaN or infinite.
    """
    started = time.perf_counter()
    prepare_process(spec.precision)
    data = training_data(spec, location)
    model = build(spec, data)
    # Before training, which would add the optimizer's variables.
    summary = model_summary(model)
    logs, fit_seconds = _fit(model, data, spec, report)
    train_accuracy = model.evaluate(data.fitted_batches(), verbose=0, return_dict=True)["accuracy"]
    parameters, weights, content = model.count_params(), weights_digest(model), _saved(model)
    del model
    compat.release_graphs()
    record = RefitRecord(
        number=number,
        seed=spec.seed,
        epochs=spec.epochs,
        curve=_curve(logs),
        train_accuracy=float(train_accuracy),
        parameters=parameters,
        summary=summary,
        weights_sha256=weights,
        fit_seconds=fit_seconds,
        task_seconds=time.perf_counter() - started,
    )
    return record, content


def time_steps(spec: TrialSpec, location: "DatasetLocation") -> StepTimes:
    """Time a few steps of the candidate of `spec`."""
    prepare_process(spec.precision)
    data = training_data(spec, location)
    started = time.perf_counter()
    model = build(spec, data)
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


def build(spec: TrialSpec, data: TrainingData) -> keras.Model:
    """Build the compiled model of a candidate, with its initial weights."""
    model = build_model(spec, data.dataset.image_shape, len(data.dataset.class_names), data.steps)
    model.steps_per_execution = data.steps_per_execution
    return model


def build_model(spec: TrialSpec, image_shape: tuple[int, int, int], classes: int, steps: int) -> keras.Model:
    """Build the compiled model of a candidate, with its initial weights, for images that are not at hand.

    Args:
        spec: the candidate.
        image_shape: height, width, channels.
        classes: number of classes.
        steps: optimizer steps in an epoch.
    """
    # Otherwise the names of layers, which are recorded, would depend on the worker's earlier models.
    keras.utils.clear_session()
    keras.utils.set_random_seed(spec.seed)
    if spec.part == "reference":
        return TUTORIALS[spec.model].build(image_shape, classes)
    family = search_spaces.load(spec.model)(image_shape, classes, steps * spec.horizon, spec.multiply_adds)
    return family.build_from(spec.values)


def _fit(
    model: keras.Model,
    data: TrainingData,
    spec: TrialSpec,
    report: EpochReport,
    *,
    first_epoch: int = 0,
    deadline: float = math.inf,
) -> tuple[list[dict[str, float]], float]:
    """Train until the last epoch or `deadline` (time.perf_counter).

    Returns:
        The logs of all completed epochs, and wall-clock seconds.
    """
    monitor = _EpochMonitor(report, deadline)
    batches = data.training_batches(spec.seed, first_epoch, spec.epochs)
    started = time.perf_counter()
    with suppress(_TimeLimitReached), compat.silence_graph_reports():
        model.fit(
            batches,
            initial_epoch=first_epoch,
            epochs=spec.epochs,
            steps_per_epoch=data.steps,
            validation_data=data.validation_batches(),
            callbacks=[monitor],
            shuffle=False,
            verbose=0,
        )
    return monitor.logs, time.perf_counter() - started


class _EpochMonitor(keras.callbacks.Callback):  # type: ignore[misc]
    """Reports epochs; stops training if the loss is not finite or time is up."""

    def __init__(self, report: EpochReport, deadline: float) -> None:
        super().__init__()
        self.report = report
        self.deadline = deadline
        self.logs: list[dict[str, float]] = []  # of each completed epoch
        self.epoch_started = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002 - Keras'
        if time.perf_counter() > self.deadline:
            raise _TimeLimitReached

    def on_test_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.on_train_batch_end(batch, logs)

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002 - Keras'
        self.epoch_started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        logs = logs or {}
        not_finite = [f"{name} is {value}" for name, value in logs.items() if not np.isfinite(value)]
        if not_finite:
            raise NonFiniteLossError(f"{', '.join(not_finite)} after epoch {epoch + 1}")
        self.logs.append(logs)
        self.report(epoch + 1, time.perf_counter() - self.epoch_started, logs.get("val_accuracy"))


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
    text = io.StringIO()
    model.summary(print_fn=lambda line, **_: text.write(line + "\n"))
    return text.getvalue()


def weights_digest(model: keras.Model) -> str:
    """SHA-256 over all weights in order."""
    digest = hashlib.sha256()
    for weight in model.get_weights():
        digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()


def _saved(model: keras.Model) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        # Without the optimizer, whose variables are twice as large as the weights.
        portable(model).save(path)
        return path.read_bytes()
