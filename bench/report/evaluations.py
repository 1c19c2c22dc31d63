"""How often the test set of a dataset was evaluated for a results folder."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from bench.errors import RecordError
from bench.evaluation.text import counted, joined
from bench.records.evaluation_log import EvaluationLog
from bench.records.migrate import OLD_LOG
from bench.records.store import all_folders
from bench.report.board import Table
from bench.report.runs import relative_to


def count_evaluations(results: Path, dataset: str) -> int:
    """How many test-set evaluations the log counts.

    Raises:
        RecordError: the log is damaged, of an older schema, or counts fewer evaluations than there are finished runs.
    """
    log = EvaluationLog(results, dataset)
    if (old := log.path.with_name(OLD_LOG)).exists():
        raise RecordError(f"{old}: of an older schema: `python -m bench runs migrate` migrates it")
    finished = sum(folder.finished and folder.dataset == dataset for folder in all_folders(results))
    if (count := len(log.read())) < finished:
        missing = f"{counted(count, 'evaluation')} for {counted(finished, 'finished run')}"
        raise RecordError(f"{log.path}: {missing}: restore the file")
    return count


def evaluations_text(results: Path, tables: Sequence[Table]) -> str:
    """How many evaluations the log of a dataset counts, and how many were of runs that are no longer in the folder.

    Args:
        results: the results folder.
        tables: all tables of the dataset, at least one.
    """
    dataset = tables[0].dataset
    try:
        count = counted(count_evaluations(results, dataset.name), "evaluation")
    except RecordError as error:
        return (
            f"This results folder contains an unknown number of evaluations ({relative_to(results, error)}) on the "
            f"test set of {dataset.title}."
        )
    text = f"This results folder contains {count} on the test set of {dataset.title}."
    runs = {entry.run for entry in EvaluationLog(results, dataset.name).read()}
    missing = runs - {folder.run_id for folder in all_folders(results)}
    if not missing:
        return text
    families = {_without_digest(row.run.record.run_id): row.run.record.spec.model for t in tables for row in t.rows}
    earlier = Counter(family for run in missing if (family := families.get(_without_digest(run))))
    of_families = joined([f"{count} of {family}" for family, count in sorted(earlier.items())])
    among = f", among them {of_families} with other settings or code" if earlier else ""
    return (
        f"{text} Of the {len(runs)} evaluated runs, {len(missing)} are no longer in the folder{among}. Their test "
        "accuracies were known when later runs were designed, so those of later runs may be slightly optimistic."
    )


def _without_digest(run_id: str) -> str:
    """The model, and the tuner of a search."""
    return run_id.rpartition("-")[0]
