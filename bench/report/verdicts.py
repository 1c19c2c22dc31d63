"""Verdicts in plain words: who beats whom, by how much, and what cannot be told."""

from bench.baselines import catalog as references
from bench.evaluation.comparison import Difference
from bench.report.leaderboard import Table, Verdict
from bench.report.tables import percent, points

MAX_SENTENCES = 6  # of a table with more pairs of models, only those of the best model


def sentences(table: Table) -> list[str]:
    """What is known of every two of the best searched rows."""
    verdicts = table.verdicts
    if len(verdicts) > MAX_SENTENCES:
        verdicts = tuple(verdict for verdict in verdicts if verdict.a == table.rows[0].label)
    return [sentence(verdict, table.dataset.n_test) for verdict in verdicts]


def sentence(verdict: Verdict, images: int) -> str:
    """One verdict; it speaks of the models that were found, not of their families."""
    difference = verdict.difference
    if difference is None:
        return f"{verdict.a} and {verdict.b} are not compared: one of them was trained under a single seed."
    by = _interval_text(verdict, difference)
    if verdict.word == "tied":
        return (
            f"{verdict.a} and {verdict.b} cannot be told apart on {images:,} images: they are "
            f"{percent(abs(difference.mean))} points apart ({by}){_corrected(difference)}."
        )
    words = "beats" if verdict.word == "better" else "loses to"
    text = f"{_model(verdict.a)} {words} {_model(verdict.b)} by {percent(abs(difference.mean))} points ({by})."
    return text[0].upper() + text[1:]


def _model(label: str) -> str:
    """What was given goes by its name; of what was searched the sentence is about what this search found."""
    return label if label in references.NAMES else f"the {label} found here"


def _interval_text(verdict: Verdict, difference: Difference) -> str:
    """The interval of what a sentence names: of a difference with its sign, of how much one beats the other without."""
    if verdict.word == "tied":
        ends = f"{points(difference.low)} to {points(difference.high)}"
        return f"{verdict.a} minus {verdict.b}: 95 % interval {ends}"
    low, high = (difference.low, difference.high) if verdict.word == "better" else (-difference.high, -difference.low)
    return f"95 % interval {percent(low)} to {percent(high)}"


def _corrected(difference: Difference) -> str:
    """Of a tie: why it is one where the interval of this pair alone leaves out 0."""
    return ", which among so many comparisons is no more than chance" if difference.low * difference.high > 0 else ""


def family_sentences(table: Table) -> list[str]:
    """What is known of families as such, from several searches of each."""
    return [_family_sentence(verdict, table) for verdict in table.family_verdicts]


def _family_sentence(verdict: Verdict, table: Table) -> str:
    difference = verdict.difference
    counts = {family.name: len(family.searches) for family in table.families}
    searches = f"{counts[verdict.a]} and {counts[verdict.b]} searches"
    if difference is None:
        return f"The families {verdict.a} and {verdict.b} are not compared."
    by = f"{_interval_text(verdict, difference)}, over {searches}"
    if verdict.word == "tied":
        return (
            f"The families {verdict.a} and {verdict.b} cannot be told apart: what such searches find is "
            f"{percent(abs(difference.mean))} points apart ({by}){_corrected(difference)}."
        )
    return (
        f"The family {verdict.a} {'beats' if verdict.word == 'better' else 'loses to'} the family {verdict.b} by "
        f"{percent(abs(difference.mean))} points ({by})."
    )
