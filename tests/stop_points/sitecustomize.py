"""Stops `python -m bench` just before it accesses a file; Python imports this module from PYTHONPATH.

The variable STOP_BEFORE names the signal, the action, the file and the occurrence: "SIGKILL append */a.jsonl 2".
"""

import os
import signal
import sys
from fnmatch import fnmatch
from pathlib import Path


class _Stop:
    """Counts accesses to files and sends this process a signal just before one of them."""

    def __init__(self, name: str, action: str, pattern: str, number: str) -> None:
        self.signal = signal.Signals[name]
        self.action = action
        self.pattern = pattern
        self.remaining = int(number)
        self.fsync = os.fsync

    def count(self, action: str, path: object) -> None:
        """`action` is about to happen to the file at `path`."""
        if action == self.action and isinstance(path, str | os.PathLike) and fnmatch(os.fspath(path), self.pattern):
            self.remaining -= 1
            if self.remaining == 0:
                os.kill(os.getpid(), self.signal)

    def audit(self, event: str, arguments: tuple[object, ...]) -> None:
        """An audit hook: https://docs.python.org/3/library/audit_events.html."""
        if event == "open":
            path, mode, _ = arguments
            self.count("append" if "a" in str(mode or "") else "read" if "r" in str(mode or "") else "open", path)
        elif event == "os.rename":
            self.count("replace", arguments[1])
        elif event == "os.remove":
            self.count("remove", arguments[0])

    def before_fsync(self, handle: int) -> None:
        """Replaces os.fsync, which raises no audit event."""
        self.count("fsync", Path(f"/proc/self/fd/{handle}").readlink())
        self.fsync(handle)


# Workers inherit the variable and the path, but not the command line.
if "STOP_BEFORE" in os.environ and sys.orig_argv[1:3] == ["-m", "bench"]:
    _stop = _Stop(*os.environ["STOP_BEFORE"].split())
    sys.addaudithook(_stop.audit)
    os.fsync = _stop.before_fsync  # type: ignore[assignment]
