"""Commands of this package in messages."""

import shlex
from pathlib import Path

DEFAULT_RESULTS = Path("results")


def command(results: Path, *words: str) -> str:
    """The command line of `python -m bench` with these words, for a results folder."""
    options = [] if results == DEFAULT_RESULTS else ["--results", str(results)]
    return shlex.join(["python", "-m", "bench", *words, *options])
