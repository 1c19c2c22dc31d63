"""leaderboard.md: for each dataset the models with the default budget, best first, and what follows from them."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from bench.evaluation.text import counted, joined
from bench.records.spec import SearchSpec
from bench.report.board import Board, Table, score_names
from bench.report.evaluations import evaluations_text
from bench.report.markdown import Markdown, anchor, link, render
from bench.report.pages.contract import Files
from bench.report.tables.constant import constant_sentence, split_constant
from bench.report.tables.costs import prediction_note
from bench.report.tables.leaderboard import NOT_SIGNIFICANT, leaderboard_table, left_out_sentence, section_link
from bench.report.tables.provenance import provenance_table, short_commit
from bench.report.text.dataset_command import command_on
from bench.report.text.findings import findings
from bench.report.text.human import human_accuracy
from bench.report.text.statements import identical_sentences, summary

name = "leaderboard"


def files(board: Board) -> Files:
    """leaderboard.md."""
    datasets = [list(tables) for _, tables in groupby(board.tables, key=lambda table: table.dataset.name)]
    sections = [_dataset_section(board, tables) for tables in datasets]
    page = render(
        "leaderboard.md.j2",
        board=board,
        score=score_names(board.tables),
        datasets=sections,
        origin=_origin(datasets),
        links=_links(board),
    )
    return {"leaderboard.md": page}


def _origin(datasets: Sequence[Sequence[Table]]) -> str:
    """The date and commit of the newest result on the page, and how many other commits there are."""
    records = [row.record for first, *_ in datasets for row in first.compared]
    newest_first = sorted(records, key=lambda record: record.finished, reverse=True)
    commits = list(dict.fromkeys(short_commit(record.environment.git_commit) for record in newest_first))
    if not records:
        return ""
    others = f"; {counted(len(commits) - 1, 'other commit')}: see Provenance" if len(commits) > 1 else ""
    return f"Newest result: {newest_first[0].finished[:10]}, measured at commit {commits[0]}{others}."


def _links(board: Board) -> list[Markdown]:
    """What else there is in the results folder, as links."""
    is_tutorial = (row.record.is_tutorial for table in board.tables for row in table.references)
    measured = (board.results / "versions" / "families").glob("*/versions/*.json")
    families = sorted({path.parents[1].name for path in measured})
    versions = "What changed between versions of TensorFlow and Keras"
    links = {
        "Published tutorials and what beats them": ("tutorials.md", any(is_tutorial)),
        versions: ("versions.md", any((board.results / "versions").glob("*.json"))),
        **{f"{versions} for {family}": (f"versions-{family}.md", True) for family in families},
        "Benchmarks of the suite": ("benchmarks/README.md", any((board.results / "benchmarks").glob("*.md"))),
    }
    return [link(text, target) for text, (target, exists) in links.items() if exists]


def _dataset_section(board: Board, tables: Sequence[Table]) -> dict[str, Any]:
    table, dataset = tables[0], tables[0].dataset.name
    return {
        "name": dataset,
        **ranking(table, from_top=True),
        "summary": summary(table),
        "findings": findings(table),
        "code": _code_link(table),
        "identical": identical_sentences(table),
        "human": human_accuracy(dataset),
        "left_out": left_out_sentence(table),
        "others": [_other_link(other) for other in tables[1:]],
        "evaluations": evaluations_text(board.results, tables),
        "provenance": provenance_table(table),
    }


def _code_link(table: Table) -> Markdown | None:
    """The code of the selected tuned model."""
    row = table.selected_row
    return None if row is None or row.run.plain is None else section_link(row, code=True, from_top=True)


def _other_link(table: Table) -> Markdown:
    """The conditions in which a table differs from the first one, as a link to it, and links to its models."""
    models = ", ".join(str(section_link(row, from_top=True)) for row in table.rows)
    heading = f"Table {table.number}: budget {table.conditions['budget']}"
    return Markdown(f"{link(table.differing_text, f'{table.dataset.name}/README.md{anchor(heading)}')}: {models}")


def ranking(table: Table, *, from_top: bool) -> dict[str, Any]:
    """The models of a table, best first, with a caption of several sentences; `from_top` as in `section_link`."""
    frame, shared = split_constant(leaderboard_table(table, from_top=from_top), keep=("rank", "model", "type"))
    return {
        "table": table,
        "reproduce": command_on(table.dataset.name, "reproduce"),
        "ranking": frame,
        "ranking_caption": [*_caption(table), *filter(None, [constant_sentence(shared)])],
    }


def _caption(table: Table) -> Iterator[str]:
    refits = sorted({len(row.record.refits) for row in table.compared})
    if repeated := " or ".join(str(count) for count in refits if count > 1):
        yield (
            f"Test accuracy is the mean over {repeated} refits with different seeds, with its 95% CI, which accounts "
            f"for the variance across seeds and the finite test set of {table.dataset.n_test:,} images."
        )
    single = [row.run for row in table.compared if row.run.interval is not None and row.run.interval.n_seeds == 1]
    kinds = {
        "deterministic classifiers (fitted once)": any(not run.record.trained_elsewhere for run in single),
        "single model files": any(run.record.trained_elsewhere for run in single),
    }
    if single:
        named = joined([kind for kind, exists in kinds.items() if exists])
        yield f"The 95% CI of {named} accounts for the finite test set of {table.dataset.n_test:,} images only."
    if (selected := table.compared_with) is not None:
        splits = {row.record.spec.split for row in table.rows if isinstance(row.record.spec, SearchSpec)}
        by_split = " (each split has its own validation images)" if len(splits) > 1 else ""
        yield (
            f"Differences are from {selected.label}, the tuned model with the best {table.score}{by_split}, with their "
            f"95% CI; {NOT_SIGNIFICANT}: not significant after Holm's correction. The intervals are not adjusted for "
            "multiple comparisons, so one may exclude 0 although the difference is not significant."
        )
    if any(row.rank is not None and row.rank[0] < row.rank[1] for row in table.rows):
        yield "If tuned models are not significantly different, their ranks are ranges."
    if table.references:
        yield "Reference models are not tuned here, follow their own recipes, and are not ranked."
    if any(row.run.interval is None for row in table.compared):
        yield "A model with a single seed has no interval and no rank, since one seed gives no variance estimate."
    if len(table.machines) == 1:
        yield prediction_note(table.compared)
    else:
        names, types = table.machine_names, {"tuned models": table.rows, "reference models": table.references}
        trained_on = "; ".join(
            f"{kind}: {joined(sorted({names[row.record.environment.machine] for row in rows}))}"
            for kind, rows in types.items()
            if rows
        )
        yield (
            f"The rows come from different machines ({trained_on}), so this table has no times. Accuracies may differ "
            "slightly, since rounding in training depends on the machine; this is expected to act like another seed."
        )
    if any(row.record.trained_elsewhere for row in table.references):
        yield "The training data of models trained elsewhere is unknown and may contain test images."
