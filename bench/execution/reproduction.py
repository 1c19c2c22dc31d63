"""Reproductions of published runs: retrain on this machine and compare predictions.

A reproduction trains in its own folder. Once its record is written, `settle` logs it next to the published record. If
the predictions are identical, its folder is merged into the published run, which then has its models on this machine.
After a kill at any moment, `settle` continues.
"""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from bench.errors import RecordError, StoreError
from bench.execution.events import Message, Report
from bench.execution.preconditions import changed_conditions
from bench.records.choices import Precision
from bench.records.files import writing
from bench.records.reproductions import Reproduction
from bench.records.spec import RunSpec, SearchSpec
from bench.records.store import RunFolder, all_folders


def settle(new: RunFolder, published: RunFolder) -> tuple[RunFolder, Reproduction]:
    """Log a finished reproduction once, and merge it into the published run if its predictions are identical.

    Returns:
        The folder with the results, and the reproduction.

    Raises:
        RecordError: one of the runs is damaged.
        StoreError: a file cannot be written, or another process is working on the published run.
    """
    with published.lock():
        record = new.read_record()
        logged = (entry for entry in published.reproductions() if entry.time == record.finished)
        reproduction = next(logged, None)
        if reproduction is None:
            reproduction = compare(new, published)
            published.append_reproduction(reproduction)
        if not reproduction.identical:
            return new, reproduction
        with writing(published.path):
            new.path.rename(_leftover(published))
        _merge(published)
        return published, reproduction


def settle_interrupted(results: Path, report: Report) -> None:
    """Settle reproductions that a kill interrupted after their record was written.

    Raises:
        StoreError: a file cannot be written.
    """
    for folder in list(all_folders(results)):
        with suppress(RecordError):  # reported by commands that read runs
            if (published := _unsettled(folder)) is not None:
                with _lock_if_free(folder) as locked:
                    if locked:
                        _, reproduction = settle(folder, published)
                        report(Message(text=reproduction_text(reproduction, published)))
            if _leftover(folder).exists():
                with _lock_if_free(folder) as locked:
                    if locked:
                        _merge(folder)


@contextmanager
def _lock_if_free(folder: RunFolder) -> Iterator[bool]:
    """Lock a run for the block; False if another process is working on it."""
    with ExitStack() as stack:
        try:
            stack.enter_context(folder.lock())
            is_free = True
        except StoreError:
            is_free = False
        yield is_free


def compare(new: RunFolder, published: RunFolder) -> Reproduction:
    """Compare the predictions of a finished run with those of the published run that it reproduces.

    Raises:
        RecordError: one of the runs is damaged.
    """
    # Imported here, since its statistics libraries would take a second at the start of every run.
    from bench.evaluation.comparison import prediction_interval

    record, original = new.read_record(), published.read_record()
    predicted = new.read_predictions(record).log_probabilities.argmax(axis=-1)
    expected_predictions = published.read_predictions(original)
    expected, labels = expected_predictions.log_probabilities.argmax(axis=-1), expected_predictions.labels
    accuracies = (expected == labels).mean(axis=1)
    identical = record.predictions_sha256 == original.predictions_sha256
    conditions = changed_conditions(original.environment, record.environment)
    precisions = _precision(original.spec), _precision(record.spec)
    if precisions[0] != precisions[1]:
        conditions["search_precision"] = str(precisions[0]), str(precisions[1])
    return Reproduction(
        time=record.finished,
        run_id=None if identical else record.run_id,
        environment=record.environment,
        search_precision=precisions[1],
        conditions=conditions,
        identical=identical,
        changed_predictions=int((predicted != expected).sum()),
        test_accuracy=float((predicted == labels).mean(axis=1).mean()),
        prediction_interval=prediction_interval(accuracies, new_seeds=len(predicted)),
        total_seconds=record.total_seconds,
    )


def reproduction_text(reproduction: Reproduction, published: RunFolder) -> str:
    """The comparison in plain sentences.

    Raises:
        RecordError: the published run is damaged.
    """
    record = published.read_record()
    predictions = published.read_predictions(record)
    predicted = predictions.log_probabilities.argmax(axis=-1)
    name, total, accuracy = published.run_id, predicted.size, (predicted == predictions.labels).mean()
    if reproduction.identical:
        result = (
            f"Reproduced {name} bit for bit: all {total:,} predictions equal the published ones "
            f"({100 * accuracy:.2f}% test accuracy)."
        )
    else:
        result = (
            f"Did not reproduce {name} bit for bit: {reproduction.changed_predictions:,} of {total:,} predicted "
            f"classes differ. Test accuracy is {100 * reproduction.test_accuracy:.2f}%, published "
            f"{100 * accuracy:.2f}%{_position(reproduction)}."
        )
    return " ".join(filter(None, (result, _conditions_text(reproduction))))


def _position(reproduction: Reproduction) -> str:
    if reproduction.prediction_interval is None:
        return "; a single seed gives no prediction interval"
    low, high = reproduction.prediction_interval
    side = "inside" if reproduction.inside else "outside"
    return f", {side} the 95% prediction interval ({100 * low:.2f}% to {100 * high:.2f}%)"


def _conditions_text(reproduction: Reproduction) -> str:
    if not reproduction.conditions:
        warning = "Versions, CPU model and precision are the same, so the predictions should have been identical."
        return "" if reproduction.identical else warning
    conditions = (
        f"{name.replace('_', ' ')} {current} (published: {published})"
        for name, (published, current) in reproduction.conditions.items()
    )
    return f"Different conditions: {', '.join(conditions)}."


def _precision(spec: RunSpec) -> Precision | None:
    return spec.precision if isinstance(spec, SearchSpec) else None


def _unsettled(folder: RunFolder) -> RunFolder | None:
    """The published run if `folder` is a finished but unsettled reproduction, else None."""
    if not folder.finished or folder.published:  # without models, it was not trained on this machine
        return None
    record = folder.read_record()
    published = None if record.reproduces is None else RunFolder(folder.path.with_name(record.reproduces))
    if published is None or not published.finished:
        return None
    settled = any(entry.time == record.finished and not entry.identical for entry in published.reproductions())
    return None if settled else published


def _leftover(published: RunFolder) -> Path:
    """The folder to which an identical reproduction is moved atomically; it is not listed as a run."""
    return published.path / "reproduction"


def _merge(published: RunFolder) -> None:
    """Move the models of an identical reproduction into the published run, and remove the rest."""
    leftover = RunFolder(_leftover(published))
    with writing(published.path):
        if leftover.models_dir.exists() and not published.models_dir.exists():
            leftover.models_dir.rename(published.models_dir)
        shutil.rmtree(leftover.path)
