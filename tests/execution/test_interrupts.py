"""Ctrl-C and SIGTERM at moments at which they may not end anything."""

import os
import signal
import threading

import pytest

from bench.signals import Terminated, defer_signals, handle_sigterm


@pytest.mark.parametrize(("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_interrupt_that_is_put_off_comes_afterwards(number: int, raised: type[BaseException]) -> None:
    done = []

    def work() -> None:
        with defer_signals():
            os.kill(os.getpid(), number)
            done.append("what must not be broken off")
        done.append("what comes after it")

    with pytest.raises(raised), handle_sigterm():
        work()
    assert done == ["what must not be broken off"]


def test_handlers_are_those_of_before_when_nothing_came() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with defer_signals():
        pass
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_another_thread_is_left_alone() -> None:
    done = []

    def work() -> None:
        with defer_signals():
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]
