"""Verify a finished run: its files, code and data, and one retrained refit."""

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np

from bench.data.development import facts, load_development
from bench.errors import BenchError, SpecError
from bench.evaluation.comparison import prediction_interval
from bench.execution.eta import Pace
from bench.execution.events import Message, Report
from bench.execution.models import family_space, model_source
from bench.execution.options import Options
from bench.execution.preconditions import changed_conditions
from bench.execution.refit_job import KeptEvaluation
from bench.execution.workers import run_locally
from bench.machine import environment
from bench.records.predictions import Predictions
from bench.records.record import RunRecord
from bench.records.spec import SearchSpec
from bench.records.store import RunFolder
from bench.tuning.space import parameters
from bench.workers import tasks as worker


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """The result of one check."""

    passed: bool
    text: str


def verify(folder: RunFolder, options: Options, report: Report) -> tuple[Check, ...]:
    """Verify a finished run and retrain its first refit; the additional test-set evaluation is logged.

    If the code has changed but the predictions are identical, the new code digest is added to the record.

    Raises:
        BenchError: the record cannot be read, or the refit cannot be trained.
        SpecError: the model was trained elsewhere.
    """
    report(Message(text=f"Checking {folder.path}"))
    record = folder.read_record()
    if record.trained_elsewhere:
        raise SpecError(f"{record.run_id} was trained elsewhere, so none of its models can be retrained")
    predictions = folder.read_predictions(record)
    try:
        folder.check()
        files = Check(passed=True, text="files: spec, ledger, record and predictions are consistent")
    except BenchError as error:
        files = Check(passed=False, text=f"files: {error}")
    try:
        source = model_source(record.spec, options)
    except BenchError as error:
        return files, Check(passed=False, text=f"code: {error}"), Check(passed=False, text="refit: not trained")
    report(Message(text="Reading the data"))
    data = _data(record, options, report)
    if not data.passed:
        return files, data, Check(passed=False, text="refit: not trained, because the data differs")
    refitted = _first_refit(record, source, options, report)
    refit = _compare(record, predictions, refitted)
    identical = np.array_equal(refitted.log_probabilities[0], predictions.log_probabilities[0])
    return files, _code(folder, record, source, options, identical=identical), data, refit


def _data(record: RunRecord, options: Options, report: Report) -> Check:
    current = facts(options.dataset, load_development(options.dataset, lambda line: report(Message(text=line))))
    if changes := current.differences(record.dataset):
        return Check(passed=False, text=f"data: differs from the record: {changes}")
    return Check(passed=True, text=f"data: checksum {current.checksum[:12]} matches the record")


def _code(folder: RunFolder, record: RunRecord, source: str, options: Options, *, identical: bool) -> Check:
    """Compare the code with the record; changed code passes if its predictions are identical."""
    model = record.spec.model
    if source in record.sources:
        return Check(passed=True, text=f"code: {model!r} matches the record, digest {source}")
    changed = f"code: {model!r} has changed, from digest {record.spec.source} to {source}"
    if not identical:
        return Check(passed=False, text=changed)
    if isinstance(record.spec, SearchSpec) and record.search is not None:
        space = family_space(record.spec, record.dataset, options.family(record.spec))
        declared = parameters(space.hyperparameters)
        if declared != record.search.space:
            return Check(passed=False, text=f"{changed}, and so has its search space")
    with folder.lock():
        if folder.read_record() != record:
            return Check(passed=False, text=f"{changed}, and so has the record: verify it again")
        folder.write_record(replace(record, verified_sources=(*record.verified_sources, source)))
    return Check(passed=True, text=f"{changed}; predictions are identical, so the new digest was added to the record")


def _first_refit(record: RunRecord, source: str, options: Options, report: Report) -> Predictions:
    """Retrain the first refit with the current code, whose digest is `source`, and predict the test set with it."""
    worker.import_libraries()
    spec = msgspec.structs.replace(record.spec, refit_seeds=1, source=source)
    report(Message(text=f"Retraining {spec.model} with its first seed"))
    with TemporaryDirectory(prefix="bench-verify-") as name:
        refit = KeptEvaluation(spec, RunFolder(Path(name)), options, Pace(spec, workers=1), record.run_id)
        refit.start_refits(record.hyperparameters)
        run_locally(refit, 1, report)
        return refit.predictions


def _compare(record: RunRecord, recorded: Predictions, new: Predictions) -> Check:
    """Identical with the same CPU model and versions; otherwise inside the prediction interval for one seed."""
    if not np.array_equal(new.labels, recorded.labels):
        return Check(passed=False, text="refit: the test labels differ from those in the record")
    predicted = new.log_probabilities[0].argmax(axis=1)
    accuracies = (recorded.log_probabilities.argmax(axis=-1) == recorded.labels).mean(axis=1)
    accuracy = float((predicted == recorded.labels).mean())
    text = f"refit: {100 * accuracy:.2f}% test accuracy"
    if np.array_equal(new.log_probabilities[0], recorded.log_probabilities[0]):
        return Check(passed=True, text=f"{text}; all predictions are identical bit for bit")
    changed = int((predicted != recorded.log_probabilities[0].argmax(axis=1)).sum())
    text += f", recorded {100 * accuracies[0]:.2f}%; {changed:,} of {len(predicted):,} predicted classes differ"
    changes = changed_conditions(record.environment, environment())
    if not changes:
        return Check(passed=False, text=f"{text}, although CPU model and versions are the same")
    text += ", with " + ", ".join(f"{name} {now} instead of {before}" for name, (before, now) in changes.items())
    interval = prediction_interval(accuracies)
    if interval is None:
        return Check(passed=False, text=f"{text}; a single seed gives no prediction interval")
    inside = interval[0] <= accuracy <= interval[1]
    limits = f"the 95% prediction interval for one seed, {100 * interval[0]:.2f}% to {100 * interval[1]:.2f}%"
    return Check(passed=inside, text=f"{text}: {'inside' if inside else 'outside'} {limits}")
