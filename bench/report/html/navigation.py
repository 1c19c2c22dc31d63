"""The navigation of the site: pages in groups."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A page below another one."""

    page: str  # path of its HTML file
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A page, and those in its folder."""

    page: str
    title: str
    children: tuple[Link, ...]


def groups(titles: Mapping[str, str]) -> tuple[Group, ...]:
    """Pages outside of folders and the first pages of folders, in their order, each with those of its folder.

    Args:
        titles: of all pages, by path of their HTML file.
    """
    heads = [page for page in titles if len(PurePosixPath(page).parts) == 1 or _is_first(page)]
    return tuple(Group(page=head, title=titles[head], children=_children(head, titles)) for head in heads)


def _is_first(page: str) -> bool:
    return PurePosixPath(page).name == "index.html"


def _children(head: str, titles: Mapping[str, str]) -> tuple[Link, ...]:
    folder = PurePosixPath(head).parent
    if folder == PurePosixPath():
        return ()
    end = f" on {titles[head]}"  # which the pages of models have
    return tuple(
        Link(page=page, title=title.removesuffix(end))
        for page, title in titles.items()
        if PurePosixPath(page).parent == folder and page != head
    )
