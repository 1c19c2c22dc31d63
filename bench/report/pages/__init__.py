"""The pages: the built-in ones, and those that installed packages add."""

from importlib.metadata import EntryPoint

from bench.errors import ExtensionError
from bench.extensions import extensions, load_extension
from bench.report.pages import benchmarks, dataset, leaderboard, model, tutorials
from bench.report.pages.contract import Page

GROUP = "keras_family_bench.pages"
BUILT_IN: tuple[Page, ...] = (leaderboard, dataset, model, tutorials, benchmarks)


def pages() -> tuple[Page, ...]:
    """The built-in pages, then those of entry points in the group `keras_family_bench.pages`.

    Raises:
        ExtensionError: an entry point cannot be imported, or is not a page.
    """
    return (*BUILT_IN, *map(_load, extensions(GROUP).values()))


def _load(entry_point: EntryPoint) -> Page:
    page = load_extension(entry_point)
    if not isinstance(page, Page):
        raise ExtensionError(
            f"the entry point {entry_point.value} in {GROUP} must be an object with `name` and `files(board)`"
        )
    return page
