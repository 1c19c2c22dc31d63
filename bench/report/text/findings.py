"""Three findings on a table, each a sentence computed from the records."""

from collections import Counter

from bench.evaluation.text import counted, percent, range_text
from bench.report.board import Table
from bench.report.text.statements import beaten_by_references, family_sentences, pair_sentences


def findings(table: Table) -> list[str]:
    """At most three: what tuning gains over the best reference model, which family is better, and the hardest class."""
    tuning = " ".join(filter(None, [_tuning(table), *beaten_by_references(table)]))
    return [finding for finding in (tuning, _families(table), _hardest_class(table)) if finding]


def _tuning(table: Table) -> str:
    """The selected tuned model compared with the best reference model."""
    selected = table.selected_row
    test = table.references[0].versus_best if table.references else None
    if selected is None or test is None or test.difference is None:
        return ""
    reference, difference = table.references[0], test.difference
    start = f"{selected.label} ({percent(selected.test_accuracy)}%)"
    other = f"{reference.label} ({percent(reference.test_accuracy)}%), the best reference model"
    if test.verdict == "not significantly different":
        return f"{start} is not significantly different from {other}."
    low, high = sorted((abs(difference.low), abs(difference.high)))
    verdict = "better" if test.verdict == "worse" else "worse"
    return (
        f"{start} is {percent(abs(difference.mean))} points {verdict} than {other} (95% CI over refits and test "
        f"images: {range_text(low, high)})."
    )


def _families(table: Table) -> str:
    """The first test between families, or without one between tuned models."""
    if families := family_sentences(table):
        covered = (
            "splits, searches, refits and test images, but neither other training images nor"
            if table.covers_splits
            else "searches, refits and test images, but not other splits, other training images or"
        )
        return f"{families[0]} The interval covers {covered} the choice of the search spaces."
    return next(iter(pair_sentences(table)), "")


def _hardest_class(table: Table) -> str:
    """The class that alone has the lowest recall in more than half of the models, and its highest recall."""
    rows = table.distinct
    hardest = [row.run.scores.by_class.hardest for row in rows]
    counts = Counter(names[0] for names in hardest if len(names) == 1)
    name, count = next(iter(counts.most_common(1)), ("", 0))
    if 2 * count <= len(rows):
        return ""
    number = table.dataset.class_names.index(name)
    best = max(rows, key=lambda row: float(row.run.scores.by_class.recall[number]))
    once = " with different predictions" if len(rows) < len(table.compared) else ""
    return (
        f"{name} is the hardest class: its recall is the lowest of all classes in {count} of "
        f"{counted(len(rows), 'model')}{once}, and at most {percent(best.run.scores.by_class.recall[number])}% "
        f"({best.label})."
    )
