"""Real Python processes: what one prints, and those that work on a run folder, for tests of kills and locks."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import bench

SOURCE = Path(bench.__file__).parents[1]
PROLOGUE = """
import sys
from pathlib import Path
from bench.errors import StoreError
from bench.records.files import check_writable, write_atomic
from bench.records.ledger import TrialProposed
from bench.records.store import RunFolder
folder = RunFolder(Path(sys.argv[1]))
def proposed(n):
    values = {"units": n, "note": "x" * 3000}
    time = "2026-01-01T00:00:00+00:00"
    return TrialProposed(time=time, trial_id=str(n), values=values, initial_epoch=0, epochs=3, parent=None)
"""


def python(code: str, env: Mapping[str, str] | None = None) -> str:
    """What a new process prints that runs `code` and can import the tested packages."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=SOURCE, env=env, capture_output=True, text=True, check=True).stdout


@contextmanager
def process(code: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that runs `code` with `folder` defined; killed at the end of the block."""
    command = [sys.executable, "-c", PROLOGUE + code, str(folder)]
    with subprocess.Popen(command, cwd=SOURCE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as started:
        try:
            yield started
        finally:
            started.kill()


def next_line(running: subprocess.Popen[str]) -> str:
    """The next line of its output."""
    assert running.stdout is not None
    return running.stdout.readline().strip()
