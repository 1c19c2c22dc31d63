"""What is timed, as users of Keras write it.

Imports nothing but TensorFlow, Keras and NumPy, so that a process of its own holds what a plain script would hold.
"""

import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from bench.baselines.tutorials import find

MODELS = {"dense": "tutorial-dense-128", "cnn": "tutorial-cnn"}
SHAPE, CLASSES, BATCH = (28, 28, 1), 10, 128
STEPS, VALIDATION_BATCHES = 40, 10  # of an epoch
LONG_EPOCH, LONG_EPOCHS = 48_000, 7  # images, and how many times they are trained on

Batch = tuple[Any, Any]


def one_thread() -> None:
    """For this process; before TensorFlow computes anything."""
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(1)


def clear() -> None:
    """Forget the models before, and begin with the same weights."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(0)


def build(name: str) -> keras.Model:
    """The model of MODELS, compiled."""
    return find(MODELS[name]).build(SHAPE, CLASSES)


def built(name: str) -> keras.Model:
    """The same after `clear`."""
    clear()
    return build(name)


def batch(name: str, size: int = BATCH) -> Batch:
    """Random images and labels, as the loss of the model takes them."""
    random = np.random.default_rng(1)
    images = random.integers(0, 256, (size, *SHAPE), dtype=np.uint8)
    labels = random.integers(0, CLASSES, size)
    one_hot = find(MODELS[name]).labels == "one-hot"
    return images, np.eye(CLASSES, dtype=np.float32)[labels] if one_hot else labels


def batches(name: str, count: int) -> tf.data.Dataset:
    """As Keras' users write it, but without the autotune thread, whose waits are a benchmark of their own."""
    options = tf.data.Options()
    options.autotune.enabled = False
    return tf.data.Dataset.from_tensor_slices(batch(name, count * BATCH)).batch(BATCH).prefetch(2).with_options(options)


def megabytes(name: str) -> tuple[float, float]:
    """What this process has in memory once it has trained a model for an epoch, with one thread: all, and its own.

    All of it counts files of libraries as far as they are mapped, which is more where they were read before.
    """
    one_thread()
    built(name).fit(batches(name, STEPS), epochs=1, verbose=0)
    import psutil  # type: ignore[import-untyped]  # late, so that it weighs on nothing

    memory = psutil.Process().memory_full_info()
    return memory.rss / 1e6, memory.uss / 1e6


class Starts(keras.callbacks.Callback):  # type: ignore[misc]
    """What lies between the beginning of an epoch and that of its first batch."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []  # one an epoch
        self.idle: list[float] = []  # of these, those in which no thread of this process computed
        self._begun = (0.0, 0.0)

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        self._begun = (time.perf_counter(), time.process_time())

    def on_train_batch_begin(self, batch: int, logs: object = None) -> None:
        if batch == 0:
            seconds, computed = time.perf_counter() - self._begun[0], time.process_time() - self._begun[1]
            self.seconds.append(seconds)
            self.idle.append(max(0.0, seconds - computed))

    def means(self) -> tuple[float, float]:
        """Seconds and idle seconds at the start of an epoch; the first has no iterator before it to wait for."""
        return float(np.mean(self.seconds[1:])), float(np.mean(self.idle[1:]))


def starts_on_arrays() -> tuple[float, float]:
    """Seconds and idle seconds at the start of an epoch of plain `fit`, with TensorFlow's own number of threads."""
    starts = Starts()
    built("dense").fit(*batch("dense", LONG_EPOCH), BATCH, epochs=LONG_EPOCHS, verbose=0, callbacks=[starts])
    return starts.means()
