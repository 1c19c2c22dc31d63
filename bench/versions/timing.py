"""Time the operations in this process: `python -m bench.versions.timing FILE` writes the results to FILE as JSON.

If names of operations follow FILE, only these are timed, and memory and delays are not measured.

A matrix product is timed next to each operation as the unit of time, since the speed of a machine varies.
"""

import sys
import tempfile
import time
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import scipy
import tensorflow as tf
from scipy.linalg.blas import sgemm
from threadpoolctl import threadpool_limits

from bench.machine import git_commit
from bench.versions.child_process import optional_modules, output_of
from bench.versions.operations import Task, operations
from bench.versions.record import ProcessStart, Timing
from bench.versions.workloads import MODELS, use_one_thread

MATRIX_SIZE = 768  # rows and columns
MATRIX_ROUNDS = 5
REFERENCE = f"SciPy {scipy.__version__}"  # the library of the reference workload


def reference_seconds() -> float:
    """Median seconds of a product of two square float32 matrices.

    By SciPy's BLAS, which is the same in all environments, unlike that of NumPy and TensorFlow.
    """
    matrix = np.asfortranarray(np.random.default_rng(0).random((MATRIX_SIZE, MATRIX_SIZE), dtype=np.float32))
    seconds = []
    with threadpool_limits(1):
        for _ in range(MATRIX_ROUNDS):
            start = time.perf_counter()
            sgemm(1.0, matrix, matrix)
            seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def median_seconds(task: Task) -> tuple[float, Any]:
    """Median seconds of the rounds of a task, and the result of the last one.

    Raises:
        RuntimeError: the result is not as expected.
    """
    for _ in range(task.warmup_rounds):
        task.run(*task.setup())
    seconds, result = [], None
    for _ in range(task.rounds):
        arguments = task.setup()
        start = time.perf_counter()
        result = task.run(*arguments)
        seconds.append(time.perf_counter() - start)
    if not task.is_valid(result):
        raise RuntimeError(f"unexpected result: {result!r}")
    return float(np.median(seconds)), result


def measure_process(names: Collection[str] = ()) -> tuple[ProcessStart, dict[str, Any]]:
    """Time the operations `names`, or all of them and the facts if it is empty, in this process and its children.

    Returns:
        The measurements; and the settings of layers, initializers and optimizer, by operation.
    """
    started = datetime.now(UTC).isoformat(timespec="seconds")
    use_one_thread()
    timings, configs = dict[str, Timing](), dict[str, Any]()
    for name, prepare in operations().items():
        if names and name not in names:
            continue
        before = reference_seconds()
        with tempfile.TemporaryDirectory() as folder:
            task = prepare(Path(folder))
            seconds, result = median_seconds(task)
            if task.config is not None:
                configs[name] = task.config(result)
        reference = (before + reference_seconds()) / 2
        timings[name] = Timing(seconds=seconds, rounds=task.rounds, reference_seconds=reference)
    start = ProcessStart(
        started=started,
        git_commit=git_commit(Path(__file__).parents[1]),
        threads=tf.config.threading.get_intra_op_parallelism_threads(),
        reference=REFERENCE,
        operations=timings,
        facts={} if names else {**memory_facts(), **epoch_start_facts()},
    )
    return start, configs


def memory_facts() -> dict[str, float]:
    """Memory in megabytes of a process that has trained each model, without modules that Keras does not require."""
    facts = dict[str, float]()
    for model in MODELS:
        code = f"from bench.versions import workloads; print(*workloads.memory_after_training({model!r}))"
        resident, unique = map(float, output_of(code, optional_modules()).split())
        facts |= {f"megabytes, {model}": resident, f"megabytes of its own, {model}": unique}
    return facts


def epoch_start_facts() -> dict[str, float]:
    """Seconds between the start of an epoch and its first batch, with TensorFlow's default threads."""
    facts = dict[str, float]()
    for name, function, hidden in (
        ("arrays", "epoch_start_delay_with_arrays", optional_modules()),
        ("this suite", "epoch_start_delay_with_suite_pipeline", []),
    ):
        code = f"from bench.versions import workloads; print(*workloads.{function}())"
        seconds, idle = map(float, output_of(code, hidden).split())
        facts |= {f"seconds at the start of an epoch, {name}": seconds, f"of these idle, {name}": idle}
    return facts


if __name__ == "__main__":
    file, *selected = sys.argv[1:]
    Path(file).write_bytes(msgspec.json.encode(measure_process(selected)))
