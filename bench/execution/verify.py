"""Is a finished run what it claims to be? Its files, the numbers made from them, its data, and one refit made anew."""

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.baselines import catalog as references
from bench.data.development import development, facts
from bench.errors import RecordError, SearchError
from bench.evaluation.comparison import prediction_interval
from bench.execution.compatibility import SAME_ENVIRONMENT
from bench.execution.events import Message
from bench.execution.options import Options
from bench.execution.resume import resume_blocker
from bench.execution.stages import refit_seed, refit_spec
from bench.machine import Environment, environment
from bench.records.record import RunRecord
from bench.records.spec import RunSpec, candidate_values
from bench.records.store import RunFolder, note_test_reading, now
from bench.report import report
from bench.report.leaderboard import find_row, rank
from bench.report.runs import Run, find_run, load
from bench.workers import tasks as worker
from bench.workers.executor import Done, Engine, Epoch, Failed
from bench.workers.pools import LocalPool

if TYPE_CHECKING:
    from bench.training.predict import Judgement

POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check found."""

    agrees: bool
    text: str


def verify(name: str, options: Options) -> Generator[Message, None, tuple[Finding, ...]]:
    """Check the run `name` and train its first refit anew; the test part is read once more, which is counted.

    Raises:
        BenchError: there is no such run, or the refit cannot be carried out.
    """
    run = find_run(load(options.results), name)
    folder = RunFolder(options.results / "records" / run.record.dataset.name / run.record.run_id)
    yield Message(text=f"Checking {folder.path}")
    found = [_files(folder), _pages(run, options), _code(run.record.spec)]
    if found[-1].agrees:
        yield Message(text="Reading the data")
        found.append(_data(run.record, options))
    if found[-1].agrees:
        found.append((yield from _refit(run, folder, options)))
    else:
        found.append(Finding(agrees=False, text="refit: not tried, since code or data are others"))
    if found[1].agrees:  # pages say how often the test part was read
        report.write(options.results)
    return tuple(found)


def _files(folder: RunFolder) -> Finding:
    try:
        folder.check()
    except RecordError as error:
        return Finding(agrees=False, text=f"files: {error}")
    return Finding(agrees=True, text="files: spec, ledger, record and predictions belong together")


def _pages(run: Run, options: Options) -> Finding:
    """Recompute every number that is published of a run from its predictions."""
    board = rank(load(options.results))
    _, row = find_row(board, run.record.dataset.name, run.record.run_id)
    pages = report.pages_of(report.build(options.results, board), row)
    others = [name for name, content in pages.items() if not report.is_same(options.results / name, content)]
    if others:
        return Finding(agrees=False, text=f"numbers: not what the predictions give in {', '.join(others)}")
    return Finding(
        agrees=True, text=f"numbers: {len(pages)} pages and pictures are what the predictions give, byte for byte"
    )


def _code(spec: RunSpec) -> Finding:
    reason = resume_blocker(spec)
    if reason is not None:
        return Finding(agrees=False, text=f"code: {reason}")
    return Finding(agrees=True, text=f"code: {spec.family!r} is what the run was made with, {spec.source}")


def _data(record: RunRecord, options: Options) -> Finding:
    here = facts(development(record.dataset.name, options.data_dir))
    if here != record.dataset:
        differing = [name for name in here.__slots__ if getattr(here, name) != getattr(record.dataset, name)]
        values = "; ".join(f"{name} {getattr(here, name)}, was {getattr(record.dataset, name)}" for name in differing)
        return Finding(agrees=False, text=f"data: others than the run was made with: {values}")
    return Finding(agrees=True, text=f"data: checksum {here.checksum[:12]}, as it was")


def _refit(run: Run, folder: RunFolder, options: Options) -> Generator[Message, None, Finding]:
    """Train the first refit anew, let it predict, and compare."""
    here = environment()
    record, seed = run.record, refit_seed(run.record.spec, 0)
    yield Message(text=f"Training {record.spec.family} anew under its first seed, {record.spec.budget.epochs} epochs")
    pool = LocalPool(1)
    with closing(pool):
        engine = Engine(pool)
        if record.spec.family in references.CLASSIFIERS:
            note_test_reading(options.results, record.dataset.name, record.run_id, now())
            arguments = (record.spec.family, [seed], record.dataset.name, options.data_dir)
            _, judgement = yield from _carry_out(engine, worker.fit_classifier, *arguments)
        else:
            values = {} if record.winner is None else candidate_values(record.winning_trial.values)
            spec = refit_spec(record.spec, values, 0)
            trained = yield from _carry_out(engine, worker.train, spec, None, options.data_dir, None)
            note_test_reading(options.results, record.dataset.name, record.run_id, now())
            models = [trained.refit.model]
            judgement = yield from _carry_out(engine, worker.judge, models, record.dataset.name, options.data_dir)
    return _compare(run, folder, judgement, list(_other_environment(record.environment, here)))


def _carry_out(engine: Engine, function: Callable[..., Any], *arguments: Any) -> Generator[Message, None, Any]:
    engine.submit(function.__name__, function, *arguments)
    while not isinstance(event := engine.next_event(POLL_SECONDS), Done | Failed):
        if isinstance(event, Epoch):
            yield Message(text=f"epoch {event.epochs} took {event.seconds:.1f} s")
    if isinstance(event, Failed):
        raise SearchError(f"the refit could not be made anew: {event.reason}")
    return event.value


def _other_environment(then: Environment, here: Environment) -> Iterator[str]:
    for name in (*SAME_ENVIRONMENT, "scikit_learn", "threads"):
        if getattr(then, name) != getattr(here, name):
            yield f"{name} {getattr(here, name)} instead of {getattr(then, name)}"


def _compare(run: Run, folder: RunFolder, judgement: "Judgement", other_environment: list[str]) -> Finding:
    """Bit for bit on the same processor with the same versions, elsewhere by what one more seed would give."""
    kept = folder.read_predictions(run.record)
    if not np.array_equal(judgement.labels, kept.labels):
        return Finding(agrees=False, text="refit: the test part has other labels than the run was judged on")
    anew, before = judgement.log_probabilities[0], kept.log_probabilities[0]
    accuracies = run.scores.correct.mean(axis=1)
    accuracy = float((anew.argmax(axis=1) == kept.labels).mean())
    text = f"refit: accuracy {100 * accuracy:.2f} %"
    if np.array_equal(anew, before):
        return Finding(agrees=True, text=f"{text}, every prediction equal bit for bit")
    flipped = int((anew.argmax(axis=1) != before.argmax(axis=1)).sum())
    text += f", was {100 * accuracies[0]:.2f} %; {flipped:,} of {len(anew):,} answers are others"
    if not other_environment:
        return Finding(agrees=False, text=f"{text}, though processor and versions are the same")
    text += f", with {', '.join(other_environment)}"
    limits = prediction_interval(accuracies)
    if limits is None:
        return Finding(agrees=False, text=f"{text}; of a single seed nobody knows how much is usual")
    where = f"{100 * limits[0]:.2f} to {100 * limits[1]:.2f} %, where 95 % of further seeds would be"
    inside = limits[0] <= accuracy <= limits[1]
    return Finding(agrees=inside, text=f"{text}: {'inside' if inside else 'outside'} {where}")
