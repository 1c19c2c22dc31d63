"""Sphinx extension: a warning for each link and picture in the built pages that leads nowhere.

Sphinx itself checks references between pages. This also covers raw HTML, pictures, downloads, and headings.
"""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from sphinx.application import Sphinx

SOURCES = {"href", "src"}
SOURCE_SETS = {"srcset"}


@dataclass
class Page(HTMLParser):
    """The link targets and the links of a page."""

    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep ids and links."""
        for name, value in attrs:
            if value and (name == "id" or (name == "name" and tag == "a")):
                self.ids.add(value)
            elif value and name in SOURCES:
                self.links.append(value)
            elif value and name in SOURCE_SETS:
                self.links += [candidate.split()[0] for candidate in value.split(",")]


def broken_links(folder: Path) -> list[str]:
    """Where and what, for each link of the HTML files in `folder` whose file or heading does not exist."""
    pages = {}
    for file in sorted(folder.rglob("*.html")):
        pages[file.resolve()] = page = Page()
        page.feed(file.read_text(encoding="utf-8"))
    problems = []
    for file, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            fragment = unquote(parts.fragment)
            found = target.exists() and (
                not fragment or target not in pages or fragment in pages[target].ids or fragment == "top"
            )
            if not found:
                problems.append(f"{file.relative_to(folder.resolve())}: {link}")
    return problems


def _check(app: "Sphinx", error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        from sphinx.util import logging

        logger = logging.getLogger(__name__)
        for problem in broken_links(Path(app.outdir)):
            logger.warning("broken link in %s", problem)


def setup(app: "Sphinx") -> dict[str, bool]:
    """Register the extension."""
    app.connect("build-finished", _check)
    return {"parallel_read_safe": True}
