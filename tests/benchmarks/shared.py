"""Shared by the scripts in this folder; imports only fast modules, since imports count as start-up time.

A script finds it as `benchmarks.shared` after `sys.path.append(str(Path(__file__).parents[1]))`, which pytest does too.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import msgspec

import search_spaces
from bench.data.catalog import DatasetLocation
from bench.data.development import load_development
from bench.execution.events import Event, Progress
from bench.execution.options import Options
from bench.machine import Environment
from bench.records.encoding import encode
from bench.records.files import write_atomic
from bench.records.spec import SearchSpec, Value
from bench.records.store import RunFolder, run_folder

if TYPE_CHECKING:
    from bench.workers.executor import EpochCompleted, Executor, TaskCompleted, TaskFailed

VERDICTS: Mapping[Literal["Missed", "Met"], bool] = {"Missed": False, "Met": True}
# For color-blind readers, and other colors than those of families on the pages.
COLORS = ("#56B4E9", "#E69F00", "#CC79A7", "#000000", "#8C564B")
TUNER_COLORS = dict(zip(("hyperband", "random", "bayesian", "grid", "tpe"), COLORS, strict=True))

Task = tuple[str, Callable[..., Any], *tuple[Any, ...]]  # name, function that a worker calls, its arguments
Result = TypeVar("Result")


def page_parser(description: str | None) -> argparse.ArgumentParser:
    """A parser with --page-only, which shows `description` as it is."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page-only", action="store_true", help="write the page from the stored files, run nothing")
    return parser


# Files and pages


def store(path: Path, value: object) -> None:
    """Write the data of a page as JSON, indented."""
    write_atomic(path, encode(value, path, indent=1))


def publish(path: Path, text: str) -> None:
    """Write a page, and print it."""
    write_atomic(path, text.encode())
    sys.stdout.write(text)


def page(*parts: str) -> str:
    """Markdown with an empty line between its parts; empty parts are left out."""
    return "\n\n".join(filter(None, parts)) + "\n"


def table(rows: Iterable[Mapping[str, str]], keep: Collection[str] | None = None) -> str:
    """A table with these rows, by column; columns with equal cells become a sentence, except those to `keep`."""
    import pandas as pd

    from bench.report import markdown

    return markdown.table(pd.DataFrame(list(rows)), keep)


def library_versions(machine: Environment, *names: str) -> str:
    """The versions of libraries by the names that a sentence uses, such as "Keras 3.13.2, Keras Tuner 1.4.8"."""
    return ", ".join(f"{name} {getattr(machine, name.lower().replace(' ', '_'))}" for name in names)


def machine_text(machine: Environment, *libraries: str, platform: bool = False) -> str:
    """The CPU model with its cores, the platform if wanted, and the versions of libraries, for a sentence."""
    system = f", {machine.platform}" if platform else ""
    return f"{machine.cpu} with {machine.cores} cores{system}, {library_versions(machine, *libraries)}"


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


# Searches and trials


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

        run(lambda _: [spec], options, report)
    return run_folder(options.results, spec)


def draw_candidates(spec: SearchSpec, location: DatasetLocation) -> Sequence[Mapping[str, Value]]:
    """Random candidates, as many as `spec` has trials."""
    from bench.tuning.tuners import random_candidates

    data = load_development(location)
    space = search_spaces.load(spec.family)(data.image_shape, len(data.class_names)).space()
    return random_candidates(spec, space, spec.budget.trials)


def run_tasks(
    executor: "Executor", tasks: Iterable[Task | None]
) -> Iterator["EpochCompleted | TaskCompleted | TaskFailed"]:
    """Keep the workers, which are ready, busy until all tasks have ended; yields all events.

    Args:
        executor: gives the tasks to the workers.
        tasks: asked for the next task when a worker is idle; None if there is none before another one ends.
    """
    from bench.workers.executor import TaskCompleted, TaskFailed

    waiting, running = iter(tasks), set[str]()
    while True:
        while executor.idle() and (task := next(waiting, None)) is not None:
            executor.submit(*task)
            running.add(task[0])
        if not running:
            return
        event = executor.next_event(1)
        if isinstance(event, TaskCompleted | TaskFailed):
            running.remove(event.key)
        if event is not None:
            yield event


def completed_tasks(executor: "Executor", tasks: Iterable[Task | None]) -> Iterator["TaskCompleted"]:
    """Run tasks of which none may fail.

    Raises:
        RuntimeError: a task failed.
    """
    from bench.workers.executor import TaskCompleted, TaskFailed

    for event in run_tasks(executor, tasks):
        match event:
            case TaskCompleted():
                yield event
            case TaskFailed():
                raise RuntimeError(f"a task failed: {event}")


# Child processes


def preload_libraries() -> None:
    """Load the libraries into the file cache, since otherwise only the first of several processes would be slow."""
    code = "import keras_tuner, distributed, sklearn.model_selection"
    subprocess.run([sys.executable, "-c", code], stderr=subprocess.DEVNULL, check=True)


def run_timed(command: Sequence[str]) -> float:
    """Run a command; returns its wall-clock seconds."""
    started = time.perf_counter()
    subprocess.run(command, check=True)
    return time.perf_counter() - started


def run_child(script: str, job: object, kind: type[Result]) -> tuple[Result, float]:
    """Run `script` with --job in its own process; returns its result and the wall-clock seconds of the process."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "job.json"
        file.write_bytes(msgspec.json.encode(job))
        seconds = run_timed([sys.executable, script, "--job", str(file)])
        return msgspec.json.decode(file.with_suffix(".done").read_bytes(), type=kind), seconds


def execute_job(file: Path, kind: type[Any], function: Callable[[Any], object]) -> None:
    """In the child process: call `function` with the job, of type `kind`, and write its result."""
    result = function(msgspec.json.decode(file.read_bytes(), type=kind))
    file.with_suffix(".done").write_bytes(msgspec.json.encode(result))
