"""The pages: the built-in ones, and those that installed packages add."""

from bench.errors import SpecError
from bench.machine import extensions
from bench.report.pages import dataset, leaderboard, model, tutorials
from bench.report.pages.contract import Page

GROUP = "keras_family_bench.pages"
BUILT_IN: tuple[Page, ...] = (leaderboard, dataset, model, tutorials)


def pages() -> tuple[Page, ...]:
    """The built-in pages, then those of entry points in the group `keras_family_bench.pages`.

    Raises:
        SpecError: an entry point is not a page.
    """
    return (*BUILT_IN, *(_load(entry_point.load(), name) for name, entry_point in extensions(GROUP).items()))


def _load(page: object, name: str) -> Page:
    if not isinstance(page, Page):
        raise SpecError(f"the entry point {name!r} of {GROUP} must be an object with `name` and `files(board)`")
    return page
