"""Each private or unstable API works with the installed libraries, and a change in it stops a run with a message."""

import inspect
import logging
import multiprocessing.forkserver
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from multiprocessing import spawn
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dask.sizeof
import distributed
import pytest
from distributed import nanny, worker_memory

from bench.compat import run_checks
from bench.compat.dask import WorkerDeathLog, cluster_workers, isolate_dask_sampling
from bench.compat.own_tuner import overridden
from bench.compat.processes import fork_server_process, without_main_module
from bench.compat.tensorflow import check_bfloat16_active, set_bfloat16, without_autotune
from bench.errors import CompatibilityError
from bench.machine import supports_bfloat16, variables
from processes import SOURCE

FULL = "tcp://127.0.0.1:1"

pytestmark = pytest.mark.smoke

needs_bfloat16 = pytest.mark.skipif(not supports_bfloat16(), reason="this processor has no bfloat16 arithmetic")


@pytest.fixture(autouse=True)
def _fresh_dask_sampling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(vars(dask.sizeof), "random", random)


# Dask


def test_dask_checks_pass() -> None:
    run_checks("dask")


def test_dask_leaves_the_global_random_stream_alone() -> None:
    before = random.getstate()
    dask.sizeof.sizeof(list(range(1000)))
    assert random.getstate() != before  # the reason for isolate_dask_sampling
    isolate_dask_sampling()
    before = random.getstate()
    dask.sizeof.sizeof(list(range(1000)))
    assert random.getstate() == before


@pytest.mark.parametrize(
    ("name", "replacement", "actual"),
    [
        ("sizeof", len, "no such call"),  # samples in another way
        ("random", None, "KeyError: 'random'"),  # has no such module
    ],
)
def test_other_way_of_sampling_in_dask_is_an_error(
    name: str, replacement: object, actual: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if replacement is None:
        monkeypatch.delitem(vars(dask.sizeof), name)
    else:
        monkeypatch.setattr(dask.sizeof, name, replacement)
    with pytest.raises(CompatibilityError, match=rf"dask {version('dask')} .* expected .* got {actual}"):
        isolate_dask_sampling()


def test_death_log_names_the_signal_and_restores_the_logger() -> None:
    logger = logging.getLogger("distributed.nanny")
    before = logger.level, logger.propagate, list(logger.handlers)
    log = WorkerDeathLog()
    logger.info("Worker process 4711 was killed by signal 11")
    assert log.reason(FULL, 4711) == "its worker process was killed by signal 11"
    assert log.reason(FULL, 1) == "its worker process died"
    log.close()
    assert (logger.level, logger.propagate, list(logger.handlers)) == before


def test_lack_of_memory_is_the_reason_of_one_death_at_an_address() -> None:
    log = WorkerDeathLog()
    log._take_out_of_memory((0.0, {"worker": FULL, "rss": 2**30}))
    assert log.reason(FULL, 1) == "its worker process used 1.0 GiB, more than its memory limit, and was terminated"
    assert log.reason(FULL, 2) == "its worker process died"
    log.close()


def _death_in_other_words(*_: object) -> str:
    return "The worker (process 17) got SIGKILL"


def _other_event(_manager: object, nanny: Any) -> None:
    nanny.log_event("worker-killed-memory", {"worker": nanny.worker_address, "rss": 3})


@pytest.mark.parametrize(
    ("library", "name", "replacement", "actual"),
    [
        (nanny.WorkerProcess, "_death_message", _death_in_other_words, "another text"),
        (nanny, "logger", logging.getLogger("distributed.nannies"), "another text"),
        (worker_memory.NannyMemoryManager, "memory_monitor", _other_event, "'worker-killed-memory'"),
        (worker_memory.NannyMemoryManager, "memory_monitor", lambda *_: None, "IndexError"),
    ],
    ids=["message", "logger", "topic", "no event"],
)
def test_other_reports_of_dead_workers_are_an_error(
    library: object, name: str, replacement: object, actual: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, name, replacement)
    with pytest.raises(CompatibilityError, match=rf"distributed {version('distributed')} .* got .*{actual}"):
        run_checks("dask")


@pytest.mark.parametrize("name", ["_forkserver_pid", "_stop"])
def test_fork_server_with_other_attributes_is_an_error(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fork_server_process() is None
    other = SimpleNamespace(_forkserver_pid=None, _stop=print)
    delattr(other, name)
    monkeypatch.setattr(multiprocessing.forkserver, "_forkserver", other)
    with pytest.raises(CompatibilityError, match=rf"python 3\..* expected .* got AttributeError: .*{name}"):
        fork_server_process()


@pytest.fixture(scope="module")
def client() -> Iterator[distributed.Client]:
    """A scheduler and one worker, all in this process."""
    with distributed.Client(
        processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None, set_as_default=False
    ) as client:
        yield client


@pytest.mark.slow
def test_cluster_workers_have_their_number_of_threads(client: distributed.Client) -> None:
    assert [facts["nthreads"] for facts in cluster_workers(client).values()] == [1]


@pytest.mark.slow
def test_other_answer_of_the_scheduler_is_an_error(client: distributed.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster: Any = client.cluster
    monkeypatch.setitem(cluster.scheduler.handlers, "identity", lambda **_: {"workers": {FULL: {"threads": 1}}})
    with pytest.raises(CompatibilityError, match=r'expected .*"nthreads", got KeyError'):
        cluster_workers(client)


# Keras Tuner


@pytest.mark.slow
def test_keras_tuner_checks_pass() -> None:
    run_checks("keras_tuner")


@pytest.mark.slow
def test_own_tuner_checks_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_checks("own_tuner")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["_populate_next", "_retry_queue", "ongoing_trials", "_display"])
def test_oracle_without_an_attribute_is_an_error(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from keras_tuner.oracles import GridSearchOracle

    initialize = GridSearchOracle.__init__

    def lacking(self: Any, *arguments: Any, **named: Any) -> None:
        initialize(self, *arguments, **named)
        del vars(self)[name]

    lacking.__signature__ = inspect.signature(initialize)  # type: ignore[attr-defined]
    monkeypatch.setattr(GridSearchOracle, "__init__", lacking)
    expected = rf"keras-tuner {version('keras-tuner')} is not compatible.*{name}.*pip install"
    with pytest.raises(CompatibilityError, match=expected):
        run_checks("own_tuner")


def _break_hyperband(name: str) -> Callable[[pytest.MonkeyPatch], None]:
    def replace(monkeypatch: pytest.MonkeyPatch) -> None:
        from keras_tuner.oracles import HyperbandOracle

        def start_bracket(oracle: Any) -> None:  # with other names in it
            oracle._brackets.append({"number": 0, "rungs": [[]]})

        def populate(oracle: Any, trial_id: str) -> dict[str, Any]:  # promotes the oldest trial, not the best
            values: dict[str, Any] = original(oracle, trial_id)
            if oracle._brackets[0]["rounds"][1]:
                oracle._brackets[0]["rounds"][1][0]["past_id"] = "0000"
            return values

        def draw(oracle: Any, trial_id: str, bracket: dict[str, Any]) -> dict[str, Any]:  # in another way
            bracket["rounds"][0].append({"past_id": None, "id": trial_id})
            return {"status": "RUNNING", "values": {"x": 0.5}}

        original = HyperbandOracle.populate_space
        changes = {
            "attribute": lambda: monkeypatch.delattr(HyperbandOracle, "_get_size"),
            "structure": lambda: monkeypatch.setattr(HyperbandOracle, "_start_new_bracket", start_bracket),
            "sizes": lambda: monkeypatch.setattr(HyperbandOracle, "_get_size", lambda *_, **__: 3),
            "promotion": lambda: monkeypatch.setattr(HyperbandOracle, "populate_space", populate),
            "draws": lambda: monkeypatch.setattr(HyperbandOracle, "_random_trial", draw),
            "files": lambda: monkeypatch.setattr(HyperbandOracle, "update_trial", lambda o, *_, **__: o._project_dir),
        }
        changes[name]()

    return replace


@pytest.mark.slow
@pytest.mark.parametrize("change", ["attribute", "structure", "sizes", "promotion", "draws", "files"])
def test_other_hyperband_is_an_error(change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _break_hyperband(change)(monkeypatch)
    with pytest.raises(CompatibilityError, match=r"keras-tuner .* expected .*Hyperband"):
        run_checks("keras_tuner")


def test_methods_of_subclasses_and_of_single_objects_are_overridden() -> None:
    base: Any = type("Base", (), {"__module__": "keras_tuner.src.engine", "fit": len})
    obj = base()
    assert not overridden(obj, "fit")
    assert overridden(type("Own", (base,), {"fit": len})(), "fit")
    obj.fit = len
    assert overridden(obj, "fit")


# TensorFlow


@pytest.mark.slow
def test_arrays_are_read_without_autotune_inside_the_block_only() -> None:
    import numpy as np
    from keras.src.trainers.data_adapters.array_data_adapter import ArrayDataAdapter

    adapter = ArrayDataAdapter(np.zeros((4, 1)))
    with without_autotune():
        inside = adapter.get_tf_dataset()
    assert inside.options().autotune.enabled is False
    assert adapter.get_tf_dataset().options().autotune.enabled is None


@pytest.mark.slow
def test_tensorflow_checks_pass() -> None:
    run_checks("tensorflow")


@pytest.mark.slow
def test_gradient_registry_in_another_place_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from tensorflow.python.framework import ops

    entries: dict[str, Any] = {}
    registry = SimpleNamespace(entries=entries, register=lambda gradient, name: entries.update({name: gradient}))
    monkeypatch.setattr(ops, "gradient_registry", registry)
    with pytest.raises(CompatibilityError, match=r"tensorflow .* expected a dict of gradients .* no attribute"):
        run_checks("tensorflow")


@pytest.mark.slow
def test_graph_that_stays_in_memory_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    import tensorflow as tf
    from tensorflow.python.framework import ops

    kept = []

    class Elsewhere(dict[str, Any]):
        """Gradients are registered here, but another list holds their graphs too."""

        def __setitem__(self, name: str, value: Any) -> None:
            kept.append(tf.compat.v1.get_default_graph())
            super().__setitem__(name, value)

    monkeypatch.setattr(ops.gradient_registry, "_registry", Elsewhere())
    with pytest.raises(CompatibilityError, match="expected a graph to be freed"):
        run_checks("tensorflow")


@pytest.mark.slow
@needs_bfloat16
def test_bfloat16_is_seen_to_be_switched_on_and_off() -> None:
    for enabled in (True, False, True, False):
        set_bfloat16(enabled)
        check_bfloat16_active(enabled)
        with pytest.raises(CompatibilityError, match=r"expected matmul in .* got matmul in .*--precision float32"):
            check_bfloat16_active(not enabled)


@pytest.mark.slow
def test_option_without_effect_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    import tensorflow as tf

    set_bfloat16(False)
    monkeypatch.setattr(tf.config.optimizer, "set_experimental_options", lambda options: None)
    with pytest.raises(CompatibilityError, match=r"expected matmul in bfloat16, .* got matmul in float32, "):
        set_bfloat16(True)


@pytest.mark.slow
def test_missing_option_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    import tensorflow as tf

    def refuse(options: object) -> None:
        raise ValueError(f"unknown option in {options}")

    monkeypatch.setattr(tf.config.optimizer, "set_experimental_options", refuse)
    with pytest.raises(CompatibilityError, match="expected a graph optimizer option 'auto_mixed_precision_onednn"):
        set_bfloat16(True)


@pytest.mark.slow
@needs_bfloat16
def test_additions_in_bfloat16_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    set_bfloat16(False)
    # As if TensorFlow no longer read the variable.
    monkeypatch.setattr(
        "bench.compat.tensorflow.FLOAT32_OPERATIONS", ("TF_AUTO_MIXED_PRECISION_GRAPH_REWRITE_INFERLIST_REMOVE", "")
    )
    with pytest.raises(CompatibilityError, match=r"addition in float32, got .* addition in bfloat16"):
        set_bfloat16(True)
    monkeypatch.undo()
    set_bfloat16(False)


@pytest.mark.slow
def test_tensorflow_without_onednn_never_passes_for_bfloat16() -> None:
    """A real process in which TensorFlow accepts the option and trains in float32 all the same."""
    code = "from bench.compat.tensorflow import set_bfloat16; set_bfloat16(True)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=SOURCE,
        env=variables(TF_ENABLE_ONEDNN_OPTS="0", PYTHONPATH=os.environ.get("PYTHONPATH", "")),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "expected matmul in bfloat16" in done.stderr
    assert "unset TF_ENABLE_ONEDNN_OPTS" in done.stderr


# Python's multiprocessing

SCRIPT = """
import multiprocessing, os, sys
with open("executed.txt", "a") as file:
    file.write("once\\n")
from bench.compat.processes import without_main_module
with without_main_module():
    process = multiprocessing.get_context(sys.argv[1]).Process(target=os.getpid)
    process.start()
    process.join()
sys.exit(process.exitcode)
"""


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_new_process_does_not_execute_a_script_without_a_main_guard(method: str, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, "script.py", method]
    env = variables(PYTHONPATH=str(SOURCE))
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "executed.txt").read_text() == "once\n"


def test_python_that_prepares_processes_in_another_way_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spawn, "get_preparation_data", lambda name: {"name": name})
    with pytest.raises(CompatibilityError, match="preparation data with sys_path"), without_main_module():
        pass
    assert spawn.get_preparation_data("x") == {"name": "x"}
