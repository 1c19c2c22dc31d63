"""Train one candidate, inside a worker. The only place of the search that knows Keras' training interface."""

import gc
import hashlib
import io
import math
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from packaging.version import Version
from tensorflow.python.framework.ops import gradient_registry

import search_spaces
from bench.baselines.tutorials import find
from bench.data.dataset import Dataset
from bench.data.development import development
from bench.data.splits import split
from bench.errors import SearchError
from bench.machine import set_variable, silence_stderr
from bench.records.record import Curve
from bench.records.spec import Precision, TrialSpec
from bench.seeds import derive_seed
from search_spaces._recipe import BATCH_SIZE

EVALUATION_BATCH = 500
MAX_STEPS_PER_EXECUTION = 16
TIMED_STEPS = 2 * MAX_STEPS_PER_EXECUTION

# Batch normalisation is made of these; in bfloat16 they are slower, and validation accuracy falls by whole points.
KEEP_FLOAT32 = (
    "TF_AUTO_MIXED_PRECISION_GRAPH_REWRITE_INFERLIST_REMOVE",
    "Add,AddN,AddV2,Mean,Mul,RealDiv,Rsqrt,SquaredDifference,Sub,Sum",
)

State = list[NDArray[Any]]  # every variable of the model, then every variable of its optimizer
EpochReport = Callable[[int, float, float | None], None]  # epochs done, seconds of the epoch, validation accuracy


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What training one candidate gave, before the loop turns it into a record."""

    curve: Curve  # of the epochs trained here
    parameters: int
    fit_seconds: float
    task_seconds: float
    cut: bool  # whether time was up before the last epoch; the epoch that was begun is left out
    state: State | None  # where the spec asked to keep it
    refit: "Refitted | None"  # where the spec trained on the whole development part


@dataclass(frozen=True, slots=True, kw_only=True)
class Refitted:
    """What only a refit has."""

    train_accuracy: float  # inference mode, on what it was fitted on, fraction in [0, 1]
    summary: str
    weights_sha256: str
    model: bytes  # a .keras file


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTimes:
    """What a candidate costs, from a few of its steps."""

    start_seconds: float  # building and tracing
    epoch_seconds: float  # of a whole epoch, validation included
    parameters: int


class NonFiniteLossError(Exception):
    """The loss of a candidate stopped being a number."""


class _TimeLimitReached(Exception):
    """Raised between two batches, to end `fit`."""


def prepare_process(precision: Precision) -> None:
    """Set what TensorFlow keeps per process and per thread; called at the start of every task.

    Raises:
        SearchError: TensorFlow was already started with other than one thread.
    """
    for kind in ("inter", "intra"):
        if getattr(tf.config.threading, f"get_{kind}_op_parallelism_threads")() != 1:
            try:
                getattr(tf.config.threading, f"set_{kind}_op_parallelism_threads")(1)
            except RuntimeError as error:
                raise SearchError(
                    f"this worker's TensorFlow was started with other than one {kind}-op thread: start it afresh"
                ) from error
    keras.config.set_dtype_policy("float32")
    set_variable(*KEEP_FLOAT32)
    # The graph optimizer, not a dtype policy: weights and checkpoints stay float32, and it was measured faster.
    tf.config.optimizer.set_experimental_options({"auto_mixed_precision_onednn_bfloat16": precision == "bfloat16"})


def _without_reports() -> AbstractContextManager[None]:
    """Silence for `fit` where TensorFlow reports what it makes of each graph, whatever TF_CPP_MIN_LOG_LEVEL says."""
    return silence_stderr() if Version("2.18") <= Version(tf.__version__) < Version("2.21") else nullcontext()


def devices() -> tuple[str, ...]:
    """The processors that TensorFlow found, such as "CPU" or "GPU"."""
    return tuple(device.device_type for device in tf.config.list_physical_devices())


def train(
    spec: TrialSpec, state: State | None, data_dir: Path | None, seconds: float | None, report: EpochReport
) -> Trained:
    """Train the candidate of `spec`, going on from `state` where there is one.

    Args:
        spec: the candidate.
        state: what an earlier call of the same candidate kept at `spec.initial_epoch`; without it the candidate is
            trained from its first epoch, which gives the same weights and costs the epochs again.
        data_dir: folder to look for the dataset in first.
        seconds: that it may take; then it is cut short between two batches. None: as long as it takes.
        report: called after each epoch.

    Raises:
        NonFiniteLossError: the loss is no number.
    """
    begun = time.perf_counter()
    prepare_process(spec.precision)
    data, indices, held_back = _parts(spec, data_dir)
    recipe = _recipe(spec, len(data.class_names))
    steps, per_execution = steps_of_an_epoch(len(indices), recipe)
    model = _build(spec, data, training_steps=steps * spec.horizon)
    summary = _summary(model) if spec.part != "train" else ""
    first = spec.initial_epoch if state is not None else 0
    if state is not None:
        _set_state(model, state)
    batches = ordered_batches(data, indices, epoch_orders(spec.seed, len(indices), first, spec.epochs, recipe), recipe)
    model.steps_per_execution = per_execution
    watch = _EpochMonitor(report, until=math.inf if seconds is None else begun + seconds)
    fit_begun = time.perf_counter()
    with suppress(_TimeLimitReached), _without_reports():
        model.fit(
            batches,
            initial_epoch=first,
            epochs=spec.epochs,
            steps_per_epoch=steps,
            validation_data=_in_order(data, held_back, per_execution, recipe) if held_back is not None else None,
            callbacks=[watch],
            shuffle=False,
            verbose=0,
        )
    fit_seconds = time.perf_counter() - fit_begun
    cut = len(watch.logs) < spec.epochs - first
    kept = _get_state(model) if spec.keep_state and not cut else None
    refit = _refitted(model, summary, _in_order(data, indices, per_execution, recipe)) if spec.part != "train" else None
    parameters = model.count_params()
    curve = _curve(watch.logs[spec.initial_epoch - first :])
    del model, batches, watch
    _forget_graphs()
    return Trained(
        curve=curve,
        parameters=parameters,
        fit_seconds=fit_seconds,
        task_seconds=time.perf_counter() - begun,
        cut=cut,
        state=kept,
        refit=refit,
    )


def time_steps(spec: TrialSpec, data_dir: Path | None) -> StepTimes:
    """Time a few steps of the candidate of `spec`, and forget it."""
    prepare_process(spec.precision)
    data, indices, held_back = _parts(spec, data_dir)
    begun = time.perf_counter()
    steps, at_once = steps_of_an_epoch(len(indices))
    model = _build(spec, data, training_steps=steps * spec.horizon)
    model.steps_per_execution = at_once
    seconds = []
    for some in (at_once, min(TIMED_STEPS, steps) // at_once * at_once):
        rows = epoch_orders(spec.seed, len(indices), 0, 1)[:some]
        fit_begun = time.perf_counter()
        with _without_reports():
            model.fit(ordered_batches(data, indices, rows), steps_per_epoch=some, epochs=1, shuffle=False, verbose=0)
        seconds.append(time.perf_counter() - fit_begun)
    step = seconds[1] / some
    # Predicting an image is a third of training with it.
    epoch = step * (steps + (0 if held_back is None else len(held_back) / BATCH_SIZE / 3))
    return StepTimes(
        start_seconds=max(0.0, fit_begun - begun - at_once * step), epoch_seconds=epoch, parameters=model.count_params()
    )


@lru_cache(maxsize=2)
def development_part(name: str, data_dir: Path | None) -> Dataset:
    """The dataset, read once in each worker."""
    return development(name, data_dir)


def _parts(spec: TrialSpec, data_dir: Path | None) -> tuple[Dataset, NDArray[np.int64], NDArray[np.int64] | None]:
    """The development part, what to fit on, and what is held back to score on (None where nothing is)."""
    data = development_part(spec.dataset, data_dir)
    if spec.part == "train":
        train_indices, validation_indices = split(data)
        return data, train_indices, validation_indices
    everything = np.arange(len(data.labels))
    share = find(spec.family).validation_share if spec.part == "reference" else 0.0
    if share == 0:
        return data, everything, None
    at = int(len(everything) * (1 - share))  # as Keras' validation_split has it
    return data, everything[:at], everything[at:]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recipe:
    """How images are fed to `fit`."""

    batch_size: int = BATCH_SIZE
    left_out: int = 200  # one step of so many may be left out of an epoch, so that more are carried out at once
    one_hot: int = 0  # classes, where labels are one-hot; 0 where they are integers


def _recipe(spec: TrialSpec, classes: int) -> _Recipe:
    if spec.part != "reference":
        return _Recipe()
    reference = find(spec.family)
    one_hot = classes if reference.labels == "one-hot" else 0
    return _Recipe(batch_size=reference.batch_size, left_out=sys.maxsize, one_hot=one_hot)


def _build(spec: TrialSpec, data: Dataset, training_steps: int) -> keras.Model:
    # Else layers are numbered on from the worker's earlier models, and with them the names in records and files.
    keras.utils.clear_session()
    keras.utils.set_random_seed(spec.seed)
    if spec.part == "reference":
        return find(spec.family).build(data.image_shape, len(data.class_names))
    family = search_spaces.load(spec.family)(data.image_shape, len(data.class_names), training_steps)
    return family.build_from(spec.values)


def _forget_graphs() -> None:
    """Free the graphs of models that are gone; without this a worker grows with every trial."""
    # An optimizer sends its gradients through a custom gradient. TensorFlow registers it anew for each graph, and keeps
    # it, and with it the whole graph, for ever: https://github.com/tensorflow/tensorflow/issues/97697
    kept = gradient_registry._registry  # noqa: SLF001 - nothing public takes a name back
    for name in [name for name in kept if name.startswith("CustomGradient-")]:
        del kept[name]
    gc.collect()  # Keras' graphs refer to themselves


def steps_of_an_epoch(n: int, recipe: _Recipe = _Recipe()) -> tuple[int, int]:
    """Optimizer steps of an epoch over `n` images, and how many of them Keras carries out at once.

    Many at once are faster, and they must divide the steps; half a percent of the steps may be left out for that.
    """
    whole = n // min(recipe.batch_size, n)
    at_once = max(k for k in range(1, MAX_STEPS_PER_EXECUTION + 1) if whole % k <= whole // recipe.left_out)
    return whole - whole % at_once, at_once


def epoch_orders(
    seed: int,
    n: int,
    first: int,
    last: int,
    recipe: _Recipe = _Recipe(),
) -> NDArray[np.int32]:
    """Rows of batch indices, shape (epochs * steps, batch), each epoch's order a function of (seed, absolute epoch).

    What does not fill a step is left out of that epoch, so that every step has one shape.
    """
    batch = min(recipe.batch_size, n)
    steps, _ = steps_of_an_epoch(n, recipe)
    orders = [
        np.random.default_rng(derive_seed(seed, "order", epoch)).permutation(n)[: steps * batch]
        for epoch in range(first, last)
    ]
    return np.concatenate(orders).reshape(-1, batch).astype(np.int32)


def ordered_batches(
    data: Dataset,
    indices: NDArray[np.int64],
    orders: NDArray[np.int32],
    recipe: _Recipe = _Recipe(),
) -> tf.data.Dataset:
    """All batches of all epochs as one pass, so that no iterator is made anew between epochs."""
    images, labels = tf.constant(data.images[indices]), tf.constant(_labels(data, indices, recipe))
    rows = tf.data.Dataset.from_tensor_slices(orders)
    return _plain(rows.map(lambda row: (tf.gather(images, row), tf.gather(labels, row))).prefetch(2))


def _in_order(
    data: Dataset,
    indices: NDArray[np.int64],
    at_once: int,
    recipe: _Recipe = _Recipe(),
) -> tf.data.Dataset:
    pairs = tf.data.Dataset.from_tensor_slices((data.images[indices], _labels(data, indices, recipe)))
    return _plain(pairs.batch(_evaluation_batch(len(indices), at_once)).prefetch(2))


def _evaluation_batch(n: int, at_once: int) -> int:
    """The largest batch size with which `n` images make batches enough for whole executions of `at_once`.

    Keras 3.6 and before leave an execution that runs out of data, and its images, out of the scores.
    """
    sizes = range(min(EVALUATION_BATCH, n), 0, -1)
    return next((size for size in sizes if -(-n // size) % at_once == 0), sizes[0])


def _labels(data: Dataset, indices: NDArray[np.int64], recipe: _Recipe) -> NDArray[Any]:
    """Integers (n,), or one-hot rows (n, classes)."""
    labels = data.labels[indices]
    return np.eye(recipe.one_hot, dtype=np.float32)[labels] if recipe.one_hot else labels


def _plain(batches: tf.data.Dataset) -> tf.data.Dataset:
    options = tf.data.Options()
    # The autotune thread's timed wait stalls `fit` at the start of an epoch, with the processor idle.
    options.autotune.enabled = False
    options.deterministic = True
    options.threading.private_threadpool_size = 1
    return batches.with_options(options)


class _EpochMonitor(keras.callbacks.Callback):  # type: ignore[misc]
    """Keeps and reports each epoch, and ends a candidate whose loss is no number or whose time is up."""

    def __init__(self, report: EpochReport, until: float) -> None:
        super().__init__()
        self.report = report
        self.until = until
        self.logs: list[dict[str, float]] = []  # of each whole epoch
        self.begun = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002 - Keras'
        if time.perf_counter() > self.until:
            raise _TimeLimitReached

    def on_test_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.on_train_batch_end(batch, logs)

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002 - Keras'
        self.begun = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        logs = logs or {}
        wrong = [f"{name} is {value}" for name, value in logs.items() if not np.isfinite(value)]
        if wrong:
            raise NonFiniteLossError(f"{', '.join(wrong)} after epoch {epoch + 1}")
        self.logs.append(logs)
        self.report(epoch + 1, time.perf_counter() - self.begun, logs.get("val_accuracy"))


def _curve(logs: Sequence[dict[str, float]]) -> Curve:
    def values(name: str) -> tuple[float, ...]:
        return tuple(float(epoch[name]) for epoch in logs if name in epoch)

    return Curve(
        training_loss=values("loss"),
        training_accuracy=values("accuracy"),
        validation_loss=values("val_loss"),
        validation_accuracy=values("val_accuracy"),
    )


def _variables(model: keras.Model) -> Sequence[keras.Variable]:
    # `variables` has the layers' random states too, so that dropout goes on where it stopped.
    return [*model.variables, *model.optimizer.variables]


def _get_state(model: keras.Model) -> State:
    return [keras.ops.convert_to_numpy(variable) for variable in _variables(model)]


def _set_state(model: keras.Model, state: State) -> None:
    model.optimizer.build(model.trainable_variables)
    for variable, value in zip(_variables(model), state, strict=True):
        variable.assign(value)


def _summary(model: keras.Model) -> str:
    """Keras' table of layers, as plain text; of a new model, since the weights of an optimizer are none of its own."""
    text = io.StringIO()
    model.summary(print_fn=lambda line, **_: text.write(line + "\n"))
    return text.getvalue()


def _refitted(model: keras.Model, summary: str, fitted: tf.data.Dataset) -> Refitted:
    scores = model.evaluate(fitted, verbose=0, return_dict=True)
    digest = hashlib.sha256()
    for weight in model.get_weights():
        digest.update(np.ascontiguousarray(weight).tobytes())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        # Without the optimizer, whose averages are twice the size of the weights.
        keras.Model(model.inputs, model.outputs, name=model.name).save(path)
        content = path.read_bytes()
    return Refitted(
        train_accuracy=float(scores["accuracy"]),
        summary=summary,
        weights_sha256=digest.hexdigest(),
        model=content,
    )
