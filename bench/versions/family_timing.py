"""Time the default candidate of a family, by `python -m bench.versions.family_timing FILE FAMILY DATASET`.

Optional arguments are those of --image-size, --class-names and --pixel-range, empty for the default.

The operations are those of bench.versions.operations that concern a model, on random images of the dataset's shape.
"""

import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import keras
import msgspec
import numpy as np
import tensorflow as tf

import search_spaces
from bench.data import catalog
from bench.data.samples import Reading
from bench.machine import git_commit
from bench.records.choices import PIXEL_RANGES
from bench.training.batches import Batching
from bench.training.custom.family import CustomFamily
from bench.training.custom.interface import Interface
from bench.training.family import LoadedFamily, SuiteFamily, load_family
from bench.training.files import own_objects
from bench.versions.operations import PREDICT_APIS, Task
from bench.versions.record import ProcessStart, Timing
from bench.versions.timing import REFERENCE, median_seconds, reference_seconds
from bench.versions.workloads import STEPS, VALIDATION_BATCHES, reset, use_one_thread


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Workload:
    """The default candidate of a family, and random images for it."""

    family: LoadedFamily
    image_shape: tuple[int, int, int]
    classes: int
    interface: Interface | None  # None for a Family
    batching: Batching

    def fresh_model(self) -> keras.Model:
        """The compiled model, with its initial weights."""
        if isinstance(self.family, SuiteFamily):
            reset()
            return self.family.build({})
        return self.family.build({}, seed=0).model

    def unchecked_model(self) -> keras.Model:
        """The same as the family's code returns it: not prepared for the images, and in the current session."""
        return self.family.build({}) if isinstance(self.family, SuiteFamily) else self.family.unchecked_default()

    def batch(self, size: int | None = None) -> tuple[Any, Any]:
        """Random images as the model takes them, and labels as its loss does."""
        random, n = np.random.default_rng(1), size or self.batching.batch_size
        images = random.integers(0, 256, (n, *self.image_shape), dtype=np.uint8)
        labels = self.batching.labels(random.integers(0, self.classes, n))
        return images if self.interface is None else self.interface.arrays(images), labels

    def batches(self, count: int) -> tf.data.Dataset:
        """A typical tf.data pipeline, without the autotune thread."""
        options = tf.data.Options()
        options.autotune.enabled = False
        size = self.batching.batch_size
        pairs = tf.data.Dataset.from_tensor_slices(self.batch(count * size))
        return pairs.batch(size).prefetch(2).with_options(options)


def load_workload(
    family: str, dataset: str, image_size: str = "", class_names: str = "", pixel_range: str = ""
) -> Workload:
    """The workload of a family, as `--family` takes it, and a dataset; empty options are not given."""
    height, _, width = image_size.partition("x")
    reading = Reading(
        image_size=(int(height), int(width)) if image_size else None,
        class_names=tuple(class_names.split(",")) if class_names else (),
    )
    definition = catalog.locate(dataset, reading=reading).definition()
    shape, classes = definition.image_shape, len(definition.class_names)
    pixels = next((each for each in PIXEL_RANGES if each == pixel_range), None)
    loaded = load_family(search_spaces.locate(family), shape, classes, pixel_range=pixels)
    if not isinstance(loaded, CustomFamily):
        return Workload(family=loaded, image_shape=shape, classes=classes, interface=None, batching=Batching())
    interface = loaded.build({}, seed=0).interface
    return Workload(
        family=loaded, image_shape=shape, classes=classes, interface=interface, batching=loaded.batching(interface)
    )


def operations(workload: Workload) -> dict[str, Callable[[Path], Task]]:
    """All operations by name."""
    return {
        "build": partial(_build, workload),
        "first_step": partial(_first_step, workload),
        "step": partial(_step, workload),
        "train_on_batch": partial(_train_on_batch, workload),
        "epoch": partial(_epoch, workload),
        "save": partial(_save, workload),
        "load": partial(_load, workload),
        **{
            f"predict[{api}-{size}]": partial(_predict, workload, call, size)
            for api, call in PREDICT_APIS.items()
            for size in (1, 256)
        },
    }


def _build(workload: Workload, _: Path) -> Task:
    def setup() -> tuple[()]:
        reset()  # not timed, as in bench.versions.operations
        return ()

    return Task(
        run=workload.unchecked_model,
        setup=setup,
        is_valid=lambda built: built.compiled,
        rounds=5,
        warmup_rounds=1,
        config=_config,
    )


def _config(model: keras.Model) -> dict[str, Any]:
    """The settings of layers and optimizer, as far as JSON can hold them."""
    settings = {
        "layers": {layer.name: layer.get_config() for layer in model.layers},
        "optimizer": model.optimizer.get_config(),
    }
    plain: dict[str, Any] = json.loads(json.dumps(settings, default=str))
    return plain


def _first_step(workload: Workload, _: Path) -> Task:
    data = workload.batch()
    return Task(
        run=lambda built: built.train_on_batch(*data),
        setup=lambda: (workload.fresh_model(),),
        is_valid=_is_finite,
        rounds=3,
    )


def _step(workload: Workload, _: Path) -> Task:
    built, data = workload.fresh_model(), iter(workload.batches(1).repeat())
    built.make_train_function()
    return Task(run=lambda: float(built.train_function(data)["loss"]), is_valid=_is_finite, rounds=30, warmup_rounds=3)


def _train_on_batch(workload: Workload, _: Path) -> Task:
    built, data = workload.fresh_model(), workload.batch()
    return Task(run=lambda: built.train_on_batch(*data), is_valid=_is_finite, rounds=10, warmup_rounds=2)


def _epoch(workload: Workload, _: Path) -> Task:
    built, data, validation = workload.fresh_model(), workload.batches(STEPS), workload.batches(VALIDATION_BATCHES)
    return Task(
        run=lambda: built.fit(data, validation_data=validation, epochs=1, shuffle=False, verbose=0),
        is_valid=lambda fitted: "val_loss" in fitted.history,
        rounds=3,
        warmup_rounds=1,
    )


def _predict(
    workload: Workload, api: Callable[[keras.Model, Path], Callable[[Any], Any]], size: int, folder: Path
) -> Task:
    built, images = workload.fresh_model(), workload.batch(size)[0]
    call = api(built, folder)
    return Task(
        run=lambda: call(images),
        is_valid=lambda scores: np.asarray(scores).shape == (size, workload.classes),
        rounds=20,
        warmup_rounds=3,
    )


def _save(workload: Workload, folder: Path) -> Task:
    built, path = _trained(workload), folder / "model.keras"
    return Task(run=lambda: built.save(path), is_valid=lambda _: path.stat().st_size > 0, rounds=5, warmup_rounds=1)


def _load(workload: Workload, folder: Path) -> Task:
    built, path = _trained(workload), folder / "model.keras"
    built.save(path)
    objects = own_objects(path.read_bytes())
    return Task(
        run=lambda: keras.models.load_model(path, custom_objects=objects, compile=False, safe_mode=False),
        is_valid=lambda loaded: loaded.count_params() == built.count_params(),
        rounds=5,
        warmup_rounds=1,
    )


def _trained(workload: Workload) -> keras.Model:
    built = workload.fresh_model()
    built.train_on_batch(*workload.batch())
    return built


def _is_finite(values: Any) -> bool:
    return bool(np.isfinite(values).all())


def measure_process(family: str, dataset: str, *options: str) -> tuple[ProcessStart, dict[str, Any]]:
    """Time all operations in this process; arguments are those of `load_workload`.

    Returns:
        The measurements; and the settings of layers and optimizer, by operation.
    """
    started = datetime.now(UTC).isoformat(timespec="seconds")
    use_one_thread()
    workload = load_workload(family, dataset, *options)
    timings, configs = dict[str, Timing](), dict[str, Any]()
    for operation, prepare in operations(workload).items():
        before = reference_seconds()
        with tempfile.TemporaryDirectory() as folder:
            task = prepare(Path(folder))
            seconds, result = median_seconds(task)
            if task.config is not None:
                configs[operation] = task.config(result)
        reference = (before + reference_seconds()) / 2
        timings[operation] = Timing(seconds=seconds, rounds=task.rounds, reference_seconds=reference)
    start = ProcessStart(
        started=started,
        git_commit=git_commit(Path(__file__).parents[1]),
        threads=tf.config.threading.get_intra_op_parallelism_threads(),
        reference=REFERENCE,
        operations=timings,
        facts={},
    )
    return start, configs


if __name__ == "__main__":
    file, *named = sys.argv[1:]
    search_spaces.add_current_folder()
    Path(file).write_bytes(msgspec.json.encode(measure_process(*named)))
