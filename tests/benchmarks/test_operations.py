"""The timed operations, here and now: `pytest tests/benchmarks/test_operations.py -m slow --benchmark-only`."""

from pathlib import Path

import pytest
import tensorflow as tf
from pytest_benchmark.fixture import BenchmarkFixture

from bench.versions.operation_names import SHORT_NAMES
from bench.versions.operations import Prepare, operations
from bench.versions.timing import REFERENCE, epoch_start_facts, memory_facts, reference_seconds
from bench.versions.workloads import MODELS, use_one_thread

pytestmark = pytest.mark.slow

MAX_EPOCH_START_SECONDS = 0.1  # mean; a single delay by tf.data's autotune thread exceeds it


@pytest.fixture(scope="module", autouse=True)
def _one_thread(request: pytest.FixtureRequest) -> None:
    # If nothing is timed, another test of this process may have initialized TensorFlow.
    if not request.config.getoption("benchmark_disable"):
        use_one_thread()


# Those of the other models take the same path.
@pytest.mark.parametrize(
    "prepare",
    [
        pytest.param(prepare, id=name, marks=[] if "[dense" in name or name == "import[alone]" else [pytest.mark.long])
        for name, prepare in operations().items()
    ],
)
def test_operation(benchmark: BenchmarkFixture, prepare: Prepare, tmp_path: Path) -> None:
    before, task = reference_seconds(), prepare(tmp_path)
    result = benchmark.pedantic(
        task.run, setup=lambda: (task.setup(), {}), rounds=task.rounds, warmup_rounds=task.warmup_rounds
    )
    assert task.is_valid(result)
    benchmark.extra_info["reference"] = REFERENCE
    benchmark.extra_info["reference_seconds"] = (before + reference_seconds()) / 2
    benchmark.extra_info["threads"] = tf.config.threading.get_intra_op_parallelism_threads()
    if task.config is not None:
        assert set(task.config(result)) == {"layers", "optimizer", "loss"}


def test_short_names_on_pages_are_those_in_records() -> None:
    assert {short: model for model, short in SHORT_NAMES.items()} == MODELS


@pytest.mark.long
def test_memory_of_a_process_includes_the_part_that_it_does_not_share() -> None:
    facts = memory_facts()
    for model in MODELS:
        assert 100 < facts[f"megabytes of its own, {model}"] < facts[f"megabytes, {model}"]


@pytest.mark.long
def test_epochs_of_the_suite_start_without_delay() -> None:
    assert epoch_start_facts()["seconds at the start of an epoch, this suite"] < MAX_EPOCH_START_SECONDS
