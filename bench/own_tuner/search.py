"""Search with a user's own tuner: replay the ledger, train on workers, and leave what Keras Tuner would have left."""

import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from copy import copy
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

from bench.compat import own_tuner as compat
from bench.compat import run_checks
from bench.errors import SearchError, StoreError
from bench.execution.events import Message, Report
from bench.execution.preconditions import check_versions
from bench.machine import environment
from bench.own_tuner import requirements
from bench.own_tuner.builder import Builder
from bench.own_tuner.identity import labeled
from bench.own_tuner.model_code import text_of
from bench.own_tuner.options import Options
from bench.own_tuner.project import Project
from bench.own_tuner.result import SearchResult, no_success
from bench.own_tuner.shared import Shared
from bench.own_tuner.start import Resumed, start_or_resume
from bench.own_tuner.trials import Trials
from bench.signals import defer_signals
from bench.training.own_tuner import payload
from bench.training.own_tuner.content import Content, custom_objects, data_factories, keras_settings
from bench.workers.fork_server import StartMethod


def search(
    tuner: Any,
    arguments: tuple[Any, ...],
    named: Mapping[str, Any],
    options: Options,
    *,
    start_method: StartMethod,
    report: Report,
) -> SearchResult:
    """Search with `tuner`; results of earlier calls are reused.

    Args:
        tuner: the user's.
        arguments: of `fit`.
        named: arguments of `fit` with a name.
        options: of the execution.
        start_method: of processes.
        report: called with messages and progress.

    Raises:
        BenchError: for a reason that the user can fix; the trials that have ended are kept.
        RuntimeError: too many consecutive trials have failed.
        keras_tuner.errors.FatalError: a trial raised it.
    """
    start = perf_counter()
    named = {name: each for name, each in named.items() if name != "callbacks" or each is not None}
    requirements.check(tuner, arguments, named, options)
    check_versions(environment())
    run_checks("own_tuner")
    project = Project(tuner)
    write = partial(_write, tuner, arguments, named)
    shared = Shared(project.payload, write, start_method)
    builder = Builder(tuner.hypermodel, shared, options.trial_timeout, report)
    with project.locked(), ExitStack() as stack, closing(builder):
        stack.callback(shutil.rmtree, project.payload, ignore_errors=True)
        resumed = start_or_resume(project, tuner, labeled(arguments, named), options, report=report)
        with _without_files(tuner, resumed):
            tuner.on_search_begin()
            # `build` of a hypermodel refers to all of it.
            code = text_of([type(tuner), getattr(tuner.hypermodel, "build", None), *data_factories(arguments, named)])
            trials = Trials(tuner, project, resumed, options, builder, code=code)
            trials.replay()
            with _files_at_the_end(tuner, project, trials):
                if trials.sequence.done:
                    trials.reuse(write(None), report)
                else:
                    trials.train(shared, start, report)
                tuner.on_search_end()
        result = trials.result()
    # Keras Tuner returns failed trials if no other exist.
    best = next((each for each in tuner.oracle.get_best_trials(1) if each.status == "COMPLETED"), None)
    if best is not None:
        score = f"{result.objective} {best.score:.4g} (trial {best.trial_id})"
        report(Message(text=f"Best {score} after {perf_counter() - start:.0f} s: {result!r}"))
    if (result.results or best is None) and all(run.status != "COMPLETED" for _, run in result.results):
        warnings.warn(no_success(result, project.ledger.path), stacklevel=3)
    return result


def _content(tuner: Any, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> Content:
    sent = copy(tuner)
    for name in ("oracle", "save"):
        vars(sent).pop(name, None)
    sent.directory = str(Path(tuner.directory).resolve())
    return Content(
        custom_objects=custom_objects(),
        tuner=sent,
        objective=tuner.oracle.objective,
        arguments=arguments,
        named=dict(named),
        cwd=str(Path.cwd()),
        settings=keras_settings(),
    )


def _write(tuner: Any, arguments: tuple[Any, ...], named: Mapping[str, Any], folder: Path | None) -> str:
    """Store what the workers need, unless `folder` is None; returns a digest of the data.

    Raises:
        StoreError: the folder cannot be written.
        SpecError: an object cannot be sent to another process.
    """
    content = _content(tuner, arguments, named)
    try:
        return payload.write(folder, content)
    except StoreError:
        raise
    except Exception as error:
        requirements.check_objects(content.tuner, content.arguments, content.named)
        raise SearchError(f"the tuner cannot be sent to worker processes: {type(error).__name__}: {error}") from error


@contextmanager
def _without_files(tuner: Any, resumed: Resumed) -> Iterator[None]:
    """Let the oracle of a tuner write no files: those of an earlier call stay until the oracle has its results."""
    ids = resumed.ids
    length, number = (len(ids[0]) if ids else None), len(resumed.search.base) + len(ids)
    earlier = compat.earlier_trials(tuner.oracle, length, number)
    with compat.held_files(tuner), compat.seeded_values(tuner.oracle), earlier:
        yield


@contextmanager
def _files_at_the_end(tuner: Any, project: Project, trials: Trials) -> Iterator[None]:
    """Write Keras Tuner's files at the end of the block, whatever ends it, with every trial that the ledger has."""
    tuner_id = tuner.tuner_id
    try:
        yield
    finally:
        with defer_signals():  # a second Ctrl-C
            with suppress(RuntimeError):  # too many consecutive trials have failed, which has been raised or will be
                trials.sequence.flush()
            compat.retry_ongoing(tuner.oracle, tuner_id)
            project.write_state()
