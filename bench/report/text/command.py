"""Commands of this package in messages."""

import shlex
from pathlib import Path

DEFAULT_RESULTS = Path("results")


def command_on(dataset: str, words: str) -> str | None:
    """A command with `words` on a dataset, as Markdown; None for arrays, which no command reads."""
    from bench.data import catalog  # here, since the rest is needed by every command

    if dataset == "arrays":
        return None
    if dataset in catalog.names():
        return f"`python -m bench {words} --dataset {dataset}`"
    return f"`python -m bench {words} --dataset PATH` (with the options of your runs, such as `--image-size`)"


def command(results: Path, *words: str) -> str:
    """The command line of `python -m bench` with these words, for a results folder."""
    options = [] if results == DEFAULT_RESULTS else ["--results", str(results)]
    return shlex.join(["python", "-m", "bench", *words, *options])
