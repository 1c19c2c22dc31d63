"""The timed operations: typical uses of Keras, on random images, with one thread, in float32.

`bench versions measure` times them in the interpreter of each version, tests/benchmarks/test_operations.py by
pytest-benchmark in the current one. Random images suffice: the time of a step does not depend on their content.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from bench.versions.child_process import optional_modules, output_of
from bench.versions.workloads import (
    CLASSES,
    MODELS,
    STEPS,
    VALIDATION_BATCHES,
    batch,
    batches,
    build,
    fresh_model,
    reset,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """An operation, ready to be timed."""

    run: Callable[..., Any]  # is timed
    setup: Callable[[], tuple[Any, ...]] = tuple  # before each round, not timed; returns the arguments of `run`
    is_valid: Callable[[Any], bool]  # whether a result of `run` is as expected
    rounds: int
    warmup_rounds: int = 0  # run first and not timed
    config: Callable[[Any], dict[str, Any]] | None = None  # of the model that `run` returns


Prepare = Callable[[Path], Task]  # takes a folder for temporary files; not timed


def operations() -> dict[str, Prepare]:
    """All operations by name, such as step[cnn], in the order in which they are timed."""
    per_model = (build_model, first_step, step, train_on_batch, epoch, save, load)
    return {
        "import[alone]": lambda _: import_libraries(optional_modules()),
        "import[among others]": lambda _: import_libraries([]),
        **{
            f"{prepare.__name__.removesuffix('_model')}[{model}]": partial(prepare, model)
            for prepare, model in product(per_model, MODELS)
        },
        **{
            f"predict[{model}-{api}-{size}]": partial(predict, model, call, size)
            for model, (api, call), size in product(MODELS, PREDICT_APIS.items(), (1, 256))
        },
    }


def import_libraries(hidden: Sequence[str]) -> Task:
    """Start Python and import TensorFlow and Keras, without the modules `hidden`."""
    return Task(run=lambda: output_of("import tensorflow, keras", hidden), is_valid=lambda _: True, rounds=1)


def build_model(model: str, _: Path) -> Task:
    """Create the layers and compile."""
    build(model)

    def setup() -> tuple[()]:
        # Not timed: clear_session collects garbage, which in newer versions of Keras takes longer than building.
        reset()
        return ()

    return Task(
        run=lambda: build(model),
        setup=setup,
        is_valid=lambda built: built.count_params() > 100_000,
        rounds=5,
        config=partial(_config, model),
    )


def _config(name: str, model: keras.Model) -> dict[str, Any]:
    """The settings of the layers, their initializers, the optimizer and the loss."""
    model.train_on_batch(*batch(name))
    return {
        "layers": {layer.name: layer.get_config() for layer in model.layers},
        "optimizer": model.optimizer.get_config(),
        "loss": model.loss.get_config(),
    }


def first_step(model: str, _: Path) -> Task:
    """The first `train_on_batch`, which traces the training function."""
    data = batch(model)
    return Task(
        run=lambda built: built.train_on_batch(*data),
        setup=lambda: (fresh_model(model),),
        is_valid=_is_finite,
        rounds=3,
    )


def step(model: str, _: Path) -> Task:
    """One training step as `fit` executes it, after tracing."""
    built, data = fresh_model(model), iter(batches(model, 1).repeat())
    built.make_train_function()
    return Task(run=lambda: float(built.train_function(data)["loss"]), is_valid=_is_finite, rounds=30, warmup_rounds=3)


def train_on_batch(model: str, _: Path) -> Task:
    """One step by `train_on_batch`, from its third call on."""
    built, data = fresh_model(model), batch(model)
    return Task(run=lambda: built.train_on_batch(*data), is_valid=_is_finite, rounds=10, warmup_rounds=2)


def epoch(model: str, _: Path) -> Task:
    """One epoch of `fit`, with validation."""
    built, data, validation = fresh_model(model), batches(model, STEPS), batches(model, VALIDATION_BATCHES)
    return Task(
        run=lambda: built.fit(data, validation_data=validation, epochs=1, shuffle=False, verbose=0),
        is_valid=lambda fitted: set(fitted.history) == {"loss", "accuracy", "val_loss", "val_accuracy"},
        rounds=3,
        warmup_rounds=1,
    )


def predict(model: str, api: Callable[[keras.Model, Path], Callable[[Any], Any]], size: int, folder: Path) -> Task:
    """Predict one batch of `size` images."""
    built, images = fresh_model(model), batch(model, size)[0]
    call = api(built, folder)
    return Task(
        run=lambda: call(images),
        is_valid=lambda scores: np.asarray(scores).shape == (size, CLASSES),
        rounds=20,
        warmup_rounds=3,
    )


def _by_call(model: keras.Model, _: Path) -> Callable[[Any], Any]:
    return lambda images: np.asarray(model(images, training=False))


def _by_predict(model: keras.Model, _: Path) -> Callable[[Any], Any]:
    return lambda images: model.predict(images, batch_size=len(images), verbose=0)


def _by_exported_function(model: keras.Model, folder: Path) -> Callable[[Any], Any]:
    model.export(str(folder / "exported"))
    exported = tf.saved_model.load(str(folder / "exported"))
    return lambda images: exported.serve(tf.constant(images)).numpy()


PREDICT_APIS = {"call": _by_call, "predict": _by_predict, "exported": _by_exported_function}


def save(model: str, folder: Path) -> Task:
    """Write a .keras file, optimizer included."""
    built, path = _trained(model), folder / "model.keras"
    return Task(run=lambda: built.save(path), is_valid=lambda _: path.stat().st_size > 0, rounds=5, warmup_rounds=1)


def load(model: str, folder: Path) -> Task:
    """Read a .keras file, optimizer included."""
    built, path = _trained(model), folder / "model.keras"
    built.save(path)
    return Task(
        run=lambda: keras.models.load_model(path),
        is_valid=lambda loaded: loaded.count_params() == built.count_params(),
        rounds=5,
        warmup_rounds=1,
    )


def _trained(model: str) -> keras.Model:
    built = fresh_model(model)
    built.train_on_batch(*batch(model))
    return built


def _is_finite(values: Any) -> bool:
    return bool(np.isfinite(values).all())
