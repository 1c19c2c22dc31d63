"""The pages: the built-in ones, and those that installed packages add."""

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
    expected = "an object with `name` and `files(board)`"
    return (*BUILT_IN, *(load_extension(point, Page, expected) for point in extensions(GROUP).values()))
