"""The part of a table that the leaderboard and the dataset's page share."""

from dataclasses import dataclass

import pandas as pd

from bench.report.board import Table
from bench.report.tables.scores import families_table, references_table, reproductions_table, scores_table
from bench.report.text.statements import family_sentences, pair_sentences
from bench.report.text.summary import summary


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSection:
    """What the template `_table.md.j2` shows; empty frames and lists are left out."""

    table: Table
    summary: tuple[str, str, str]
    scores: pd.DataFrame
    pair_tests: list[str]
    families: pd.DataFrame
    family_tests: list[str]
    references: pd.DataFrame
    reproductions: pd.DataFrame


def table_section(table: Table) -> TableSection:
    """The section of a table."""
    return TableSection(
        table=table,
        summary=summary(table),
        scores=scores_table(table),
        pair_tests=pair_sentences(table),
        families=families_table(table),
        family_tests=family_sentences(table),
        references=references_table(table),
        reproductions=reproductions_table(table),
    )
