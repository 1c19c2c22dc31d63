"""leaderboard.md: the tables of all datasets."""

from itertools import groupby
from typing import Any

from bench.report.board import Board, Table
from bench.report.evaluations import count_text
from bench.report.markdown import render
from bench.report.pages.contract import Files
from bench.report.tables import scores
from bench.report.text.objective import score_name
from bench.report.text.statements import family_sentences, identical_sentences, pair_sentences, summary

name = "leaderboard"


def files(board: Board) -> Files:
    """leaderboard.md."""
    datasets = {
        dataset: [table_section(table) for table in tables]
        for dataset, tables in groupby(board.tables, key=lambda table: table.dataset.name)
    }
    evaluations = {dataset: count_text(board.results, dataset) for dataset in datasets}
    page = render("leaderboard.md.j2", board=board, datasets=datasets, evaluations_by_dataset=evaluations)
    return {"leaderboard.md": page}


def table_section(table: Table) -> dict[str, Any]:
    """What `_table.md.j2` shows here and on the dataset's page; empty frames and lists are left out."""
    return {
        "table": table,
        "summary": summary(table),
        "scores": scores.scores_table(table),
        "score": score_name(table.rows[0].run.record.spec) if table.rows else "",
        "pair_tests": pair_sentences(table),
        "families": scores.families_table(table),
        "family_tests": family_sentences(table),
        "references": scores.references_table(table),
        "identical": identical_sentences(table),
        "reproductions": scores.reproductions_table(table),
    }
