"""TensorFlow's per-process configuration: threads, devices, and precision."""

import keras
import tensorflow as tf

from bench.compat.tensorflow import set_bfloat16
from bench.errors import SearchError
from bench.records.choices import Precision


def detect_devices() -> None:
    """Let TensorFlow look for GPUs now, so that the messages that it prints can be silenced."""
    tf.config.list_physical_devices()


def prepare_process(precision: Precision) -> None:
    """Configure a single thread and `precision`; called at the start of every task.

    Raises:
        SearchError: TensorFlow was already started with more than one thread.
        CompatibilityError: TensorFlow computes in a different precision.
    """
    use_one_thread()
    keras.config.set_floatx("float32")  # a search may have set it
    keras.config.set_dtype_policy("float32")
    set_bfloat16(precision == "bfloat16")


def use_one_thread() -> None:
    """Configure a single thread.

    Raises:
        SearchError: TensorFlow was already started with more than one thread.
    """
    for kind in ("inter", "intra"):
        if getattr(tf.config.threading, f"get_{kind}_op_parallelism_threads")() != 1:
            try:
                getattr(tf.config.threading, f"set_{kind}_op_parallelism_threads")(1)
            except RuntimeError as error:
                raise SearchError(
                    f"TensorFlow was started in this process with more than one {kind}-op thread: restart the worker"
                ) from error
