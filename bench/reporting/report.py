"""Every generated file of a results folder: made, written, and compared with what lies there."""

from collections.abc import Collection, Iterator, Mapping
from functools import partial
from itertools import groupby
from pathlib import Path

from bench.errors import RecordError
from bench.files import write_atomic
from bench.reporting import figures, tables
from bench.reporting.figures import Picture, stored_digest
from bench.reporting.leaderboard import BEST_ROWS, PICTURED_ROWS, Board, Row, Table, leaderboard
from bench.reporting.markdown import MARK, render
from bench.reporting.runs import seen_from
from bench.reporting.winner import others_table, winner
from bench.store import all_folders, count_test_readings

Files = Mapping[str, bytes | Picture]  # path seen from the results folder, with /, to content


def build(results: Path, board: Board | None = None) -> Files:
    """Every file that the records of `results` ask for, by its `board` where that is known; pictures not drawn yet."""
    board = board or leaderboard(results)
    files: dict[str, bytes | Picture] = {"leaderboard.md": _leaderboard_page(results, board)}
    for page, placed in _by_page(board).items():
        files[page] = _family_page(placed)
        for _, row in placed:
            if row.pictured:
                files |= _pictures(row)
    return files


def write(results: Path) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Bring every generated file of `results` up to date.

    Returns:
        The files that were written or removed, and what is wrong with runs that could not be read.

    Raises:
        StoreError: a file cannot be written.
    """
    board = leaderboard(results)
    files = build(results, board)
    changed = [results / name for name, content in files.items() if not _same(results / name, content)]
    for path in changed:
        content = files[path.relative_to(results).as_posix()]
        write_atomic(path, content if isinstance(content, bytes) else content.png())
    # A page whose record cannot be read now is the last that is left of it.
    stale = [] if board.problems else _stale(results, files)
    for path in stale:
        path.unlink()
    return (*changed, *stale), board.problems


def check(results: Path) -> tuple[str, ...]:
    """What differs between the files in `results` and those that its records ask for, one sentence each."""
    board = leaderboard(results)
    files = build(results, board)
    differences = [
        f"{name} {'is missing' if not (results / name).exists() else 'differs from what the records give'}"
        for name, content in files.items()
        if not _same(results / name, content)
    ]
    # Pages of records that cannot be read now are no strangers.
    strangers = [] if board.problems else _stale(results, files)
    stale = [f"{path.relative_to(results).as_posix()} is asked for by no record" for path in strangers]
    return (*board.problems, *differences, *stale, *_damages(results, known=board.problems))


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


def _same(path: Path, content: bytes | Picture) -> bool:
    if isinstance(content, Picture):
        return content.is_at(path)
    return path.is_file() and path.read_bytes() == content


def _stale(results: Path, files: Files) -> list[Path]:
    """Generated files that no record asks for; what carries no mark of ours is somebody else's."""
    pages = (path for path in results.glob("*/*.md") if path.read_bytes().startswith(MARK.encode()))
    pictures = (path for path in results.glob("*/figures/*.png") if stored_digest(path) is not None)
    found = (path for paths in (pages, pictures) for path in paths)
    return sorted(path for path in found if path.relative_to(results).as_posix() not in files)


def _leaderboard_page(results: Path, board: Board) -> bytes:
    datasets = {name: list(group) for name, group in groupby(board.tables, key=lambda table: table.dataset.name)}
    return render(
        "leaderboard.md.j2",
        board=board,
        datasets=datasets,
        readings={name: _readings(results, name) for name in datasets},
        tables=tables,
        coarse=any(row.run.record.spec.precision != "float32" for table in board.tables for row in table.rows),
    )


def _readings(results: Path, dataset: str) -> str:
    try:
        return f"{_count_readings(results, dataset)} time(s)"
    except RecordError as error:
        return f"an unknown number of times ({seen_from(results, error)})"


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
    for table in board.tables:
        for row in table.rows:
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
        pictured_rows=PICTURED_ROWS,
    )


def _pictures(row: Row) -> dict[str, Picture]:
    record, scores, names = row.run.record, row.run.scores, row.run.record.dataset.class_names
    found = {
        "curves": figures.curves(record.winning_trial.curve, [refit.curve for refit in record.refits]),
        "confusion": figures.confusion_matrix(scores.confusion, names),
    }
    if scores.mistakes:
        found["mistakes"] = figures.mistakes(row.run.wrong_images, scores.mistakes, names)
    return {f"{record.dataset.name}/figures/{row.label}-{kind}.png": picture for kind, picture in found.items()}
