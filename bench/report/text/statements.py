"""Test results as sentences: which model is better, by how much, and which differences are not significant."""

from bench.evaluation.comparison import Difference
from bench.report.board import PairTest, Table
from bench.report.text.numbers import percent, points

MAX_SENTENCES = 6  # of a table with more pairs of models, only those of the best model


def pair_sentences(table: Table) -> list[str]:
    """The tests of every two of the best tuned models."""
    tests = table.pair_tests
    if len(tests) > MAX_SENTENCES:
        tests = tuple(test for test in tests if test.a == table.rows[0].label)
    return [pair_sentence(test, table.dataset.n_test) for test in tests]


def pair_sentence(test: PairTest, n_test: int) -> str:
    """One test."""
    difference = test.difference
    if difference is None:
        return f"{test.a} and {test.b} are not compared: a single seed gives no variance estimate."
    size = percent(abs(difference.mean))
    if test.verdict == "not significantly different":
        return (
            f"{test.a} and {test.b} are not significantly different on {n_test:,} test images: {test.a} minus {test.b} "
            f"is {points(difference.mean)} points ({_interval_text(test, difference)}){_corrected(difference)}."
        )
    return f"{test.a} is {size} points {test.verdict} than {test.b} ({_interval_text(test, difference)})."


def _interval_text(test: PairTest, difference: Difference) -> str:
    """The interval of the number in the sentence: with a sign where the number has one."""
    if test.verdict == "not significantly different":
        return f"95% CI {points(difference.low)} to {points(difference.high)}"
    low, high = (difference.low, difference.high) if test.verdict == "better" else (-difference.high, -difference.low)
    return f"95% CI {percent(low)} to {percent(high)}"


def _corrected(difference: Difference) -> str:
    """Why a difference is not significant although its own interval excludes 0."""
    return ", not significant after Holm's correction" if difference.low * difference.high > 0 else ""


def family_sentences(table: Table) -> list[str]:
    """The tests between families, each over several searches."""
    return [_family_sentence(test, table) for test in table.family_tests]


def _family_sentence(test: PairTest, table: Table) -> str:
    difference = test.difference
    counts = {family.name: len(family.searches) for family in table.families}
    if difference is None:
        return f"The families {test.a} and {test.b} are not compared."
    details = f"{_interval_text(test, difference)}, over {counts[test.a]} and {counts[test.b]} searches"
    if test.verdict == "not significantly different":
        return (
            f"The families {test.a} and {test.b} are not significantly different: {test.a} minus {test.b} is "
            f"{points(difference.mean)} points ({details}){_corrected(difference)}."
        )
    return (
        f"The family {test.a} is {percent(abs(difference.mean))} points {test.verdict} than the family {test.b} "
        f"({details})."
    )
