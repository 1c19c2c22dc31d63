"""The part of a table that the leaderboard and the dataset's page share."""

from typing import Any

from bench.report.board import Table
from bench.report.tables import scores
from bench.report.text.statements import family_sentences, pair_sentences
from bench.report.text.summary import summary


def table_section(table: Table) -> dict[str, Any]:
    """What the template `_table.md.j2` shows; empty frames and lists are left out."""
    return {
        "table": table,
        "summary": summary(table),
        "scores": scores.scores_table(table),
        "pair_tests": pair_sentences(table),
        "families": scores.families_table(table),
        "family_tests": family_sentences(table),
        "references": scores.references_table(table),
        "reproductions": scores.reproductions_table(table),
    }
