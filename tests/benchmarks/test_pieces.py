"""What working with a Keras model is made of, each piece timed: `pytest tests/benchmarks -m slow --benchmark-only`.

`bench versions --measure` runs this file in the interpreter of each version, many times in turn. Beside each piece a
matrix product is timed, by which its seconds are divided: the machine is not equally fast at all times.

The images are random: how long a step takes does not depend on what is in them. One thread, float32.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from pytest_benchmark.fixture import BenchmarkFixture
from scipy.linalg.blas import sgemm
from threadpoolctl import threadpool_limits

from bench.data.dataset import Dataset
from bench.search.training import epoch_orders, ordered_batches, steps_of_an_epoch
from search_spaces._references import find

pytestmark = pytest.mark.slow

MODELS = {"dense": "tutorial-dense-128", "cnn": "tutorial-cnn"}
SHAPE, CLASSES, BATCH = (28, 28, 1), 10, 128
STEPS, VALIDATION_BATCHES = 40, 10  # of an epoch
LONG_EPOCH, LONG_EPOCHS = 48_000, 7  # images, and how many times they are trained on
SIDE = 768  # of the matrices

IMPORTING = f"import sys; sys.path[:0] = {sys.path!r}; from benchmarks import test_pieces as pieces"

Batch = tuple[Any, Any]


def one_thread() -> None:
    """For this process; before TensorFlow computes anything."""
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(1)


@pytest.fixture(scope="module", autouse=True)
def _one_thread(request: pytest.FixtureRequest) -> None:
    # Where nothing is measured, another test of the same process may have started TensorFlow.
    if not request.config.getoption("benchmark_disable"):
        one_thread()


@pytest.fixture(autouse=True)
def _reference(benchmark: BenchmarkFixture) -> Iterator[None]:
    """Time the reference workload before and after each piece."""
    before = matrix_product()
    yield
    benchmark.extra_info["reference_seconds"] = (before + matrix_product()) / 2


def matrix_product() -> float:
    """Seconds of one product of two square matrices in float32; the median of five.

    By SciPy's library, which is one and the same in all environments, where NumPy's and TensorFlow's are not.
    """
    one = np.asfortranarray(np.random.default_rng(0).random((SIDE, SIDE), dtype=np.float32))
    seconds = []
    with threadpool_limits(1):
        for _ in range(5):
            begun = time.perf_counter()
            sgemm(1.0, one, one)
            seconds.append(time.perf_counter() - begun)
    return float(np.median(seconds))


@pytest.fixture(params=MODELS)
def name(request: pytest.FixtureRequest) -> str:
    """Of a reference."""
    return MODELS[request.param]


def built(name: str) -> keras.Model:
    clear()
    return build(name)


def clear() -> None:
    keras.utils.clear_session()
    keras.utils.set_random_seed(0)


def build(name: str) -> keras.Model:
    return find(name).build(SHAPE, CLASSES)


def batch(name: str, size: int = BATCH) -> Batch:
    random = np.random.default_rng(1)
    images = random.integers(0, 256, (size, *SHAPE), dtype=np.uint8)
    labels = random.integers(0, CLASSES, size)
    return images, np.eye(CLASSES, dtype=np.float32)[labels] if find(name).labels == "one-hot" else labels


def batches(name: str, count: int) -> tf.data.Dataset:
    """As Keras' users write it, but without the autotune thread, whose waits are a benchmark of their own."""
    options = tf.data.Options()
    options.autotune.enabled = False
    return tf.data.Dataset.from_tensor_slices(batch(name, count * BATCH)).batch(BATCH).prefetch(2).with_options(options)


def python(code: str) -> str:
    """What a new process prints; as this one, it may keep compiled code, so that only the first one of all compiles."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": ""},
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ).stdout


def test_import(benchmark: BenchmarkFixture) -> None:
    """Start Python, import TensorFlow and Keras."""
    benchmark.pedantic(python, ("import tensorflow, keras",))


def test_build(benchmark: BenchmarkFixture, name: str) -> None:
    """Make the layers, and compile."""
    build(name)
    # clear_session collects garbage, in newer versions of Keras for most of the time of both.
    model = benchmark.pedantic(build, (name,), setup=clear, rounds=5)
    benchmark.extra_info["config"] = config(name, model)
    assert model.count_params() > 100_000


def config(name: str, model: keras.Model) -> dict[str, Any]:
    """What the layers, their initializers, the optimizer and the loss are set to."""
    model.train_on_batch(*batch(name))
    return {
        "layers": {layer.name: layer.get_config() for layer in model.layers},
        "optimizer": model.optimizer.get_config(),
        "loss": model.loss.get_config(),
    }


def test_first_step(benchmark: BenchmarkFixture, name: str) -> None:
    """The step in which the training function is traced."""
    data = batch(name)
    losses = benchmark.pedantic(lambda model: model.train_on_batch(*data), setup=lambda: ((built(name),), {}), rounds=3)
    assert np.isfinite(losses).all()


def test_step(benchmark: BenchmarkFixture, name: str) -> None:
    """A step of training, once traced, as `fit` takes it."""
    model, data = built(name), iter(batches(name, 1).repeat())
    model.make_train_function()
    logs = benchmark.pedantic(lambda: float(model.train_function(data)["loss"]), rounds=30, warmup_rounds=3)
    assert np.isfinite(logs)


def test_train_on_batch(benchmark: BenchmarkFixture, name: str) -> None:
    """The same by `train_on_batch`, from its second call on."""
    model, data = built(name), batch(name)
    benchmark.pedantic(model.train_on_batch, data, rounds=10, warmup_rounds=2)


def test_epoch(benchmark: BenchmarkFixture, name: str) -> None:
    """An epoch of `fit`, with validation."""
    model, data, validation = built(name), batches(name, STEPS), batches(name, VALIDATION_BATCHES)

    def fit() -> Any:
        return model.fit(data, validation_data=validation, epochs=1, shuffle=False, verbose=0)

    history = benchmark.pedantic(fit, rounds=3, warmup_rounds=1)
    assert set(history.history) == {"loss", "accuracy", "val_loss", "val_accuracy"}


@pytest.mark.parametrize("size", [1, 256])
@pytest.mark.parametrize("way", ["call", "predict", "exported"])
def test_predict(benchmark: BenchmarkFixture, name: str, way: str, size: int, tmp_path: Path) -> None:
    """One batch: by `model(images)`, by `model.predict`, and by the function of an exported model."""
    model, images = built(name), batch(name, size)[0]
    found = benchmark.pedantic(_way(model, way, tmp_path), (images,), rounds=20, warmup_rounds=3)
    assert np.asarray(found).shape == (size, CLASSES)


def _way(model: keras.Model, way: str, folder: Path) -> Callable[[Any], Any]:
    if way == "call":
        return lambda images: np.asarray(model(images, training=False))
    if way == "predict":
        return lambda images: model.predict(images, verbose=0)
    model.export(str(folder / "exported"))
    exported = tf.saved_model.load(str(folder / "exported"))
    return lambda images: exported.serve(tf.constant(images)).numpy()


def test_save(benchmark: BenchmarkFixture, name: str, tmp_path: Path) -> None:
    """Write a .keras file, optimizer included."""
    model, path = built(name), tmp_path / "model.keras"
    model.train_on_batch(*batch(name))
    benchmark.pedantic(model.save, (path,), rounds=5, warmup_rounds=1)
    assert path.stat().st_size > 0


def test_load(benchmark: BenchmarkFixture, name: str, tmp_path: Path) -> None:
    """Read it again."""
    model, path = built(name), tmp_path / "model.keras"
    model.train_on_batch(*batch(name))
    model.save(path)
    loaded = benchmark.pedantic(keras.models.load_model, (path,), rounds=5, warmup_rounds=1)
    assert loaded.count_params() == model.count_params()


# The autotune thread of tf.data


SHORTEST_WAIT = 0.1  # mean seconds, where one epoch of six waits as the autotune thread makes it


class Idle(keras.callbacks.Callback):  # type: ignore[misc]
    """Seconds at the start of each epoch in which nothing was computed, its first batch not yet begun."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self._begun = (0.0, 0.0)

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        self._begun = (time.perf_counter(), time.process_time())

    def on_train_batch_begin(self, batch: int, logs: object = None) -> None:
        if batch == 0:
            wall, processor = time.perf_counter() - self._begun[0], time.process_time() - self._begun[1]
            self.seconds.append(max(0.0, wall - processor))


def idle_start(data: str) -> float:
    """Mean seconds that an epoch of `fit` waits before it begins: on arrays, or on the pipeline of this suite."""
    name, idle = MODELS["dense"], Idle()
    images, labels = batch(name, LONG_EPOCH)
    given = (
        {"x": images, "y": labels, "batch_size": BATCH}
        if data == "arrays"
        else {"x": pipeline(images, labels), "steps_per_epoch": steps_of_an_epoch(LONG_EPOCH)[0], "shuffle": False}
    )
    built(name).fit(**given, epochs=LONG_EPOCHS, verbose=0, callbacks=[idle])
    return float(np.mean(idle.seconds[1:]))  # the first epoch has no iterator before it to wait for


def pipeline(images: Any, labels: Any) -> tf.data.Dataset:
    """What this suite trains on."""
    names = tuple(map(str, range(CLASSES)))
    data = Dataset(
        name="random", title="Random", images=images, labels=labels, class_names=names, source="here", licence="none"
    )
    return ordered_batches(data, np.arange(len(labels)), epoch_orders(0, len(labels), 0, LONG_EPOCHS))


def test_idle_start_of_an_epoch(benchmark: BenchmarkFixture) -> None:
    """How long epochs wait for tf.data, with TensorFlow's own number of threads, as in a plain script."""
    code = f"{IMPORTING}; print(pieces.idle_start('arrays'), pieces.idle_start('pipeline'))"
    arrays, ours = map(float, benchmark.pedantic(python, (code,)).split())
    benchmark.extra_info["facts"] = {"idle seconds an epoch, arrays": arrays, "idle seconds an epoch, this suite": ours}
    assert ours < SHORTEST_WAIT


def test_memory(benchmark: BenchmarkFixture, name: str) -> None:
    """What a process has in memory that has trained a model for an epoch."""
    code = (
        f"{IMPORTING}; pieces.one_thread(); "
        f"pieces.built({name!r}).fit(pieces.batches({name!r}, pieces.STEPS), epochs=1, verbose=0); "
        "import psutil; print(psutil.Process().memory_info().rss)"
    )
    megabytes = int(benchmark.pedantic(python, (code,))) / 1e6
    benchmark.extra_info["facts"] = {f"megabytes, {find(name).name}": megabytes}
    assert megabytes > 100
