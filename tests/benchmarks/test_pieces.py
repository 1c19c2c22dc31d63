"""What working with a Keras model is made of, each piece timed: `pytest tests/benchmarks -m slow --benchmark-only`.

`bench versions --measure` runs this file in the interpreter of each version, many times in turn. Beside each piece a
matrix product is timed, by which its seconds are divided: the machine is not equally fast at all times.

The images are random: how long a step takes does not depend on what is in them. One thread, float32.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import scipy
import tensorflow as tf
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pytest_benchmark.fixture import BenchmarkFixture
from scipy.linalg.blas import sgemm
from threadpoolctl import threadpool_limits

from bench.data.dataset import Dataset
from bench.training.fit import epoch_orders, ordered_batches, steps_of_an_epoch
from benchmarks.workloads import (
    CLASSES,
    LONG_EPOCH,
    LONG_EPOCHS,
    MODELS,
    STEPS,
    VALIDATION_BATCHES,
    Starts,
    batch,
    batches,
    build,
    built,
    clear,
    one_thread,
)

pytestmark = pytest.mark.slow

SIDE = 768  # of the matrices
SHORTEST_WAIT = 0.1  # mean seconds, where one epoch of six waits as the autotune thread makes it


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
    benchmark.extra_info["reference"] = f"SciPy {scipy.__version__}"
    benchmark.extra_info["reference_seconds"] = (before + matrix_product()) / 2
    benchmark.extra_info["threads"] = tf.config.threading.get_intra_op_parallelism_threads()


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
    """Of a model."""
    return str(request.param)


def python(code: str, hidden: Sequence[str] = ()) -> str:
    """What a new process prints that runs `code` and cannot import the modules `hidden`."""
    prepare = f"import sys; sys.path[:0] = {sys.path!r}; sys.modules.update(dict.fromkeys({hidden!r}))"
    return subprocess.run(
        [sys.executable, "-c", f"{prepare}; {code}"],
        # It may keep compiled code, so that only the first one of all compiles.
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": ""},
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ).stdout


def others() -> list[str]:
    """Modules that TensorFlow and Keras do not need; Keras imports some of them where it finds them."""
    needed = {"keras-family-bench", "psutil"}  # by what is run
    _add_needs("tensorflow", needed)
    _add_needs("keras", needed)
    return [
        module
        for module, distributions in metadata.packages_distributions().items()
        if needed.isdisjoint(map(canonicalize_name, distributions))
    ]


def _add_needs(name: str, needed: set[str]) -> None:
    """Add a distribution and, one after the other, what it asks for in this environment."""
    if canonicalize_name(name) in needed:
        return
    needed.add(canonicalize_name(name))
    for requirement in map(Requirement, metadata.requires(name) or ()):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            _add_needs(requirement.name, needed)


@pytest.mark.parametrize("where", ["alone", "among others"])
def test_import(benchmark: BenchmarkFixture, where: str) -> None:
    """Start Python, import TensorFlow and Keras; alone, or where scikit-learn and more can be found."""
    benchmark.pedantic(python, ("import tensorflow, keras", others() if where == "alone" else []))


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
    """The same by `train_on_batch`, from its third call on."""
    model, data = built(name), batch(name)
    losses = benchmark.pedantic(model.train_on_batch, data, rounds=10, warmup_rounds=2)
    assert np.isfinite(losses).all()


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
        return lambda images: model.predict(images, batch_size=len(images), verbose=0)
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


# What is more than a time


def test_memory(benchmark: BenchmarkFixture, name: str) -> None:
    """What a process has in memory that has trained a model for an epoch, and what of it it does not share."""
    code = f"from benchmarks import workloads; print(*workloads.megabytes({name!r}))"
    resident, own = map(float, benchmark.pedantic(python, (code, others())).split())
    benchmark.extra_info["facts"] = {f"megabytes, {name}": resident, f"megabytes of its own, {name}": own}
    assert 100 < own < resident


def test_start_of_an_epoch(benchmark: BenchmarkFixture) -> None:
    """How long epochs wait for tf.data, with TensorFlow's own number of threads, as in a plain script."""
    ways = {
        "arrays": ("from benchmarks.workloads import starts_on_arrays as starts", others()),
        "this suite": ("from benchmarks.test_pieces import starts_on_our_pipeline as starts", []),
    }

    def both() -> dict[str, float]:
        found: dict[str, float] = {}
        for way, (importing, hidden) in ways.items():
            seconds, idle = map(float, python(f"{importing}; print(*starts())", hidden).split())
            found |= {f"seconds at the start of an epoch, {way}": seconds, f"of these idle, {way}": idle}
        return found

    found = benchmark.extra_info["facts"] = benchmark.pedantic(both)
    if benchmark.disabled:  # a measurement of hours does not end where the machine falters for a moment
        assert found["seconds at the start of an epoch, this suite"] < SHORTEST_WAIT


def starts_on_our_pipeline() -> tuple[float, float]:
    """Seconds and idle seconds at the start of an epoch of what this suite trains on."""
    images, labels = batch("dense", LONG_EPOCH)
    names = tuple(map(str, range(CLASSES)))
    data = Dataset(
        name="random", title="Random", images=images, labels=labels, class_names=names, source="here", licence="none"
    )
    pipeline = ordered_batches(data, np.arange(LONG_EPOCH), epoch_orders(0, LONG_EPOCH, 0, LONG_EPOCHS))
    steps, starts = steps_of_an_epoch(LONG_EPOCH)[0], Starts()
    built("dense").fit(
        pipeline, steps_per_epoch=steps, epochs=LONG_EPOCHS, shuffle=False, verbose=0, callbacks=[starts]
    )
    return starts.means()
