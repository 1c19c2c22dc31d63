"""All uses of private or unstable APIs of TensorFlow, Keras Tuner, Dask and Python, each with a start-up check.

A check calls the API and verifies the outcome, so that a new version of a library stops a run with an error message
instead of changing its results. The libraries are imported inside functions, since importing them takes seconds.
"""

import gc
import logging
import multiprocessing.forkserver
import multiprocessing.spawn
import os
import random
import re
import signal
import sys
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from types import MappingProxyType, SimpleNamespace
from typing import TYPE_CHECKING, Any

from packaging.version import Version

from bench.errors import CompatibilityError
from bench.machine import installed_version, set_variable, silence_stderr

if TYPE_CHECKING:
    import distributed
    import numpy as np
    from numpy.typing import NDArray

TENSORFLOW = ("tensorflow", "tensorflow-cpu", "tf-nightly")
KERAS_TUNER = ("keras-tuner",)
DASK = ("dask",)
DISTRIBUTED = ("distributed",)
PYTHON = ("python",)

BFLOAT16_OPTION = "auto_mixed_precision_onednn_bfloat16"
# The operations of batch normalization; in bfloat16 they are slower and reduce validation accuracy by several points.
FLOAT32_OPERATIONS = (
    "TF_AUTO_MIXED_PRECISION_GRAPH_REWRITE_INFERLIST_REMOVE",
    "Add,AddN,AddV2,Mean,Mul,RealDiv,Rsqrt,SquaredDifference,Sub,Sum",
)
ROUNDED_AWAY = 2.0**-10  # 1 + ROUNDED_AWAY is exact in float32, and 1 in bfloat16, which has 8 significant bits

ALIGNMENT = 64  # of tensors, in bytes; also of the arrays in .npy files

REINSTALL = "Reinstall this package to get the tested versions"
USE_FLOAT32 = (
    "Use --precision float32, unset TF_ENABLE_ONEDNN_OPTS if it is 0, or reinstall this package to get the tested "
    "versions"
)

OUT_OF_MEMORY_TOPIC = "worker-restart-memory"
DEATH_MESSAGE = re.compile(r"Worker process (\d+) (.*)")
DEATH_MESSAGE_SECONDS = 1.0
KILLED, TERMINATED = "was killed by signal 9", "was killed by signal 15"


@contextmanager
def _expecting(library: tuple[str, ...], expected: str) -> Iterator[None]:
    """Convert any exception inside to a CompatibilityError about `library`."""
    try:
        yield
    except CompatibilityError:
        raise
    except Exception as error:
        raise _incompatible(library, expected, f"{type(error).__name__}: {error}") from error


def _incompatible(library: tuple[str, ...], expected: str, actual: str, advice: str = REINSTALL) -> CompatibilityError:
    return CompatibilityError(
        f"{library[0]} {installed_version(*library)} is not compatible with this package: expected {expected}, "
        f"got {actual}. {advice}"
    )


# TensorFlow's graphs


def release_graphs() -> None:
    """Free the graphs of deleted models; otherwise the memory of a worker grows with every trial.

    Optimizers use a custom gradient. TensorFlow registers one per graph and never unregisters it, which keeps the whole
    graph alive: https://github.com/tensorflow/tensorflow/issues/97697

    Raises:
        CompatibilityError: TensorFlow's gradient registry has changed.
    """
    with _expecting(TENSORFLOW, "a dict of gradients at ops.gradient_registry._registry"):
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
    with _expecting(TENSORFLOW, "a small function to trace"):
        graph = _traced_graph()
    # Another thread, such as Dask's profiler, may hold a frame that refers to the graph for a moment.
    for seconds in (0.0, 0.1, 0.5):
        time.sleep(seconds)
        release_graphs()
        if graph() is None:
            return
    raise _incompatible(TENSORFLOW, "a graph to be freed once its custom gradients are unregistered", "a leak")


def _traced_graph() -> "weakref.ref[Any]":
    import tensorflow as tf

    def double(x: Any) -> Any:
        return 2 * x, lambda upstream: 2 * upstream

    traced = tf.function(tf.custom_gradient(double)).get_concrete_function(tf.TensorSpec((), tf.float32))
    return weakref.ref(traced.graph)


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
    with _expecting(TENSORFLOW, "tf.experimental.dlpack.from_dlpack to accept an array"):
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
        raise _incompatible(TENSORFLOW, "a tensor in the memory of an array", "a copy")


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
    with _expecting(TENSORFLOW, f"a graph optimizer option {BFLOAT16_OPTION!r}"):
        tf.config.optimizer.set_experimental_options({BFLOAT16_OPTION: enabled})
    check_bfloat16_active(enabled)


def check_bfloat16_active(expected: bool = True) -> None:
    """Check by the rounding of results whether a graph computes in bfloat16 or float32, as expected.

    Raises:
        CompatibilityError: it computes in the other precision, or in bfloat16 where float32 is required.
    """
    with _expecting(TENSORFLOW, "a small graph to run"):
        rounded = _rounded_operations()
    expected_rounding = {"matmul": expected, "convolution": expected, "addition": False}
    if rounded != expected_rounding:
        raise _incompatible(TENSORFLOW, _precisions(expected_rounding), _precisions(rounded), USE_FLOAT32)


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


# Keras Tuner


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """Trials of one length in a Hyperband bracket."""

    size: int  # number of trials in the full rung
    trials: tuple[str, ...]  # ids of the trials proposed so far
    promoted: frozenset[str]  # ids of the trials of the previous rung that they continue; empty in the first rung


def hyperband_brackets(oracle: Any) -> tuple[tuple[Rung, ...], ...]:
    """The unfinished brackets of a HyperbandOracle, each with its rungs from shortest to longest trials.

    Raises:
        CompatibilityError: the oracle's attributes have changed.
    """
    with _expecting(KERAS_TUNER, "a HyperbandOracle with `_brackets` and `_get_size`"):
        return tuple(
            tuple(
                Rung(
                    size=int(oracle._get_size(bracket["bracket_num"], number)),  # noqa: SLF001 - not public
                    trials=tuple(entry["id"] for entry in entries),
                    promoted=frozenset(entry["past_id"] for entry in entries if entry["past_id"] is not None),
                )
                for number, entries in enumerate(bracket["rounds"])
            )
            for bracket in oracle._brackets  # noqa: SLF001 - not public
        )


def keep_in_memory(oracle: Any) -> None:
    """Keep the state of an oracle in memory only; Keras Tuner would rewrite its files at every call."""
    oracle.save = lambda: None
    oracle._save_trial = lambda _trial: None  # noqa: SLF001 - not public


def check_hyperband() -> None:
    """Check on a known bracket that an oracle works in memory and that `hyperband_brackets` describes it correctly.

    Raises:
        CompatibilityError: it does not.
    """
    import keras_tuner

    with _expecting(KERAS_TUNER, "a HyperbandOracle that runs without files"):
        space = keras_tuner.HyperParameters()
        space.Float("x", 0, 1)
        oracle = keras_tuner.oracles.HyperbandOracle(
            objective=keras_tuner.Objective("score", "max"), max_epochs=3, factor=3, hyperparameters=space, seed=1
        )
        keep_in_memory(oracle)
        oracle.verbose = 0
        for number in range(4):
            trial = oracle.create_trial(f"slot {number}")
            if number < 3:
                oracle.update_trial(trial.trial_id, {"score": float(number)})
                trial.status = "COMPLETED"
                oracle.end_trial(trial)
        brackets = hyperband_brackets(oracle)
    # Three trials of one epoch, the best of which is promoted to three epochs: ceil(2 / 2 * 3), then ceil(2 / 2).
    expected: tuple[object, ...] = ((3, ("0000", "0001", "0002"), frozenset()), (1, ("0003",), frozenset({"0002"})))
    shape = tuple((rung.size, rung.trials, rung.promoted) for bracket in brackets for rung in bracket)
    if shape != expected:
        raise _incompatible(KERAS_TUNER, f"Hyperband rungs {expected}", f"{shape}")


# Dask


def isolate_dask_sampling() -> None:
    """Give Dask its own random generator; call this in every worker.

    Dask estimates the size of lists from random samples. A thread draws them from Python's global generator, possibly
    between seeding and building a model, when Keras draws the seeds of weights from the same generator.

    Raises:
        CompatibilityError: Dask does not sample from `dask.sizeof.random`.
    """
    with _expecting(DASK, "`random` in dask.sizeof to be the module that its samples are drawn from"):
        from dask import sizeof

        if isinstance(vars(sizeof)["random"], _CountedRandom):
            return
        stream = vars(sizeof)["random"] = _CountedRandom()
        sizeof.sizeof(list(range(1000)))
        if stream.samples == 0:
            raise _incompatible(DASK, "dask.sizeof to sample a long list by `random.sample`", "no such call")


class _CountedRandom(random.Random):
    samples = 0

    def sample(self, *arguments: Any, **options: Any) -> list[Any]:
        self.samples += 1
        return super().sample(*arguments, **options)


def cluster_workers(client: "distributed.Client") -> Mapping[str, Any]:
    """The scheduler's information on each worker, by address, including "nthreads".

    Client.scheduler_info() cannot be used, since a thread of the client clears its result every two seconds.

    Raises:
        CompatibilityError: the scheduler's response has another format.
        OSError: the scheduler does not respond.
    """
    scheduler = client.scheduler
    if scheduler is None:  # reconnecting
        raise OSError("not connected to the scheduler")
    identity = client.sync(scheduler.identity, n_workers=-1)
    with _expecting(DISTRIBUTED, 'a response of Scheduler.identity with "workers", each with "nthreads"'):
        return {
            address: MappingProxyType({**facts, "nthreads": int(facts["nthreads"])})
            for address, facts in identity["workers"].items()
        }


class WorkerDeathLog(logging.Handler):
    """Causes of worker deaths, from log messages of Dask's nannies and out-of-memory events of the scheduler."""

    def __init__(self) -> None:
        """Start to listen; `close` restores the logger."""
        super().__init__(logging.INFO)
        self._causes: dict[int, str] = {}  # by process id
        self._out_of_memory: dict[str, int] = {}  # bytes by address
        self._logger = logging.getLogger("distributed.nanny")
        self._before = self._logger.level, self._logger.propagate
        self._logger.setLevel(logging.INFO)
        self._logger.propagate = False
        self._logger.addHandler(self)

    def subscribe(self, client: "distributed.Client") -> None:
        """Receive out-of-memory events, including those of workers on other machines."""
        client.subscribe_topic(OUT_OF_MEMORY_TOPIC, self._take_out_of_memory)

    def emit(self, record: logging.LogRecord) -> None:
        """Store how a process ended."""
        match = DEATH_MESSAGE.search(record.getMessage())
        if match:
            self._causes[int(match[1])] = match[2]

    def reason(self, address: str, process: int | None) -> str:
        """Why the worker at `address` died, if known; waits up to a second for the message."""
        deadline = time.monotonic() + DEATH_MESSAGE_SECONDS
        # A nanny terminates a worker that uses too much memory with signal 15; the event may arrive later.
        while (cause := self._cause(address, process)) in (None, TERMINATED) and time.monotonic() < deadline:
            time.sleep(0.05)
        return "its worker process " + (cause or "died")

    def _cause(self, address: str, process: int | None) -> str | None:
        if address in self._out_of_memory:
            used = self._out_of_memory[address] / 2**30
            return f"used {used:.1f} GiB, more than its memory limit, and was terminated"
        cause = self._causes.get(process) if process is not None else None
        return f"{cause}, possibly by the kernel because memory ran out" if cause == KILLED else cause

    def close(self) -> None:
        """Restore the logger."""
        self._logger.removeHandler(self)
        level, self._logger.propagate = self._before
        self._logger.setLevel(level)
        super().close()

    def _take_out_of_memory(self, event: tuple[float, Mapping[str, Any]]) -> None:
        self._out_of_memory[event[1]["worker"]] = event[1]["rss"]


def check_worker_deaths() -> None:
    """Check that WorkerDeathLog parses the messages and events of a nanny.

    Raises:
        CompatibilityError: the message, its logger or the event has changed.
    """
    log = WorkerDeathLog()
    try:
        with _expecting(DISTRIBUTED, "a nanny that reports killed workers and workers out of memory"):
            from distributed import nanny

            nanny.logger.info(nanny.WorkerProcess._death_message(None, 17, -9))  # type: ignore[arg-type]  # noqa: SLF001
            reason = log.reason("tcp://killed", 17)
            topic, event = _out_of_memory_event("tcp://full")
        if KILLED not in reason:
            raise _incompatible(
                DISTRIBUTED, f"'Worker process 17 {KILLED}' in the log distributed.nanny", "another text"
            )
        if topic != OUT_OF_MEMORY_TOPIC or event["worker"] != "tcp://full" or not event["rss"] > 0:
            raise _incompatible(
                DISTRIBUTED, f"an event {OUT_OF_MEMORY_TOPIC!r} with worker and rss", f"{topic!r}: {event}"
            )
    finally:
        log.close()


def _out_of_memory_event(address: str) -> tuple[str, Mapping[str, Any]]:
    """The event that a nanny logs when the worker at `address` exceeds its memory limit, here two bytes."""
    import dask
    from distributed.core import Status
    from distributed.worker_memory import NannyMemoryManager

    events: list[tuple[str, Mapping[str, Any]]] = []
    process = SimpleNamespace(pid=os.getpid(), terminate=lambda: None)
    nanny: Any = SimpleNamespace(
        nthreads=1,
        periodic_callbacks={},
        status=Status.running,
        worker_address=address,
        process=SimpleNamespace(process=process),
        log_event=lambda topic, event: events.append((topic, event)),
    )
    with dask.config.set({"distributed.worker.memory.terminate": 0.5}):
        NannyMemoryManager(nanny, memory_limit=2).memory_monitor(nanny)
    return events[0]


# Python's multiprocessing


def fork_server_process() -> int | None:
    """Process id of Python's fork server for this process; None if it is not running.

    Raises:
        CompatibilityError: Python's fork server has other attributes.
    """
    with _expecting(PYTHON, "multiprocessing.forkserver._forkserver with `_forkserver_pid` and `_stop`"):
        server = _fork_server()
        process: int | None = server._forkserver_pid if callable(server._stop) else None  # noqa: SLF001 - not public
    return process


def kill_fork_server() -> None:
    """Kill the fork server if it is running; Python itself ends it only with this process, and after its imports."""
    if (process := fork_server_process()) is not None:
        os.kill(process, signal.SIGKILL)
        _fork_server()._stop()  # noqa: SLF001 - not public


def _fork_server() -> Any:
    return vars(multiprocessing.forkserver)["_forkserver"]


@contextmanager
def without_main_module() -> Iterator[None]:
    """Start processes inside the block without importing the main module of this process in them.

    Otherwise a script would run again in every worker, unless it has an `if __name__ == "__main__"`. This holds for
    processes that are spawned and for those of a fork server; workers find what they need in installed modules.

    Raises:
        CompatibilityError: Python prepares new processes in another way.
    """
    original = multiprocessing.spawn.get_preparation_data

    def preparation_data(name: str) -> dict[str, Any]:
        return {key: value for key, value in original(name).items() if not key.startswith("init_main")}

    multiprocessing.spawn.get_preparation_data = preparation_data
    try:
        check_main_module_hidden()
        yield
    finally:
        multiprocessing.spawn.get_preparation_data = original


def check_main_module_hidden() -> None:
    """Check, inside `without_main_module`, that Python tells new processes other things, but not their main module.

    Raises:
        CompatibilityError: it does not.
    """
    with _expecting(PYTHON, "multiprocessing.spawn.get_preparation_data, which processes are started with"):
        prepared = multiprocessing.spawn.get_preparation_data("check")
        modules = [multiprocessing.spawn]
        if sys.platform != "win32":
            from multiprocessing import popen_forkserver, popen_spawn_posix

            modules += [vars(popen_forkserver)["spawn"], vars(popen_spawn_posix)["spawn"]]
    used = all(module is multiprocessing.spawn for module in modules)
    if not used or "sys_path" not in prepared or any(key.startswith("init_main") for key in prepared):
        raise _incompatible(PYTHON, "preparation data with sys_path, and without init_main keys", f"{sorted(prepared)}")


CHECKS: Mapping[str, tuple[Callable[[], None], ...]] = MappingProxyType(
    {
        "tensorflow": (check_graph_release, check_shared_tensor),
        "keras_tuner": (check_hyperband,),
        "dask": (isolate_dask_sampling, check_worker_deaths),
    }
)


def run_checks(*libraries: str) -> None:
    """Run the checks of "tensorflow", "keras_tuner" or "dask".

    `set_bfloat16` runs its own check.

    Raises:
        CompatibilityError: an installed version does not behave as the tested ones do.
    """
    for library in libraries:
        for check in CHECKS[library]:
            check()
