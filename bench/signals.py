"""Ctrl-C and SIGTERM: what they end, and when."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker


class Terminated(KeyboardInterrupt):
    """SIGTERM; what is to be done is the same as at Ctrl-C."""


def exit_code(stopped: KeyboardInterrupt) -> int:
    """128 and the number of the signal, as shells have it: 130 or 143."""
    return 128 + (signal.SIGTERM if isinstance(stopped, Terminated) else signal.SIGINT)


@contextmanager
def handle_sigterm() -> Iterator[None]:
    """SIGTERM raises Terminated."""

    def stop(_signal: int, _frame: object) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def defer_signals() -> Iterator[None]:
    """Ctrl-C and SIGTERM take effect afterwards only.

    For imports: one that is broken off leaves half a module behind, over which another stumbles.
    """
    if threading.current_thread() is not threading.main_thread():  # signals do not come here
        yield
        return
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, lambda which, _frame: came.append(which))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


@contextmanager
def shield_children_from_sigint() -> Iterator[None]:
    """Threads and processes that are started meanwhile never get Ctrl-C, which a terminal sends to all of them.

    Also not workers that such a thread starts later, in the place of one that died. This process gets it afterwards.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    # Started later, it would make the starting thread hear again.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
