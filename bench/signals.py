"""Handling of Ctrl-C and SIGTERM, and of the death of a parent process."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Terminated(KeyboardInterrupt):
    """SIGTERM, handled like Ctrl-C."""


def exit_code(interrupt: KeyboardInterrupt) -> int:
    """128 plus the signal number, as in a shell: 130 or 143."""
    return 128 + (signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT)


@contextmanager
def handle_signals() -> Iterator[Callable[[], None]]:
    """Raise KeyboardInterrupt on Ctrl-C and Terminated on SIGTERM.

    Yields a function to call regularly, which raises the exception again if it was lost: Python discards exceptions in
    finalizers and callbacks of the garbage collector, and some libraries discard them while they are imported.
    """
    if threading.current_thread() is not threading.main_thread():  # only the main thread receives signals
        yield lambda: None
        return
    received: list[KeyboardInterrupt] = []

    def interrupt(number: int, _frame: object) -> None:
        received.append(Terminated() if number == signal.SIGTERM else KeyboardInterrupt())
        raise received[-1]

    def raise_lost_interrupt() -> None:
        if received:
            raise received.pop()

    previous = {signal.SIGTERM: signal.getsignal(signal.SIGTERM)}
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # it may be ignored, as in background jobs
        previous[signal.SIGINT] = signal.default_int_handler
    for number in previous:
        signal.signal(number, interrupt)
    try:
        yield raise_lost_interrupt
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def defer_signals() -> Iterator[None]:
    """Delay Ctrl-C and SIGTERM until the end of the block.

    For imports: an interrupted import leaves a half-initialized module behind, which breaks the next one.
    """
    if threading.current_thread() is not threading.main_thread():  # only the main thread receives signals
        yield
        return
    received: list[int] = []
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in previous:
        signal.signal(number, lambda received_signal, _frame: received.append(received_signal))
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        if received:
            signal.raise_signal(received[0])


@contextmanager
def shield_children_from_sigint() -> Iterator[None]:
    """Keep Ctrl-C, which a terminal sends to the whole process group, from threads and processes started in the block.

    This includes workers that such a thread starts later to replace dead ones. A pending Ctrl-C is delivered to this
    process at the end of the block.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    from multiprocessing import resource_tracker  # here, so that commands that train nothing start faster

    # Starting the resource tracker later would unblock the signal in the thread that starts it.
    resource_tracker.ensure_running()
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


def end_with_parent() -> None:
    """Let the kernel kill this process when its parent ends; Linux only."""
    import ctypes

    set_parent_death_signal = 1  # PR_SET_PDEATHSIG in linux/prctl.h
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
