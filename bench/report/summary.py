"""What a table says, in three sentences that need no statistics to be understood; made from its numbers."""

from bench.evaluation.comparison import Interval
from bench.report.leaderboard import MIN_SEARCHES, Family, Row, Table, Verdict
from bench.report.tables import half_width_text, percent


def summary(table: Table) -> tuple[str, str, str]:
    """How good the best model is; whether it is better than the next one; what it gets wrong, and what went wrong.

    Args:
        table: with at least one row, searched or given.
    """
    best = table.everything[0]
    # Of several searches of a family the best on the test images was also lucky there.
    for family in table.families:
        if best.label in family.searches:
            return _best_family(table, family), _against_families(table, family), _mistakes(best)
    return _best(best), _against(table, best), _mistakes(best)


def _best_family(table: Table, family: Family) -> str:
    searches, images = len(family.searches), f"{table.dataset.n_test:,} test images"
    if family.interval is None:
        return f"Here {family.name} was searched {searches} times, and what chance does in that is not known."
    return (
        f"Here what a search of {family.name} finds names {percent(family.interval.mean)} % of {images} rightly, "
        f"{_about(family.interval)} (mean of {searches} searches)."
    )


def _against_families(table: Table, family: Family) -> str:
    """The next best family; it may not be better than what was not searched."""
    if (given := _better_given(table)) is not None:
        return f"{given.a}, which was not searched but given, is better than the best of them."
    other = next((one for one in table.families if one is not family), None)
    if other is None:
        return f"No other family was searched {MIN_SEARCHES} times, so there is none to compare it with yet."
    verdict = next(one for one in table.family_verdicts if {one.a, one.b} == {family.name, other.name})
    return _verdict(verdict, family.name, f"what a search of {other.name} finds")


def _best(row: Row) -> str:
    record, interval = row.run.record, row.run.interval
    images, refits = f"{record.dataset.n_test:,} test images", len(record.refits)
    what = (
        f"the best {record.spec.family} that a search found"
        if record.reference is None
        else f"{row.label}, which was not searched but given,"
    )
    right = f"names {percent(row.test_accuracy)} % of {images} rightly"
    if interval is None:
        return f"Here {what} {right}, but it was trained only once, so nobody knows how much of that is luck."
    trained = "every training of which gives the same model," if interval.n_seeds == 1 else ""
    mean = "" if interval.n_seeds == 1 else f" (mean of {refits} trainings)"
    return f"Here {what} {trained + ' ' if trained else ''}{right}, {_about(interval)}{mean}."


def _about(interval: Interval) -> str:
    if (half := half_width_text(interval)) is not None:
        return f"give or take {half} points"
    return f"which may as well be {percent(interval.low)} to {percent(interval.high)} %"


def _against(table: Table, best: Row) -> str:
    """What was not searched and is better all the same; else the next best searched model, or the best given one."""
    if (better := _better_given(table)) is not None:
        return _verdict(better, best.label, better.a)
    if len(table.rows) > 1:
        other = table.rows[1].label
        verdict = next(one for one in table.verdicts if {one.a, one.b} == {best.label, other})
        return _verdict(verdict, best.label, other)
    if table.rows and table.references:
        given = table.references[0]
        if given.against_best is not None:
            return _verdict(given.against_best, best.label, given.label)
    return "No other model was searched here, so there is nothing to compare it with yet."


def _better_given(table: Table) -> Verdict | None:
    """That on the best of what was not searched and is better than all that was."""
    verdicts = (row.against_best for row in table.references)
    return next((one for one in verdicts if one is not None and one.word == "better"), None)


def _verdict(verdict: Verdict, best: str, other: str) -> str:
    difference = verdict.difference
    if difference is None:
        return f"Whether it is better than {other} is not known, since one of them or both were trained only once."
    apart = percent(abs(difference.mean))
    if verdict.word == "tied":
        return (
            f"It cannot be told from {other}: they are {apart} points apart, which is no more than chance can make, "
            "and so neither is better for all that is known."
        )
    first_wins = (verdict.word == "better") == (verdict.a == best)
    how = "better" if first_wins else "worse"
    return f"It is {apart} points {how} than {other}, which is more than chance can explain."


def _mistakes(best: Row) -> str:
    record, report = best.run.record, best.run.scores.by_class
    classes = record.dataset.class_names
    hardest = min(range(len(classes)), key=lambda number: float(report.recall[number]))
    lowest = float(report.recall[hardest])
    text = f"It has most trouble with {classes[hardest]}, of which it recognises {percent(lowest)} %"
    if lowest == 1:
        text = "It made no mistake on these images"
    failed = sum(trial.status == "failed" for trial in record.trials)
    if failed:
        return f"{text}; {failed} of the {len(record.trials)} trials of its search failed and could not win."
    return f"{text}."
