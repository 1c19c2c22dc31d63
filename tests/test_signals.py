"""Ctrl-C and SIGTERM are delayed where they must not interrupt."""

import os
import signal
import threading

import pytest

from bench.signals import Terminated, defer_signals, handle_sigterm


@pytest.mark.parametrize(("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_deferred_interrupt_is_delivered_afterwards(number: int, raised: type[BaseException]) -> None:
    done = []

    def work() -> None:
        with defer_signals():
            os.kill(os.getpid(), number)
            done.append("not interrupted")
        done.append("after the interrupt")

    with pytest.raises(raised), handle_sigterm():
        work()
    assert done == ["not interrupted"]


def test_handlers_are_restored_without_an_interrupt() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with defer_signals():
        pass
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_deferring_in_another_thread_does_nothing() -> None:
    done = []

    def work() -> None:
        with defer_signals():
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]
