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
    """The test of two models."""
    if test.difference is None:
        return f"{test.a} and {test.b} are not compared: a single seed gives no variance estimate."
    return _sentence(test, test.difference, test.a, test.b, f"{n_test:,} test images")


def family_sentences(table: Table) -> list[str]:
    """The tests between families, each over several searches."""
    searches = {family.name: len(family.searches) for family in table.families}
    sentences = []
    for test in table.family_tests:
        basis = f"{searches[test.a]} and {searches[test.b]} searches"
        if test.difference is not None:
            sentences.append(_sentence(test, test.difference, f"Family {test.a}", f"family {test.b}", basis))
    return sentences


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
        f"{a} is {percent(abs(difference.mean))} points {test.verdict} than {b} (95% CI {percent(low)} to "
        f"{percent(high)}; {basis})."
    )
