"""What a table says, in three sentences that need no statistics to be understood; made from its numbers."""

from bench.reporting.leaderboard import Row, Table, Verdict
from bench.reporting.tables import percent


def summary(table: Table) -> tuple[str, str, str]:
    """How good the best model is; whether it is better than the next one; what it gets wrong, and what went wrong.

    Args:
        table: with at least one row, searched or given.
    """
    best = table.everything[0]
    return _best(best), _against(table, best), _mistakes(best)


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
    about = percent((interval.high - interval.low) / 2)
    trained = "every training of which gives the same model," if interval.n_seeds == 1 else ""
    mean = "" if interval.n_seeds == 1 else f" (mean of {refits} trainings)"
    return f"Here {what} {trained + ' ' if trained else ''}{right}, give or take {about} points{mean}."


def _against(table: Table, best: Row) -> str:
    """The next best searched model; where there is none, the best of what was not searched."""
    if len(table.rows) > 1:
        other = table.rows[1].label
        verdict = next(one for one in table.verdicts if {one.a, one.b} == {best.label, other})
        return _verdict(verdict, best.label, other)
    if table.rows and table.references:
        given = table.references[0]
        if given.against_best is not None:
            return _verdict(given.against_best, best.label, given.label)
    return "No other model was searched here, so there is nothing to compare it with yet."


def _verdict(verdict: Verdict, best: str, other: str) -> str:
    difference = verdict.difference
    if difference is None:
        return f"Whether it is better than {other} is not known, since one of the two was trained only once."
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
    recognised = percent(float(report.recall[hardest]))
    text = f"It has most trouble with {classes[hardest]}, of which it recognises {recognised} %"
    failed = sum(trial.status == "failed" for trial in record.trials)
    if failed:
        return f"{text}; {failed} of the {len(record.trials)} trials of its search failed and could not win."
    return f"{text}."
