"""All generated files of a results folder: built, written, and compared with those on disk."""

import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path, PurePosixPath

from bench.errors import BenchError, ExtensionError, RecordError
from bench.records.files import write_atomic, writing
from bench.records.store import all_folders
from bench.report.board import Board, Row
from bench.report.evaluations import count_evaluations
from bench.report.figures.picture import Picture, stored_digest
from bench.report.markdown import MARK_PREFIX, mark
from bench.report.pages import BUILT_IN, pages
from bench.report.pages.contract import Files, Page, ReportsProblems
from bench.report.ranking import leaderboard
from bench.report.runs import relative_to


def build(board: Board, makers: Sequence[Page] | None = None) -> Files:
    """Every file of the pages; pictures are not drawn yet.

    Args:
        board: the leaderboard of a results folder.
        makers: the pages; all by default.

    Raises:
        ExtensionError: a page fails, two pages make the same file, or a file is neither bytes nor a picture or has a
            path outside the results folder.
    """
    files: dict[str, bytes | Picture] = {}
    for page in pages() if makers is None else makers:
        made = page.files(board) if page in BUILT_IN else _files(page, board)
        for name, content in made.items():
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or path.parts[:1] == ("records",):
                raise ExtensionError(
                    f"page {page.name!r} makes {name}: it must be a path in the results folder, not in records"
                )
            if name in files:
                raise ExtensionError(f"page {page.name!r} makes {name}, which another page makes too")
            if not isinstance(content, bytes | Picture):
                raise ExtensionError(
                    f"page {page.name!r} makes {name} as {type(content).__name__}: expected bytes or a Picture"
                )
        files |= made
    return files


def _files(page: Page, board: Board) -> Files:
    """The files of a page of an installed package."""
    try:
        return page.files(board)
    except BenchError:
        raise
    except Exception as error:
        raise ExtensionError(
            f"page {page.name!r} failed: {type(error).__name__}: {error}. Fix or uninstall the package that provides it"
        ) from error


def write(results: Path) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Bring every generated file of `results` up to date.

    Returns:
        The files that were written or removed, and the problems of records that could not be read.

    Raises:
        StoreError: a file cannot be written or removed.
    """
    files, problems, stale = _state(results)
    changed = _changed(results, files)
    for name in changed:
        content = files[name]
        write_atomic(results / name, content if isinstance(content, bytes) else content.png())
    for name in stale:
        with writing(results / name):
            (results / name).unlink(missing_ok=True)  # another command may have removed it
    return tuple(results / name for name in (*changed, *stale)), problems


def check(results: Path) -> tuple[str, ...]:
    """What is wrong with the records in `results` or differs from its generated files, one sentence each."""
    files, problems, stale = _state(results)
    differences = [
        f"{name} {'is out of date' if (results / name).exists() else 'is missing'}" for name in _changed(results, files)
    ]
    unused = [f"{name} belongs to no record" for name in stale]
    return (*problems, *differences, *unused, *_damages(results, known=problems))


def check_run(board: Board, row: Row) -> tuple[int, tuple[str, ...]]:
    """Compare the pages and pictures with results of one row with those on disk.

    Returns:
        How many were compared, and the names of those that differ.
    """
    folder = row.record.dataset.name
    shared = {"leaderboard.md", "tutorials.md", f"{folder}/README.md", row.page}
    # Not those of other rows, such as dense-quick-curves.png of dense-quick for the row dense.
    pictures = re.compile(rf"{re.escape(folder)}/figures/({re.escape(row.run.stem)}-[a-z]+|table-.+)\.png")
    files = {name: file for name, file in build(board).items() if name in shared or pictures.fullmatch(name)}
    return len(files), tuple(_changed(board.results, files))


def _state(results: Path) -> tuple[Files, tuple[str, ...], list[str]]:
    """All files, the problems of records that cannot be read, and the names of stale files."""
    board, makers = leaderboard(results), pages()
    files = build(board, makers)
    of_pages = (problem for page in makers if isinstance(page, ReportsProblems) for problem in page.problems(board))
    problems = (*board.problems, *of_pages)
    # The pages of a record that cannot be read now are its last remains.
    return files, problems, [] if problems else _stale(results, files, makers)


def _changed(results: Path, files: Files) -> list[str]:
    """The names of files that are missing or out of date."""

    def is_current(path: Path, content: bytes | Picture) -> bool:
        if isinstance(content, Picture):
            return content.is_at(path)
        return path.is_file() and path.read_bytes() == content

    return [name for name, content in files.items() if not is_current(results / name, content)]


def _damages(results: Path, known: Sequence[str]) -> Iterator[str]:
    """Damage in files that no page is made from, without the `known` problems."""
    folders = [folder for folder in all_folders(results) if folder.finished]
    datasets = sorted({folder.dataset for folder in folders})
    checks = [folder.check for folder in folders] + [partial(count_evaluations, results, name) for name in datasets]
    for check_file in checks:
        try:
            check_file()
        except RecordError as error:
            if (problem := relative_to(results, error)) not in known:
                yield problem


def _stale(results: Path, files: Files, makers: Sequence[Page]) -> list[str]:
    """Files that pages of the packages of `makers` made once and no page makes anymore.

    Files with another mark or none are kept: they are of a package that may not be installed here, or of a person.
    """
    inside = [path for path in results.iterdir() if path.is_dir()]
    # A folder with records of its own or a leaderboard is another results folder.
    folders = [path for path in inside if not any((path / name).exists() for name in ("records", "leaderboard.md"))]
    candidates = [file for folder in (results, *folders) for file in folder.glob("*.md") if file.is_file()]
    modules = (getattr(page, "__name__", type(page).__module__) for page in makers)
    marks = tuple(each.encode() for each in (MARK_PREFIX, *(mark(name.rpartition(".")[0]) for name in modules)))
    marked = [file for file in candidates if file.read_bytes().startswith(marks)]
    pictures = [file for folder in folders for file in folder.glob("figures/*.png") if stored_digest(file) is not None]
    return sorted({path.relative_to(results).as_posix() for path in (*marked, *pictures)} - set(files))
