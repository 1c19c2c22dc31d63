"""Search with a user's own tuner: replay the ledger, train on workers, and leave what Keras Tuner would have left."""

import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from copy import copy
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

from bench import compat
from bench.errors import SearchError, StoreError
from bench.execution.events import Message, Report
from bench.execution.preconditions import check_versions
from bench.machine import environment
from bench.own_tuner import requirements
from bench.own_tuner.builder import Builder
from bench.own_tuner.options import Options
from bench.own_tuner.project import Project
from bench.own_tuner.result import SearchResult
from bench.own_tuner.shared import Shared
from bench.own_tuner.start import start_or_resume
from bench.own_tuner.trials import Trials
from bench.records.files import writing
from bench.signals import defer_signals
from bench.training.own_tuner import payload
from bench.training.own_tuner.content import Content, custom_objects, keras_settings


def search(
    tuner: Any, arguments: tuple[Any, ...], named: Mapping[str, Any], options: Options, report: Report
) -> SearchResult:
    """Search with `tuner`; results of earlier calls are reused.

    Args:
        tuner: the user's.
        arguments: of `fit`.
        named: arguments of `fit` with a name.
        options: of the execution.
        report: called with messages and progress.

    Raises:
        BenchError: for a reason that the user can fix; the trials that have ended are kept.
        RuntimeError: too many consecutive trials have failed.
        keras_tuner.errors.FatalError: a trial raised it.
    """
    start = perf_counter()
    requirements.check_tuner(tuner)
    named = {name: each for name, each in named.items() if name != "callbacks" or each is not None}
    requirements.check_names(tuner, named)
    requirements.check_arguments(arguments, named)
    check_versions(environment())
    requirements.check_keras(keras_settings())
    compat.run_checks("own_tuner")
    project = Project(tuner)
    with project.locked(), ExitStack() as stack:
        stack.callback(shutil.rmtree, project.payload, ignore_errors=True)
        shared = Shared(project.payload, partial(_write, project.payload, tuner, arguments, named), stack)
        builder = stack.enter_context(closing(Builder(tuner.hypermodel, shared, options.trial_timeout, report)))
        resumed = start_or_resume(project, tuner, named, options, builder, report=report)
        with _keras_tuner_state(tuner, project):
            tuner.on_search_begin()
            trials = Trials(tuner, project, resumed, options, builder)
            trials.replay()
            if trials.sequence.done:
                trials.reuse(shared, report)
            else:
                trials.train(shared, start, report)
            tuner.on_search_end()
        result = trials.result()
    best = next(iter(tuner.oracle.get_best_trials(1)), None)
    if best is not None and best.status == "COMPLETED":  # Keras Tuner returns failed trials if no other exist
        score = f"{result.objective} {best.score:.4g} (trial {best.trial_id})"
        report(Message(text=f"Best {score} after {perf_counter() - start:.0f} s: {result!r}"))
    if result.results and all(run.status != "COMPLETED" for _, run in result.results):
        warnings.warn(f"no trial succeeded: {result!r}; tracebacks are in {project.ledger.path}", stacklevel=3)
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
        image_data_format=keras_settings().image_data_format,
    )


def _write(folder: Path, tuner: Any, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> str:
    """Store what the workers need; returns a digest of the data.

    Raises:
        StoreError: the folder cannot be written.
        SpecError: an object cannot be sent to another process.
    """
    content = _content(tuner, arguments, named)
    try:
        with writing(folder):
            return payload.write(folder, content)
    except StoreError:
        raise
    except Exception as error:
        requirements.check_objects(content.tuner, content.arguments, content.named)
        raise SearchError(f"the tuner cannot be sent to worker processes: {type(error).__name__}: {error}") from error


@contextmanager
def _keras_tuner_state(tuner: Any, project: Project) -> Iterator[None]:
    """Write Keras Tuner's files at the end of the block, whatever ends it, instead of at every call of the oracle."""
    tuner_id = tuner.tuner_id
    try:
        with compat.held_files(tuner), compat.seeded_values(tuner.oracle):
            yield
    finally:
        with defer_signals():  # a second Ctrl-C
            compat.retry_ongoing(tuner.oracle, tuner_id)
            project.write_state()
