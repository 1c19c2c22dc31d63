"""All generated files of a results folder: built, written, and compared with those on disk."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath

from bench.errors import RecordError, SpecError
from bench.records.files import write_atomic
from bench.records.store import all_folders
from bench.report.board import Board, Row
from bench.report.evaluations import count_evaluations
from bench.report.figures.picture import Picture, stored_digest
from bench.report.markdown import MARK_PREFIX
from bench.report.page import Files, Page, ReportsProblems
from bench.report.pages import pages
from bench.report.ranking import leaderboard
from bench.report.runs import relative_to


def build(board: Board, makers: Sequence[Page] | None = None) -> Files:
    """Every file of the pages; pictures are not drawn yet.

    Args:
        board: the leaderboard of a results folder.
        makers: the pages; all by default.

    Raises:
        SpecError: two pages make the same file, or a path leaves the results folder.
    """
    files: dict[str, bytes | Picture] = {}
    for page in pages() if makers is None else makers:
        made = page.files(board)
        for name in made:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or path.parts[:1] == ("records",):
                raise SpecError(
                    f"page {page.name!r} makes {name}: it must be a path in the results folder, not in records"
                )
            if name in files:
                raise SpecError(f"page {page.name!r} makes {name}, which another page makes too")
        files |= made
    return files


def write(results: Path) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Bring every generated file of `results` up to date.

    Returns:
        The files that were written or removed, and the problems of records that could not be read.

    Raises:
        StoreError: a file cannot be written.
    """
    board, makers = leaderboard(results), pages()
    files = build(board, makers)
    changed = [results / name for name, content in files.items() if not is_same(results / name, content)]
    for path in changed:
        content = files[path.relative_to(results).as_posix()]
        write_atomic(path, content if isinstance(content, bytes) else content.png())
    problems = _problems(board, makers)
    # The pages of a record that cannot be read now are its last remains.
    stale = [] if problems else _stale(results, files)
    for path in stale:
        path.unlink()
    return (*changed, *stale), problems


def check(results: Path) -> tuple[str, ...]:
    """What is wrong with the records in `results` or differs from its generated files, one sentence each."""
    board, makers = leaderboard(results), pages()
    files = build(board, makers)
    differences = [
        f"{name} {'is missing' if not (results / name).exists() else 'is out of date'}"
        for name, content in files.items()
        if not is_same(results / name, content)
    ]
    problems = _problems(board, makers)
    stale = [] if problems else _stale(results, files)
    unused = [f"{path.relative_to(results).as_posix()} belongs to no record" for path in stale]
    return (*problems, *differences, *unused, *_damages(results, known=problems))


def check_run(board: Board, row: Row) -> tuple[int, tuple[str, ...]]:
    """Compare the pages and pictures with results of one row with those on disk.

    Returns:
        How many were compared, and the names of those that differ.
    """
    files = _files_of(build(board), row)
    differing = [name for name, content in files.items() if not is_same(board.results / name, content)]
    return len(files), tuple(differing)


def _files_of(files: Files, row: Row) -> Mapping[str, bytes | Picture]:
    folder = row.run.record.dataset.name
    shared = {"leaderboard.md", "tutorials.md", f"{folder}/README.md", row.page}
    pictures = (f"{folder}/figures/{row.run.stem}-", f"{folder}/figures/table-")
    return {name: files[name] for name in files if name in shared or name.startswith(pictures)}


def is_same(path: Path, content: bytes | Picture) -> bool:
    """Whether `path` holds this content."""
    if isinstance(content, Picture):
        return content.is_at(path)
    return path.is_file() and path.read_bytes() == content


def _problems(board: Board, makers: Sequence[Page]) -> tuple[str, ...]:
    of_pages = (problem for page in makers if isinstance(page, ReportsProblems) for problem in page.problems(board))
    return (*board.problems, *of_pages)


def _damages(results: Path, known: Sequence[str]) -> Iterator[str]:
    """Damage in files that no page is made from, without the `known` problems."""
    folders = [folder for folder in all_folders(results) if folder.finished]
    datasets = sorted({folder.path.parent.name for folder in folders})
    checks = [folder.check for folder in folders] + [partial(count_evaluations, results, name) for name in datasets]
    for check_file in checks:
        try:
            check_file()
        except RecordError as error:
            if (problem := relative_to(results, error)) not in known:
                yield problem


def _stale(results: Path, files: Files) -> list[Path]:
    """Generated files that no page makes anymore; files without our mark belong to somebody else."""
    candidates = (path for path in (*results.glob("*.md"), *results.glob("*/*.md")) if path.is_file())
    marked = [path for path in candidates if path.read_bytes().startswith(MARK_PREFIX.encode())]
    pictures = [path for path in results.glob("*/figures/*.png") if stored_digest(path) is not None]
    return sorted(path for path in (*marked, *pictures) if path.relative_to(results).as_posix() not in files)
