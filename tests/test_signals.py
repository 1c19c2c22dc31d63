"""Ctrl-C and SIGTERM are delayed where they must not interrupt, and never lost."""

import os
import signal
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress

import pytest

from bench.cli.progress import interruptible_display
from bench.execution.events import Message
from bench.signals import Terminated, defer_signals, handle_signals


@pytest.mark.parametrize(("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_deferred_interrupt_is_delivered_afterwards(number: int, raised: type[BaseException]) -> None:
    done = []

    def work() -> None:
        with defer_signals():
            os.kill(os.getpid(), number)
            done.append("not interrupted")
        done.append("after the interrupt")

    with pytest.raises(raised), handle_signals():
        work()
    assert done == ["not interrupted"]


@pytest.mark.parametrize(("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_discarded_interrupt_is_raised_by_the_next_report(number: int, raised: type[BaseException]) -> None:
    def work() -> None:
        with interruptible_display(quiet=True) as report:
            with suppress(BaseException):  # as in a finalizer
                os.kill(os.getpid(), number)
            report(Message(text="next"))

    with pytest.raises(raised):
        work()


def test_handlers_are_restored_without_an_interrupt() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with defer_signals():
        pass
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


@pytest.mark.parametrize("context", [defer_signals, handle_signals])
def test_signals_are_left_alone_in_another_thread(context: Callable[[], AbstractContextManager[object]]) -> None:
    done = []

    def work() -> None:
        with context():
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]
