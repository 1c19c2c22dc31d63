"""The pool of workers: results, failures, deaths, and an end within seconds."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

import engine_tasks as tasks
from bench.errors import SearchError
from bench.workers.executor import Done, Engine, Epoch, Failed
from bench.workers.pools import LocalPool

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    pool = LocalPool(2)
    yield Engine(pool)
    pool.close()


def ended(engine: Engine, seconds: float = 30) -> Done | Failed:
    """The next end of a task."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        event = engine.next_event(0.1)
        if isinstance(event, Done | Failed):
            return event
    raise TimeoutError


def test_task_gives_its_result_under_its_key(engine: Engine) -> None:
    engine.submit("a task", tasks.double, 21)
    assert ended(engine) == Done(key="a task", value=42)


def test_epochs_are_reported_in_order_before_the_result(engine: Engine) -> None:
    engine.submit("trial", tasks.three_epochs)
    found: list[object] = []
    while not found or not isinstance(found[-1], Done):
        if (event := engine.next_event(30)) is not None:
            found.append(event)
    assert found == [
        *(Epoch(key="trial", epochs=n, seconds=0.5, validation_accuracy=0.25 * n) for n in (1, 2, 3)),
        Done(key="trial", value=None),
    ]


def test_exception_of_a_task_is_told_in_one_line_with_its_place(engine: Engine) -> None:
    engine.submit("trial", tasks.fail)
    failed = ended(engine)
    assert isinstance(failed, Failed)
    assert not failed.worker_died
    assert failed.reason.startswith("ValueError: no such luck (in fail, engine_tasks.py:")


def test_each_worker_has_one_task_at_a_time(engine: Engine) -> None:
    assert engine.idle() == 2
    engine.submit("one", tasks.double, 1)
    assert engine.idle() == 1
    engine.submit("two", tasks.double, 2)
    assert engine.idle() == 0
    assert {ended(engine).key, ended(engine).key} == {"one", "two"}
    assert engine.idle() == 2


def test_random_stream_of_a_task_is_its_own(engine: Engine) -> None:
    # Dask measures what passes through by drawing a sample of it; Keras draws the seeds of a model's weights.
    values = [[0.5] * 100 for _ in range(100)]
    for _ in range(3):
        engine.submit("trial", tasks.is_random_stream_our_own, values)
        assert ended(engine) == Done(key="trial", value=True)


def test_dead_worker_is_told_and_replaced(engine: Engine) -> None:
    engine.submit("trial", tasks.die)
    assert ended(engine) == Failed(
        key="trial",
        reason="its worker process was killed by signal 9, perhaps by the system for want of memory",
        worker_died=True,
    )
    until = time.monotonic() + 30
    while engine.idle() < 2 and time.monotonic() < until:
        time.sleep(0.1)
    for number in (1, 2):
        engine.submit(f"after {number}", tasks.double, number)
    assert {ended(engine).key, ended(engine).key} == {"after 1", "after 2"}


def test_task_for_a_worker_that_died_since_it_was_counted_is_given_up() -> None:
    with closing(LocalPool(1)) as pool:
        engine = Engine(pool)
        engine.submit("who", tasks.pid)
        who = ended(engine)
        assert isinstance(who, Done)
        assert engine.idle() == 1
        os.kill(who.value, signal.SIGKILL)
        while pool.addresses():  # until it is missed; another comes soon
            time.sleep(0.005)
        engine.submit("trial", tasks.double, 1)
        failed = ended(engine)
        assert isinstance(failed, Failed)
        assert failed.worker_died
        ready(engine)


def ready(engine: Engine, seconds: float = 60) -> None:
    """Wait until a worker may be given a task."""
    until = time.monotonic() + seconds
    while not engine.idle():
        assert engine.next_event(0.1) is None
        assert time.monotonic() < until


def test_time_for_a_task_begins_when_its_worker_is_prepared() -> None:
    with closing(LocalPool(1, tasks.prepare)) as pool:
        engine = Engine(pool)
        for number in range(2):
            assert engine.idle() == 0
            ready(engine)
            engine.submit(f"task {number}", tasks.double, 1, timeout=2)
            assert ended(engine) == Done(key=f"task {number}", value=2)
            engine.submit("too long", tasks.sleep, timeout=1)
            late = ended(engine)
            assert isinstance(late, Failed)
            assert "--trial-timeout" in late.reason  # and its worker is replaced by another


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (tasks.prepare_in_vain, "no such library"),
        (tasks.die_before_any_task, "its worker process"),
    ],
)
def test_workers_that_cannot_be_prepared_are_an_error_with_its_reason(prepare: Callable[[], None], reason: str) -> None:
    with closing(LocalPool(2, prepare)) as pool, pytest.raises(SearchError, match=reason):
        ready(Engine(pool))


def test_pool_ends_at_once_in_the_middle_of_tasks() -> None:
    pool = LocalPool(1)
    engine = Engine(pool)
    engine.submit("who", tasks.pid)
    who = ended(engine)
    assert isinstance(who, Done)
    engine.submit("trial", tasks.sleep)
    begun = time.monotonic()
    pool.close()
    assert time.monotonic() - begun < 5
    with pytest.raises(ProcessLookupError):
        os.kill(who.value, 0)
