"""Stops `python -m bench` just before it does something to a file; Python itself imports this from PYTHONPATH.

The variable STOP_BEFORE says by which signal, before what, to which file, which time: "SIGKILL append */a.jsonl 2".
"""

import os
import signal
import sys
from fnmatch import fnmatch
from pathlib import Path


class _Stop:
    """Counts what is done to files, and sends this process a signal at the moment that was asked for."""

    def __init__(self, name: str, action: str, pattern: str, number: str) -> None:
        self.signal = signal.Signals[name]
        self.action = action
        self.pattern = pattern
        self.left = int(number)
        self.fsync = os.fsync

    def meet(self, action: str, path: object) -> None:
        """Something is about to be done to the file at `path`."""
        if action == self.action and isinstance(path, str | os.PathLike) and fnmatch(os.fspath(path), self.pattern):
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), self.signal)

    def hear(self, event: str, arguments: tuple[object, ...]) -> None:
        """An audit hook: https://docs.python.org/3/library/audit_events.html."""
        if event == "open":
            path, mode, _ = arguments
            self.meet("append" if "a" in str(mode or "") else "read" if "r" in str(mode or "") else "open", path)
        elif event == "os.rename":
            self.meet("replace", arguments[1])
        elif event == "os.remove":
            self.meet("remove", arguments[0])

    def before_fsync(self, handle: int) -> None:
        """In the place of os.fsync, of which no audit event tells."""
        self.meet("fsync", Path(f"/proc/self/fd/{handle}").readlink())
        self.fsync(handle)


# Workers inherit the variable and the path, but not this command line.
if "STOP_BEFORE" in os.environ and sys.orig_argv[1:3] == ["-m", "bench"]:
    _stop = _Stop(*os.environ["STOP_BEFORE"].split())
    sys.addaudithook(_stop.hear)
    os.fsync = _stop.before_fsync  # type: ignore[assignment]
