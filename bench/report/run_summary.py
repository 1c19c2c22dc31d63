"""The runs of one command: a ranked table, the verdict, and where to look next."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from bench.report.board import Board, Row, Table
from bench.report.markdown import narrow_table
from bench.report.ranked_table import CAPTION, ranked_table, sorted_rows
from bench.report.ranking import rank
from bench.report.runs import Run, load
from bench.report.text.statements import family_sentences, pair_sentence, pair_sentences


def run_summary(results: Path, run_ids: Sequence[str]) -> str:
    """A table of these runs and the best reference model, which differences are significant, and what to do next.

    Ranks and tests of tuned models are those among these runs, not those of the whole leaderboard.
    """
    board, shown, parts = _board(results, run_ids), list[Row](), []
    for table in board.tables:
        known = {row.run.record.run_id for row in shown}
        rows = [row for row in table.everything if row.run.record.run_id in {*run_ids} - known]
        if rows:
            parts.append("\n\n".join([_table_text(table, rows), *_verdict(table, rows)]))
            shown += rows
    return "\n\n".join([*parts, _next_steps(results, shown)])


def _board(results: Path, run_ids: Sequence[str]) -> Board:
    """Tuned models among these runs with all reference models; if there are none, the whole leaderboard."""
    loaded = load(results)
    reproductions = tuple(run for run in loaded.reproductions if run.record.run_id in run_ids)
    published = [run.reproduces.record.run_id for run in reproductions if run.reproduces is not None]

    def is_named(run: Run) -> bool:
        return run.record.run_id in {*run_ids, *published}

    if not any(is_named(run) and run.record.search is not None for run in loaded.runs):
        return rank(results, loaded)
    runs = tuple(run for run in loaded.runs if run.record.search is None or is_named(run))
    return rank(results, replace(loaded, runs=runs, reproductions=reproductions))


def _table_text(table: Table, rows: Sequence[Row]) -> str:
    """The rows, and the best reference model beside tuned ones."""
    reference = table.references[:1] if any(row in table.rows for row in rows) else ()
    compared = [*rows, *(row for row in reference if row not in rows)]
    best = max(row.test_accuracy for row in compared)
    ranked = ranked_table(table, sorted_rows(table, compared), best)
    title = f"{table.dataset.title}, {table.dataset.n_test:,} test images"
    return f"{title}\n\n{narrow_table(ranked)}\n\n{CAPTION}"


def _verdict(table: Table, rows: Sequence[Row]) -> Iterator[str]:
    sentences = [*family_sentences(table), *pair_sentences(table)] if any(row in table.rows for row in rows) else []
    references = [row for row in rows if row.run.record.reference is not None] or table.references[:1]
    sentences += [
        pair_sentence(row.versus_best, table.dataset.n_test) for row in references if row.versus_best is not None
    ]
    if sentences:
        yield "\n".join(sentences)


def _next_steps(results: Path, rows: Sequence[Row]) -> str:
    option = "" if results == Path("results") else f" --results {shlex.quote(str(results))}"
    names = [shlex.quote(row.label) for row in rows]
    lines = [f"Report: {page}" for page in dict.fromkeys(str(results / row.page) for row in rows)]
    lines += [f"Leaderboard: {results / 'leaderboard.md'}", f"Next: bench show {names[0]}{option}"]
    if len(names) > 1:
        lines.append(f"      bench compare {names[0]} {names[1]}{option}")
    return "\n".join(lines)
