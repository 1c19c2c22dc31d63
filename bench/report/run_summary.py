"""The runs of one command: a ranked table, the verdict, and where to look next."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench.command import command
from bench.report.board import Board, Row, Table
from bench.report.narrow_table import narrow_table, wrap
from bench.report.ranked_table import INTERVALS, difference_note, machines_note, ranked_table, sorted_rows
from bench.report.ranking import rank
from bench.report.runs import Loaded, Run, load
from bench.report.text.statements import family_sentences, pair_sentence, pair_sentences


def run_summary(results: Path, run_ids: Sequence[str]) -> str:
    """A table of these runs and the best reference model, which differences are significant, and what to do next.

    Ranks and tests of tuned models are those among these runs, not those of the whole leaderboard.
    """
    loaded, shown, parts = load(results), list[Row](), []
    for table in _board(results, loaded, run_ids).tables:
        known = {row.record.run_id for row in shown}  # reference models are in several tables
        rows = [row for row in table.everything if row.record.run_id in {*run_ids} - known]
        if rows:
            parts += [_table_text(table, rows), _verdict(table, rows)]
            shown += rows
    return "\n\n".join(filter(None, [*parts, _next_steps(results, loaded, shown)]))


def _board(results: Path, loaded: Loaded, run_ids: Sequence[str]) -> Board:
    """Tuned models among these runs with all reference models; if there are none, the whole leaderboard."""
    reproductions = tuple(run for run in loaded.reproductions if run.record.run_id in run_ids)
    published = [run.reproduces.record.run_id for run in reproductions if run.reproduces is not None]
    named = {*run_ids, *published}
    if not any(_is_tuned(run) and run.record.run_id in named for run in loaded.runs):
        return rank(results, loaded)
    runs = tuple(run for run in loaded.runs if not _is_tuned(run) or run.record.run_id in named)
    return rank(results, replace(loaded, runs=runs, reproductions=reproductions))


def _is_tuned(run: Run) -> bool:
    return run.record.search is not None


def _table_text(table: Table, rows: Sequence[Row]) -> str:
    """The rows, and the best reference model below tuned ones."""
    shown, title = [*rows], table.dataset.title
    if any(_is_tuned(row.run) for row in rows):
        shown += [row for row in table.references[:1] if row not in rows]
        title += f", budget {table.conditions['budget']}"
    text = narrow_table(ranked_table(table, sorted_rows(table, shown)))
    notes = wrap(f"{INTERVALS}\n{difference_note(table)} Ranks are among these runs.\n{machines_note(shown)}".rstrip())
    return f"{wrap(f'{title}, {table.dataset.n_test:,} test images')}\n\n{text}\n\n{notes}"


def _verdict(table: Table, rows: Sequence[Row]) -> str:
    """Tests between the tuned models, and of each reference model, or the best one, against the best of them."""
    tuned = any(_is_tuned(row.run) for row in rows)
    sentences = [*family_sentences(table), *pair_sentences(table)] if tuned else []
    references = [row for row in rows if row.record.reference is not None] or table.references[:1]
    tests = [row.versus_best for row in references if row.versus_best is not None]
    sentences += [pair_sentence(test, table.dataset.n_test) for test in tests]
    return wrap("\n".join(sentences))


def _next_steps(results: Path, loaded: Loaded, rows: Sequence[Row]) -> str:
    labels = [run.label for run in loaded.all_runs]
    # Runs on several datasets may have the same label.
    names = [row.label if labels.count(row.label) == 1 else row.record.run_id for row in rows]
    commands = [("show", *names[:1])] if names else []
    commands += [("compare", *names[:2])] if len(names) > 1 else []
    return "\n".join(
        [
            *(f"Report: {page}" for page in dict.fromkeys(results / row.page for row in rows)),
            f"Leaderboard: {results / 'leaderboard.md'}",
            *(f"Next: {command(results, *words)}" for words in commands),
        ]
    )
