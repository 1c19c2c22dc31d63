"""The workloads of the timed operations: two published models, random images, and a typical tf.data pipeline.

Imports little besides TensorFlow and Keras, so that memory is measured as in a small script.
"""

import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from bench.baselines.tutorials import TUTORIALS

MODELS = {"dense": "tutorial-dense-128", "cnn": "tutorial-cnn"}
SHAPE, CLASSES, BATCH = (28, 28, 1), 10, 128
STEPS, VALIDATION_BATCHES = 40, 10  # per epoch
LONG_EPOCH, LONG_EPOCHS = 48_000, 7  # images per epoch, and epochs, for measuring the delay at the start of an epoch

Batch = tuple[Any, Any]


def use_one_thread() -> None:
    """Limit TensorFlow to one thread; must be called before it computes anything."""
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(1)


def reset() -> None:
    """Release earlier models and reset the seeds, so that every model starts from the same weights."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(0)


def build(name: str) -> keras.Model:
    """The compiled model `name` of MODELS."""
    return TUTORIALS[MODELS[name]].build(SHAPE, CLASSES)


def fresh_model(name: str) -> keras.Model:
    """The same after `reset`."""
    reset()
    return build(name)


def batch(name: str, size: int = BATCH) -> Batch:
    """Random images, and labels in the encoding that the model's loss expects."""
    random = np.random.default_rng(1)
    images = random.integers(0, 256, (size, *SHAPE), dtype=np.uint8)
    labels = random.integers(0, CLASSES, size)
    one_hot = TUTORIALS[MODELS[name]].labels == "one-hot"
    return images, np.eye(CLASSES, dtype=np.float32)[labels] if one_hot else labels


def batches(name: str, count: int) -> tf.data.Dataset:
    """A typical tf.data pipeline, but without the autotune thread, whose delays are measured separately."""
    options = tf.data.Options()
    options.autotune.enabled = False
    return tf.data.Dataset.from_tensor_slices(batch(name, count * BATCH)).batch(BATCH).prefetch(2).with_options(options)


def memory_after_training(name: str) -> tuple[float, float]:
    """Resident set and unique set of this process in megabytes, after it has trained the model for an epoch.

    The resident set includes mapped library files, which is more if they were in the page cache.
    """
    use_one_thread()
    fresh_model(name).fit(batches(name, STEPS), epochs=1, verbose=0)
    import psutil  # type: ignore[import-untyped]  # imported after training, so that it does not add to it

    memory = psutil.Process().memory_full_info()
    return memory.rss / 1e6, memory.uss / 1e6


class EpochStartTimer(keras.callbacks.Callback):  # type: ignore[misc]
    """Measures the delay between the start of an epoch and its first batch."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []  # one per epoch
        self.idle: list[float] = []  # the part during which no thread of this process used the CPU
        self._started = (0.0, 0.0)

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:  # noqa: ARG002
        """Start the clocks."""
        self._started = (time.perf_counter(), time.process_time())

    def on_train_batch_begin(self, batch: int, logs: object = None) -> None:  # noqa: ARG002
        """Stop the clocks at the first batch."""
        if batch == 0:
            seconds, cpu_seconds = time.perf_counter() - self._started[0], time.process_time() - self._started[1]
            self.seconds.append(seconds)
            self.idle.append(max(0.0, seconds - cpu_seconds))

    def means(self) -> tuple[float, float]:
        """Mean delay and mean idle time in seconds, without the first epoch, which has no earlier iterator."""
        return float(np.mean(self.seconds[1:])), float(np.mean(self.idle[1:]))


def epoch_start_delay_with_arrays() -> tuple[float, float]:
    """Mean delay and idle time in seconds with arrays given to `fit` and TensorFlow's default threads."""
    timer = EpochStartTimer()
    fresh_model("dense").fit(*batch("dense", LONG_EPOCH), BATCH, epochs=LONG_EPOCHS, verbose=0, callbacks=[timer])
    return timer.means()


def epoch_start_delay_with_suite_pipeline() -> tuple[float, float]:
    """The same with the input pipeline that this suite trains from."""
    # Imported here because no other workload may import them: see the module's docstring.
    from bench.data.dataset import Dataset
    from bench.training.batches import TrainingData

    images, labels = batch("dense", LONG_EPOCH)
    names = tuple(map(str, range(CLASSES)))
    dataset = Dataset(
        name="random", title="Random", images=images, labels=labels, class_names=names, source="random", license="none"
    )
    data, timer = TrainingData(dataset=dataset, fitted=np.arange(LONG_EPOCH), held_back=None), EpochStartTimer()
    fresh_model("dense").fit(
        data.training_batches(0, 0, LONG_EPOCHS),
        steps_per_epoch=data.steps,
        epochs=LONG_EPOCHS,
        shuffle=False,
        verbose=0,
        callbacks=[timer],
    )
    return timer.means()
