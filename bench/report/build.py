"""Every generated file of a results folder: made, written, and compared with what lies there."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path

from bench.errors import RecordError
from bench.records.files import write_atomic
from bench.records.record import Curve
from bench.records.store import all_folders, count_test_readings
from bench.report import figures, image_figures
from bench.report.dataset_page import Section, section
from bench.report.figures import Picture, stored_digest
from bench.report.leaderboard import BEST_ROWS, Board, Row, Table, leaderboard
from bench.report.markdown import MARK, render
from bench.report.runs import seen_from
from bench.report.styles import styles
from bench.report.tutorials import machines, recipes_table, tutorial_rows, tutorials_table
from bench.report.winner import (
    SHOWN_MISTAKES,
    confused_images,
    has_curves,
    others_table,
    tried_values,
    winner,
)
from bench.versions.page import page as versions_page
from bench.versions.record import read_all as read_versions

Files = Mapping[str, bytes | Picture]  # path seen from the results folder, with /, to content


def build(results: Path, board: Board | None = None) -> Files:
    """Every file that the records of `results` ask for, by its `board` where that is known; pictures not drawn yet."""
    board = board or leaderboard(results)
    looks = styles(board)
    datasets = {
        name: [section(table, looks) for table in group]
        for name, group in groupby(board.tables, key=lambda table: table.dataset.name)
    }
    readings = {name: _readings(results, name) for name in datasets}
    files: dict[str, bytes | Picture] = {
        "leaderboard.md": render("leaderboard.md.j2", board=board, datasets=datasets, readings=readings)
    }
    for name, parts in datasets.items():
        files[f"{name}/README.md"] = _dataset_page(name, parts, readings[name])
        for part in parts:
            files |= {f"{name}/figures/{file}": picture for file, picture in part.pictures.items()}
    if trained := tutorial_rows(board):
        functions = {"tutorials_table": tutorials_table, "recipes_table": recipes_table, "machines": machines}
        files["tutorials.md"] = render("tutorials.md.j2", tutorials=trained, **functions)
    versions, damaged = read_versions(results)
    if versions:
        files["versions.md"] = versions_page(versions, [seen_from(results, problem) for problem in damaged])
    for page, placed in _by_page(board).items():
        files[page] = _family_page(placed)
        for _, row in placed:
            if row.pictured:
                files |= _pictures(row)
    return files


def write(results: Path) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Bring every generated file of `results` up to date.

    Returns:
        The files that were written or removed, and what is wrong with records that could not be read.

    Raises:
        StoreError: a file cannot be written.
    """
    board = leaderboard(results)
    files = build(results, board)
    changed = [results / name for name, content in files.items() if not is_same(results / name, content)]
    for path in changed:
        content = files[path.relative_to(results).as_posix()]
        write_atomic(path, content if isinstance(content, bytes) else content.png())
    problems = _problems(results, board)
    # A page whose record cannot be read now is the last that is left of it.
    stale = [] if problems else _stale(results, files)
    for path in stale:
        path.unlink()
    return (*changed, *stale), problems


def check(results: Path) -> tuple[str, ...]:
    """What differs between the files in `results` and those that its records ask for, one sentence each."""
    board = leaderboard(results)
    files = build(results, board)
    differences = [
        f"{name} {'is missing' if not (results / name).exists() else 'differs from what the records give'}"
        for name, content in files.items()
        if not is_same(results / name, content)
    ]
    problems = _problems(results, board)
    # Pages of records that cannot be read now are no strangers.
    strangers = [] if problems else _stale(results, files)
    stale = [f"{path.relative_to(results).as_posix()} is asked for by no record" for path in strangers]
    return (*problems, *differences, *stale, *_damages(results, known=problems))


def _problems(results: Path, board: Board) -> tuple[str, ...]:
    """What is wrong with runs and versions whose pages are to be made."""
    _, damaged = read_versions(results)
    return (*board.problems, *(seen_from(results, problem) for problem in damaged))


def pages_of(files: Files, row: Row) -> Mapping[str, bytes | Picture]:
    """Those of `files` that say something of a row."""
    folder = row.run.record.dataset.name
    pages = {"leaderboard.md", "tutorials.md", f"{folder}/README.md", row.page}
    pictures = (f"{folder}/figures/{row.label}-", f"{folder}/figures/table-")
    return {name: files[name] for name in files if name in pages or name.startswith(pictures)}


def _damages(results: Path, known: Collection[str]) -> Iterator[str]:
    """What is wrong with files that the tables are not made from, beside the `known` problems."""
    folders = [folder for folder in all_folders(results) if folder.finished]
    datasets = sorted({folder.path.parent.name for folder in folders})
    checks = [folder.check for folder in folders] + [partial(_count_readings, results, name) for name in datasets]
    for check_kept in checks:
        try:
            check_kept()
        except RecordError as error:
            if (problem := seen_from(results, error)) not in known:
                yield problem


def is_same(path: Path, content: bytes | Picture) -> bool:
    """Whether `path` holds this content."""
    if isinstance(content, Picture):
        return content.is_at(path)
    return path.is_file() and path.read_bytes() == content


def _stale(results: Path, files: Files) -> list[Path]:
    """Generated files that no record asks for; what carries no mark of ours is somebody else's."""
    found = [*results.glob("*/*.md"), results / "tutorials.md", results / "versions.md"]
    pages = (path for path in found if path.is_file() and path.read_bytes().startswith(MARK.encode()))
    pictures = (path for path in results.glob("*/figures/*.png") if stored_digest(path) is not None)
    made = (path for paths in (pages, pictures) for path in paths)
    return sorted(path for path in made if path.relative_to(results).as_posix() not in files)


def _dataset_page(name: str, parts: Sequence[Section], readings: str) -> bytes:
    rows = [row for part in parts for row in part.table.rows]
    return render(
        "dataset.md.j2",
        dataset=name,
        title=parts[0].table.dataset.title,
        parts=parts,
        readings=readings,
        coarse=any(row.run.record.spec.precision != "float32" for row in rows),
    )


def _readings(results: Path, dataset: str) -> str:
    try:
        count = _count_readings(results, dataset)
    except RecordError as error:
        return f"an unknown number of times ({seen_from(results, error)})"
    return "once" if count == 1 else f"{count} times"


def _count_readings(results: Path, dataset: str) -> int:
    """How often the test part was read; every judged run has read it at least once."""
    judged = sum(folder.finished and folder.path.parent.name == dataset for folder in all_folders(results))
    if (found := count_test_readings(results, dataset)) < judged:
        raise RecordError(
            f"records/{dataset}/test_readings.jsonl: {found} readings for {judged} judged runs: restore the file"
        )
    return found


def _by_page(board: Board) -> dict[str, list[tuple[Table, Row]]]:
    pages: dict[str, list[tuple[Table, Row]]] = {}
    placed = set()
    for table in board.tables:
        for row in table.everything:
            if (table.dataset.name, row.label) not in placed:  # a reference stands under every table of its dataset
                placed.add((table.dataset.name, row.label))
                pages.setdefault(row.page, []).append((table, row))
    return pages


def _family_page(placed: list[tuple[Table, Row]]) -> bytes:
    record = placed[0][1].run.record
    return render(
        "family.md.j2",
        family=record.spec.family,
        title=record.dataset.title,
        winners=[winner(table, row) for table, row in placed if row.in_full],
        others=others_table((table, row) for table, row in placed if not row.in_full),
        best_rows=BEST_ROWS,
    )


def _pictures(row: Row) -> dict[str, Picture]:
    record, scores, names = row.run.record, row.run.scores, row.run.record.dataset.class_names
    found = {"confusion": figures.confusion_matrix(scores.confusion, names)}
    if has_curves(record):
        trial = record.winning_trial.curve if record.winner is not None else Curve()
        found["curves"] = figures.curves(trial, [refit.curve for refit in record.refits])
    if scores.misclassifications:
        shown = scores.misclassifications[:SHOWN_MISTAKES]
        found["mistakes"] = image_figures.mistakes(row.run.wrong_images[: len(shown)], shown, names)
    if lines := confused_images(row.run):
        found["confused"] = image_figures.confused(lines)
    if record.winner is not None and (tried := tried_values(record)):
        found["hyperparameters"] = figures.hyperparameters(tried, record.winning_trial.score)
    return {f"{record.dataset.name}/figures/{row.label}-{kind}.png": picture for kind, picture in found.items()}
