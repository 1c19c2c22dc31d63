"""How often the test set of a dataset was evaluated for a results folder."""

from pathlib import Path

from bench.errors import RecordError
from bench.records.evaluation_log import EvaluationLog
from bench.records.migrate import OLD_LOG
from bench.records.store import all_folders
from bench.report.runs import relative_to
from bench.report.text.numbers import counted


def count_evaluations(results: Path, dataset: str) -> int:
    """How many test-set evaluations the log counts.

    Raises:
        RecordError: the log is damaged, of an older schema, or counts fewer evaluations than there are finished runs.
    """
    log = EvaluationLog(results, dataset)
    if (old := log.path.with_name(OLD_LOG)).exists():
        raise RecordError(f"{old}: of an older schema: `python -m bench runs migrate` migrates it")
    finished = sum(folder.finished and folder.path.parent.name == dataset for folder in all_folders(results))
    if (count := len(log.read())) < finished:
        missing = f"{counted(count, 'evaluation')} for {counted(finished, 'finished run')}"
        raise RecordError(f"{log.path}: {missing}: restore the file")
    return count


def count_text(results: Path, dataset: str) -> str:
    """The same as text, with its noun."""
    try:
        count = count_evaluations(results, dataset)
    except RecordError as error:
        return f"an unknown number of evaluations ({relative_to(results, error)})"
    return counted(count, "evaluation")
