"""Results as sentences: the summary of a table, and which differences are significant."""

from bench.evaluation.comparison import Difference
from bench.evaluation.text import interval_text, joined, p_text, percent, points, range_text
from bench.report.board import FamilyResult, PairTest, Row, Table
from bench.report.ranking import MIN_SEARCHES
from bench.report.runs import Run

MAX_SENTENCES = 6  # of a table with more pairs of models, only those of the best model
MAX_HARDEST = 3  # classes that share the lowest recall and are named


def pair_sentences(table: Table) -> list[str]:
    """The tests of every two of the best tuned models."""
    tests = table.pair_tests
    if len(tests) > MAX_SENTENCES:
        tests = tuple(test for test in tests if test.a == table.rows[0].label)
    return [pair_sentence(test, table.dataset.n_test) for test in tests]


def pair_sentence(test: PairTest, n_test: int) -> str:
    """The test of two models."""
    if test.difference is None:
        return f"{test.a} and {test.b} are not compared: a single seed gives no variance estimate."
    return _sentence(test, test.difference, test.a, test.b, f"{n_test:,} test images")


def family_sentences(table: Table) -> list[str]:
    """The tests between families, each over several searches."""
    families = {family.name: family for family in table.families}
    pairs = len(table.family_tests)
    sentences = []
    for test in table.family_tests:
        if test.difference is not None:
            trained = _searches_text(families[test.a], families[test.b])
            basis = f"{trained}; {table.dataset.n_test:,} test images, paired; {p_text(test.p_adjusted)}"
            if pairs > 1:
                basis += f" after Holm's correction for {pairs} pairs of families"
            freedom = f"{test.difference.degrees_of_freedom:.1f} degrees of freedom"
            basis += f"; the variance across searches has {freedom}"
            sentences.append(
                _sentence(test, test.difference, f"Family {test.a}, as tuned here,", f"family {test.b}", basis)
            )
    return sentences


def _searches_text(a: FamilyResult, b: FamilyResult) -> str:
    """The numbers of searches and of refits that a comparison of two families is based on."""
    each = " each" if len(a.searches) == len(b.searches) else ""
    return f"{_of_both(len(a.searches), len(b.searches))} searches{each} with {_of_both(a.refits, b.refits)} refits"


def _of_both(a: int, b: int) -> str:
    return str(a) if a == b else f"{a} and {b}"


def identical_sentences(table: Table) -> list[str]:
    """The reference models whose refits all predict the same classes."""
    return [
        f"{joined([row.label for row in rows])} predict the same class for every test image, seed by seed."
        for rows in table.references_by_predictions.values()
        if len(rows) > 1
    ]


def row_sentences(table: Table, row: Row) -> list[str]:
    """How a model compares with the runner-up, or with the model ahead of it, and with the best reference model."""
    place = next((number for number, each in enumerate(table.rows) if each is row), None)
    if place is None:
        if row.versus_best is None:
            return []
        return [pair_sentence(row.versus_best, table.dataset.n_test)]
    neighbor = table.rows[place + 1 : place + 2] if place == 0 else table.rows[place - 1 : place]
    tests = [test for test in table.pair_tests for other in neighbor if {test.a, test.b} == {row.label, other.label}]
    if row.versus_reference is not None:
        tests.append(row.versus_reference)
    return [pair_sentence(test, table.dataset.n_test) for test in tests]


def _sentence(test: PairTest, difference: Difference, a: str, b: str, basis: str) -> str:
    low, high = difference.low, difference.high
    if test.verdict == "not significantly different":
        # Its own interval may exclude 0.
        corrected = " after Holm's correction" if low * high > 0 else ""
        return (
            f"{a} and {b} are not significantly different{corrected}: {test.a} minus {test.b} is "
            f"{points(difference.mean)} points (95% CI {points(low)} to {points(high)}; {basis})."
        )
    if test.verdict == "worse":
        low, high = -high, -low
    return (
        f"{a} is {percent(abs(difference.mean))} points {test.verdict} than {b} (95% CI "
        f"{range_text(low, high)}; {basis})."
    )


def summary(table: Table) -> tuple[str, ...]:
    """The summary of a table with at least one row, as sentences."""
    # The best row is the best on the test images, so its test accuracy is biased upward; the selected row's is not.
    best = table.selected_row or table.compared[0]
    beaten = beaten_by_references(table)
    if any(best.label in family.searches for family in table.families):
        family = table.families[0]
        return (
            _best_family(table, family),
            _next_family(table, family),
            *beaten,
            _hardest_class(best, named=True),
        )
    hardest = _hardest_class(best, named=bool(beaten))
    return tuple(filter(None, (_best_model(table, best), _next_model(table, best), *beaten, hardest)))


def _best_family(table: Table, family: FamilyResult) -> str:
    searches = len(family.searches)
    count = len(table.families)
    best = f"The best of the {count} families with several searches" if count > 1 else "The best family"
    if family.interval is None:
        return f"{best} is {family.name}; there is no interval over its {searches} searches."
    return (
        f"{best} is {family.name}: its searches reach {percent(family.interval.mean)}% test accuracy on "
        f"average ({interval_text(family.interval)}; {searches} searches, {table.dataset.n_test:,} test images)."
    )


def _next_family(table: Table, family: FamilyResult) -> str:
    """The next best family."""
    other = next((candidate for candidate in table.families if candidate is not family), None)
    if other is None:
        return f"No other family has {MIN_SEARCHES} searches to compare it with."
    test = next(test for test in table.family_tests if {test.a, test.b} == {family.name, other.name})
    return _comparison(test, family.name, f"the family {other.name}")


def _best_model(table: Table, row: Row) -> str:
    record, interval = row.record, row.run.interval
    if row is not table.compared[0]:
        best = f"tuned model with the best {table.score}"
    else:
        best = "best tuned model" if record.reference is None else "best reference model"
    start = f"The {best} is {row.label} with {percent(row.test_accuracy)}% test accuracy"
    images = f"{record.dataset.n_test:,} test images"
    if interval is None:
        return f"{start} on {images}; a single seed gives no variance estimate."
    single = "a single model file" if record.trained_elsewhere else "deterministic training"
    trained = single if interval.n_seeds == 1 else f"mean of {len(record.refits)} refits"
    return f"{start} ({interval_text(interval)}; {trained}, {images})."


def _next_model(table: Table, best: Row) -> str:
    """The best other tuned model, or the best reference model."""
    if len(table.rows) > 1:
        other = next(row.label for row in table.rows if row is not best)
        # Only the first rows are compared with each other.
        tests = (test for test in table.pair_tests if {test.a, test.b} == {best.label, other})
        return next((_comparison(test, best.label, other) for test in tests), "")
    if table.rows and table.references:
        reference = table.references[0]
        if reference.versus_best is not None:
            return _comparison(reference.versus_best, best.label, reference.label)
    if len(table.references) > 1:
        return "There is no tuned model to compare it with; reference models are not compared with each other."
    return "There is no other model to compare it with."


def beaten_by_references(table: Table) -> list[str]:
    """Which tuned models are worse than reference models, one sentence for each best such reference model.

    A reference model beside a single tuned model is compared in another sentence.
    """
    if len(table.rows) < 2:
        return []
    named: set[str] = set()
    sentences = []
    for reference in table.references:
        if beaten := [label for label in reference.better_than if label not in named]:
            sentences.append(f"The reference model {reference.label} is significantly better than {joined(beaten)}.")
            named |= set(beaten)
    return sentences


def _comparison(test: PairTest, best: str, other: str) -> str:
    difference = test.difference
    if difference is None:
        return f"It is not compared with {other}: a single seed gives no variance estimate."
    size = percent(abs(difference.mean))
    if test.verdict == "not significantly different":
        return f"It is not significantly different from {other} (difference {size} points)."
    verdict = "better" if (test.verdict == "better") == (test.a == best) else "worse"
    return f"It is {size} points {verdict} than {other}, a statistically significant difference."


def _hardest_class(best: Row, *, named: bool) -> str:
    """The classes with the lowest recall; `named` if the sentence before is not about this model."""
    record, hardest, lowest = best.record, best.run.scores.by_class.hardest, best.run.scores.by_class.recall.min()
    start, end = ("The", f" of {best.label}") if named else ("Its", "")
    text = f"{start} hardest class{end} is {hardest[0]}, with a recall of {percent(lowest)}%"
    if lowest == 1:
        text = f"{best.label if named else 'It'} classifies every test image correctly"
    elif len(hardest) > MAX_HARDEST:
        text = f"{start} lowest recall{end} is {percent(lowest)}%, in {len(hardest)} classes"
    elif len(hardest) > 1:
        text = f"{start} hardest classes{end} are {joined(hardest)}, with a recall of {percent(lowest)}% each"
    if failed := sum(trial.status == "failed" for trial in record.trials):
        return f"{text}; {failed} of the {len(record.trials)} trials of its search failed."
    return f"{text}."


def interval_sentence(run: Run) -> str:
    """What the test accuracy of a model and its interval are based on."""
    interval, n_test = run.interval, run.record.dataset.n_test
    if interval is None:
        return f"One refit on {n_test:,} test images: a single seed gives no variance estimate."
    limits = f"95% confidence interval {percent(interval.low)}% to {percent(interval.high)}%"
    if run.record.trained_elsewhere and interval.n_seeds == 1:
        return f"A single model file. {limits} on {n_test:,} test images, without the variance across seeds."
    if interval.n_seeds == 1:
        return (
            f"Training is deterministic. {limits} on {n_test:,} test images; it accounts only for the finite test set."
        )
    return (
        f"Mean of {interval.n_seeds} refits on {n_test:,} test images; {limits}. Variance across seeds contributes "
        f"{100 * interval.seed_variance_share:.0f}% of the squared half-width of the interval; the finite test set "
        "contributes the rest."
    )
