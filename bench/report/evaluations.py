"""How often the test set of a dataset was evaluated for a results folder."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from bench.errors import RecordError
from bench.evaluation.text import counted, joined
from bench.records.evaluation_log import EvaluationLog, TestSetEvaluation
from bench.records.migrate import OLD_LOG
from bench.records.store import REPEAT, all_folders, without_digest
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
    evaluations = EvaluationLog(results, dataset.name).read()
    runs = {evaluation.run for evaluation in evaluations}
    absent = runs - {folder.run_id for folder in all_folders(results)}
    missing = absent - _merged([each for each in evaluations if each.run in absent], tables)
    if not missing:
        return text
    families = {without_digest(row.record.run_id): row.record.spec.model for t in tables for row in t.rows}
    others = (run for run in missing if not REPEAT.search(run))  # a repeat has the settings and code of a run
    earlier = Counter(family for run in others if (family := families.get(without_digest(run))))
    of_families = "among them " + joined([f"{count} of {family}" for family, count in sorted(earlier.items())])
    are, accuracies = "are", "Their test accuracies"
    if len(missing) == 1:
        of_families, are, accuracies = f"a run of {joined([*earlier])}", "is", "Its test accuracy"
    among = f", {of_families} with other settings or code" if earlier else ""
    return (
        f"{text} Of the {counted(len(runs), 'evaluated run')}, {len(missing)} {are} no longer in the folder{among}. "
        f"{accuracies} may have been known when later runs were designed, so those of later runs may be slightly "
        "optimistic."
    )


def _merged(evaluations: Sequence[TestSetEvaluation], tables: Sequence[Table]) -> set[str]:
    """Those of runs without a folder that were identical reproductions, whose folders are merged into published ones.

    An identical reproduction is logged without its run id. Its evaluation is the last one before it ended.
    """
    reproductions = {
        (without_digest(row.record.run_id), reproduction.time)
        for table in tables
        for row in table.everything
        for reproduction in row.run.reproductions
        if reproduction.identical
    }
    earlier = (
        [each.run for each in evaluations if each.time <= time and without_digest(each.run) == kind]
        for kind, time in reproductions
    )
    return {runs[-1] for runs in earlier if runs}
