"""The configuration of TensorFlow and Keras in a process: threads, devices, precision, and global settings."""

import keras
import tensorflow as tf

from bench.compat.tensorflow import set_bfloat16
from bench.errors import SearchError
from bench.records.choices import Precision


def detect_devices() -> None:
    """Let TensorFlow look for GPUs now, so that the messages that it prints can be silenced."""
    tf.config.list_physical_devices()


def prepare_process(precision: Precision) -> None:
    """Configure a single thread, `precision` and the default settings; called at the start of every task.

    Raises:
        SearchError: TensorFlow was already started with more than one thread.
        CompatibilityError: TensorFlow computes in a different precision.
    """
    set_precision(precision)
    reset_settings()


def set_precision(precision: Precision) -> None:
    """Configure a single thread and `precision`; raises as `prepare_process`."""
    use_one_thread()
    keras.config.set_floatx("float32")  # a search may have set it
    keras.config.set_dtype_policy("float32")
    set_bfloat16(precision == "bfloat16")


def reset_settings() -> None:
    """Undo what the code of a user may have set globally, since other models are trained in the same process."""
    keras.config.set_dtype_policy("float32")
    keras.config.set_floatx("float32")
    keras.config.set_image_data_format("channels_last")
    if tf.config.functions_run_eagerly():
        tf.config.run_functions_eagerly(False)
    if tf.config.optimizer.get_jit():
        tf.config.optimizer.set_jit(False)


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
