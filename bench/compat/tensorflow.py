"""TensorFlow and Keras: graphs that stay in memory, calls in a graph, tensors in the memory of arrays, and bfloat16."""

import gc
import time
import weakref
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from packaging.version import Version

from bench.compat.expectations import expecting, incompatible
from bench.machine import installed_version, set_variable, silence_stderr

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

KERAS = ("keras",)
TENSORFLOW = ("tensorflow", "tensorflow-cpu", "tf-nightly")

BFLOAT16_OPTION = "auto_mixed_precision_onednn_bfloat16"
# The operations of batch normalization; in bfloat16 they are slower and reduce validation accuracy by several points.
FLOAT32_OPERATIONS = (
    "TF_AUTO_MIXED_PRECISION_GRAPH_REWRITE_INFERLIST_REMOVE",
    "Add,AddN,AddV2,Mean,Mul,RealDiv,Rsqrt,SquaredDifference,Sub,Sum",
)
ROUNDED_AWAY = 2.0**-10  # 1 + ROUNDED_AWAY is exact in float32, and 1 in bfloat16, which has 8 significant bits

ALIGNMENT = 64  # of tensors, in bytes; also of the arrays in .npy files

USE_FLOAT32 = "Choose --precision float32, or unset TF_ENABLE_ONEDNN_OPTS if it is 0. "


# TensorFlow's graphs


def release_graphs() -> None:
    """Free the graphs of deleted models; otherwise the memory of a worker grows with every trial.

    Optimizers use a custom gradient. TensorFlow registers one per graph and never unregisters it, which keeps the whole
    graph alive: https://github.com/tensorflow/tensorflow/issues/97697

    Raises:
        CompatibilityError: TensorFlow's gradient registry has changed.
    """
    with expecting(TENSORFLOW, "a dict of gradients at ops.gradient_registry._registry"):
        from tensorflow.python.framework.ops import gradient_registry

        gradients = gradient_registry._registry  # noqa: SLF001 - no public call unregisters a gradient
        for name in [name for name in gradients if name.startswith("CustomGradient-")]:
            del gradients[name]
    gc.collect()  # Keras graphs contain reference cycles


def check_graph_release() -> None:
    """Check that `release_graphs` frees a graph with a custom gradient.

    Raises:
        CompatibilityError: the graph stays in memory.
    """
    with expecting(TENSORFLOW, "a small function to trace"):
        graph = _traced_graph()
    # Another thread, such as Dask's profiler, may hold a frame that refers to the graph for a moment.
    for seconds in (0.0, 0.1, 0.5):
        time.sleep(seconds)
        release_graphs()
        if graph() is None:
            return
    raise incompatible(TENSORFLOW, "a graph to be freed once its custom gradients are unregistered", "a leak")


def _traced_graph() -> "weakref.ref[Any]":
    import tensorflow as tf

    def double(x: Any) -> Any:
        return 2 * x, lambda upstream: 2 * upstream

    traced = tf.function(tf.custom_gradient(double)).get_concrete_function(tf.TensorSpec((), tf.float32))
    return weakref.ref(traced.graph)


def graph_calls(operation: Any) -> list[tuple[list[Any], list[Any]]]:
    """The symbolic inputs and outputs of each call of a layer or an operation; its `input` is that of the first only.

    Raises:
        CompatibilityError: Keras' graphs have changed.
    """
    with expecting(KERAS, "nodes with input_tensors and output_tensors at Operation._inbound_nodes"):
        nodes = operation._inbound_nodes  # noqa: SLF001 - nothing public leads to the other calls
        return [(list(node.input_tensors), list(node.output_tensors)) for node in nodes]


def silence_graph_reports() -> AbstractContextManager[None]:
    """Silence the messages of TensorFlow 2.18 to 2.20 about each optimized graph, which no log level disables."""
    version = Version(installed_version(*TENSORFLOW))
    return silence_stderr() if Version("2.18") <= version < Version("2.21") else nullcontext()


# TensorFlow's memory


def shared_tensor(array: "NDArray[np.number[Any]]") -> Any:
    """A tensor in the memory of a writable array, without a copy, so that processes can share a memory-mapped file.

    Raises:
        CompatibilityError: TensorFlow does not accept the array.
    """
    with expecting(TENSORFLOW, "tf.experimental.dlpack.from_dlpack to accept an array"):
        import tensorflow as tf

        return tf.experimental.dlpack.from_dlpack(array.__dlpack__())


def check_shared_tensor() -> None:
    """Check that `shared_tensor` gives the values of an array, in the array's own memory.

    Raises:
        CompatibilityError: it does not.
    """
    import numpy as np

    memory = np.zeros(2 * ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    array = memory[start : start + ALIGNMENT]
    tensor = shared_tensor(array)
    array[:] = range(ALIGNMENT)
    if tensor.numpy().tolist() != list(range(ALIGNMENT)):
        raise incompatible(TENSORFLOW, "a tensor in the memory of an array", "a copy")


# TensorFlow's data


@contextmanager
def without_autotune() -> Iterator[None]:
    """Inside the block, `fit` reads arrays without TensorFlow's autotune thread, whose timed wait delays every epoch.

    Raises:
        CompatibilityError: Keras reads arrays in another way.
    """
    with expecting(KERAS, "an ArrayDataAdapter with `get_tf_dataset`"):
        import tensorflow as tf
        from keras.src.trainers.data_adapters.array_data_adapter import ArrayDataAdapter

        original = ArrayDataAdapter.get_tf_dataset

    def get_tf_dataset(adapter: Any) -> Any:
        options = tf.data.Options()
        options.autotune.enabled = False
        return original(adapter).with_options(options)

    ArrayDataAdapter.get_tf_dataset = get_tf_dataset
    try:
        yield
    finally:
        ArrayDataAdapter.get_tf_dataset = original


# TensorFlow's precision


def set_bfloat16(enabled: bool) -> None:
    """Let newly traced graphs compute in bfloat16 where it is faster, or in float32; verified on a small graph.

    It uses the graph optimizer, not a dtype policy: weights and checkpoints stay in float32, and it was measured to be
    faster.

    Raises:
        CompatibilityError: the option has no effect.
    """
    import tensorflow as tf

    set_variable(*FLOAT32_OPERATIONS)
    with expecting(TENSORFLOW, f"a graph optimizer option {BFLOAT16_OPTION!r}"):
        tf.config.optimizer.set_experimental_options({BFLOAT16_OPTION: enabled})
        settings = tf.config.optimizer.get_experimental_options()
    _check_once(enabled, FLOAT32_OPERATIONS, *sorted(settings.items()))


@lru_cache
def _check_once(enabled: bool, *_settings: object) -> None:
    """Check the precision of a graph unless it was right before with the same settings: it takes 0.1 s."""
    check_bfloat16_active(enabled)


def check_bfloat16_active(expected: bool) -> None:
    """Check by the rounding of results whether a graph computes in bfloat16 or float32, as expected.

    Raises:
        CompatibilityError: it computes in the other precision, or in bfloat16 where float32 is required.
    """
    with expecting(TENSORFLOW, "a small graph to run"):
        rounded = _rounded_operations()
    expected_rounding = {"matmul": expected, "convolution": expected, "addition": False}
    if rounded != expected_rounding:
        raise incompatible(TENSORFLOW, _precisions(expected_rounding), _precisions(rounded), USE_FLOAT32)


def _rounded_operations() -> Mapping[str, bool]:
    """Whether each kind of operation rounds to bfloat16 in a graph that is optimized like a training step."""
    import tensorflow as tf

    def operations(matrix: Any, images: Any, bias: Any) -> Any:
        product = tf.matmul(matrix, tf.eye(8))
        # Between two products, where the graph optimizer would convert it if it were allowed to.
        total = product + bias
        return product, total, tf.matmul(total, tf.eye(8)), tf.nn.conv2d(images, tf.ones((1, 1, 1, 1)), 1, "SAME")

    value = 1 + ROUNDED_AWAY
    product, total, _, convolved = tf.function(operations)(
        value * tf.eye(8), tf.fill((1, 4, 4, 1), value), tf.fill((8, 8), ROUNDED_AWAY)
    )
    return {
        "matmul": float(product[0, 0]) == 1,
        "convolution": float(convolved[0, 0, 0, 0]) == 1,
        "addition": float(total[0, 0]) == 1,
    }


def _precisions(rounded: Mapping[str, bool]) -> str:
    return ", ".join(f"{name} in {'bfloat16' if low else 'float32'}" for name, low in rounded.items())
