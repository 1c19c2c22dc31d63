"""Shared by the scripts in this folder; imports only fast modules, since imports count as start-up time.

A script finds it as `benchmarks.shared` after `sys.path.append(str(Path(__file__).parents[1]))`, which pytest does too.
"""

import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Literal

from bench.execution.events import Event, Progress
from bench.execution.options import Options
from bench.records.spec import SearchSpec
from bench.records.store import RunFolder, run_folder

VERDICTS: Mapping[Literal["Missed", "Met"], bool] = {"Missed": False, "Met": True}
# For color-blind readers, and other colors than those of families on the pages.
COLORS = ("#56B4E9", "#E69F00", "#CC79A7", "#000000", "#8C564B")
TUNER_COLORS = dict(zip(("hyperband", "random", "bayesian", "grid", "tpe"), COLORS, strict=True))


def spaces_note(candidates: Iterable[Mapping[str, object]]) -> list[str]:
    """What a page says first if its candidates are from the search spaces of protocol 1, a sentence or nothing."""
    if any("pooling_depth" in values for values in candidates):  # a hyperparameter of cnn that protocol 2 replaced
        return ["Measured with the search spaces of protocol 1, not those of the published results (protocol 2)."]
    return []


def verdicts(goals: Iterable[tuple[str, bool]]) -> list[str]:
    """The goals that were missed, and those that were met, in the form that the index of benchmarks reads.

    Args:
        goals: what was measured with the goal in parentheses, and whether the goal is met.
    """
    listed = list(goals)
    texts = {verdict: [text for text, met in listed if met == wanted] for verdict, wanted in VERDICTS.items()}
    return [f"{verdict} goals: {'; '.join(those)}." for verdict, those in texts.items() if those]


class _SearchEnded(Exception):
    """Raised to end a run before its refits."""


def run_search(spec: SearchSpec, options: Options, is_over: Callable[[], bool] = lambda: False) -> RunFolder:
    """Run or resume a search as `python -m bench run` does, but without refits, so that the test set stays closed.

    Args:
        spec: the search.
        options: where its ledger is kept, and which workers train.
        is_over: called after each epoch and each trial; if true, the search ends, and running trials are lost.
    """
    from bench.cli.progress import interruptible_display
    from bench.execution.runner import run

    with interruptible_display() as show, suppress(_SearchEnded):

        def report(event: Event) -> None:
            if isinstance(event, Progress):
                show(event)
                if event.trials == event.trials_total or is_over():
                    raise _SearchEnded

        run([spec], options, report)
    return run_folder(options.results, spec)


def preload_libraries() -> None:
    """Load the libraries into the file cache, since otherwise only the first of several processes would be slow."""
    code = "import keras_tuner, distributed, sklearn.model_selection"
    subprocess.run([sys.executable, "-c", code], stderr=subprocess.DEVNULL, check=True)
