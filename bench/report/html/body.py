"""The HTML of one Markdown page, with links that stay inside the site."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from pathlib import PurePosixPath
from posixpath import normpath, relpath

from markdown_it import MarkdownIt
from markdown_it.token import Token

from bench.report.markdown import heading_id

FOLD = re.compile(r"(\s|</?details>|<summary>[^<>&]+</summary>)+")
CONTENT_ID = "main-content"  # of the element with the page; no heading may have it
WIDE = 15  # characters of a cell that needs more width
LONG = 40  # of one that needs even more
RANKED_HEADER = 9  # tokens of a table up to the end of its second header
NAME_BREAK = re.compile(r"(?<=_)|(?=\[)")  # where the name of a row may continue on the next line
DARK = "-dark.png"  # end of the name of a picture's version for the dark mode


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """A section of a page."""

    id: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """The content of a page."""

    title: str
    html: str
    headings: tuple[Heading, ...] = ()  # of the second level
    targets: tuple[str, ...] = ()  # linked files and pictures of the results folder, as paths relative to it
    script: str | None = None  # path of a file of the site


def html_name(page: str) -> str:
    """Path of the HTML file of a Markdown page; both are relative to the folders that hold them all."""
    path = PurePosixPath(page)
    if page == "leaderboard.md" or path.name == "README.md":
        return str(path.with_name("index.html"))
    return str(path.with_suffix(".html"))


def body(page: str, text: str, exists: Callable[[str], bool], has_dark: Callable[[str], bool]) -> Body:
    """Convert a page from Markdown.

    Args:
        page: path of the Markdown file, relative to the results folder.
        text: its content.
        exists: whether a path relative to the results folder is a file of the site. Links to other files become text.
        has_dark: whether a picture has a version of its own for the dark mode, with a name that ends in DARK. All
            others are inverted there.
    """
    parser = MarkdownIt("commonmark").enable("table")
    # Only the tags that fold a part of a page; all others are text.
    parser.add_render_rule("html_block", _fold)
    parser.add_render_rule("html_inline", _fold)
    parser.add_render_rule("image", lambda *arguments: _image(page, has_dark, *arguments[1:3]))
    parser.add_render_rule("table_open", _table_open)
    parser.add_render_rule("name", _breakable)
    parser.add_render_rule("table_close", lambda *_: "</table></div>\n")
    tokens = parser.parse(text)
    headings = _name_headings(tokens)
    _mark_cells(tokens)
    targets = [target for token in tokens for target in _point_inside(token.children or (), page, exists)]
    return Body(
        title=next((heading.text for level, heading in headings if level == "h1"), page),
        html=str(parser.renderer.render(tokens, parser.options, {})),
        headings=tuple(heading for level, heading in headings if level == "h2"),
        targets=tuple(targets),
    )


def _plain(inline: Token) -> str:
    """The text of a heading or a cell, without its formatting."""
    return "".join(child.content for child in inline.children or ())


def _name_headings(tokens: Sequence[Token]) -> list[tuple[str, Heading]]:
    """Give every heading a unique id; returns their tags and texts."""
    headings, used = [], Counter([CONTENT_ID])
    for token, inline in pairwise(tokens):
        if token.type == "heading_open":
            text = _plain(inline)
            base = heading_id(text)
            identifier = base if used[base] == 0 else f"{base}-{used[base]}"
            used.update({base, identifier})
            token.attrSet("id", identifier)
            headings.append((token.tag, Heading(id=identifier, text=text)))
    return headings


def _mark_cells(tokens: Sequence[Token]) -> None:
    """Label tables by their section, mark the column that identifies a row, and cells that need more width."""
    section, name_column, column = "", 0, 0
    for number, token in enumerate(tokens):
        if token.type == "heading_open":
            section = _plain(tokens[number + 1])
        elif token.type == "table_open":
            token.attrSet("aria-label", f"Table: {section}")
            name_column = _name_column(tokens[number:])
        elif token.type == "tr_open":
            column = 0
        elif token.type in ("th_open", "td_open"):
            _mark_cell(*tokens[number : number + 3], is_name=column == name_column)
            column += 1


def _name_column(table: Sequence[Token]) -> int:
    """The first column; the second one of ranked tables, which have the rank in the first."""
    cells = [_plain(cell) for start, cell in pairwise(table[:RANKED_HEADER]) if start.type == "th_open"]
    return 1 if cells[1:2] == ["model"] else 0


def _mark_cell(start: Token, text: Token, end: Token, *, is_name: bool) -> None:
    is_header, length = start.type == "th_open", len(_plain(text))
    if is_header or is_name:
        start.attrSet("scope", "col" if is_header else "row")
        start.tag = end.tag = "th"
    long = "wider" if is_header else "long"
    width = long if length > LONG else "wide" if length > WIDE else ""
    if is_name:
        for child in text.children or ():
            child.type = "name" if child.type == "text" else child.type
    if classes := [*filter(None, ("name" if is_name else "", width))]:
        start.attrSet("class", " ".join(classes))


def _table_open(_: object, tokens: Sequence[Token], number: int, *__: object) -> str:
    # A wide table scrolls by itself, also with the keyboard; the page does not.
    label = escape(str(tokens[number].attrGet("aria-label")))
    return f'<div class="table" tabindex="0" role="region" aria-label="{label}"><table>\n'


def _fold(_: object, tokens: Sequence[Token], number: int, *__: object) -> str:
    content = tokens[number].content
    return content if FOLD.fullmatch(content) else escape(content)


def _breakable(_: object, tokens: Sequence[Token], number: int, *__: object) -> str:
    return NAME_BREAK.sub("<wbr>", escape(tokens[number].content))


def _image(page: str, has_dark: Callable[[str], bool], tokens: Sequence[Token], number: int) -> str:
    """A picture in a link to itself, which opens it in full size."""
    source, text = str(tokens[number].attrGet("src")), escape(tokens[number].content)
    if not has_dark(_resolve(page, source)):
        return _zoomable(source, text, "invertible")
    dark = source.removesuffix(".png") + DARK
    return _zoomable(source, text, "light-only") + _zoomable(dark, text, "dark-only")


def _zoomable(source: str, text: str, kind: str) -> str:
    source = escape(source)
    return f'<a class="picture {kind}" href="{source}"><img src="{source}" alt="{text}"></a>'


def _resolve(page: str, target: str) -> str:
    return normpath(str(PurePosixPath(page).parent / target))


def _point_inside(tokens: Sequence[Token], page: str, exists: Callable[[str], bool]) -> list[str]:
    """Let links point to HTML pages; returns the paths of all files that are linked or shown."""
    targets, is_text = [], False
    for token in tokens:
        if token.type == "link_close" and is_text:
            token.tag = "span"
        if token.type not in ("link_open", "image"):
            continue
        attribute = "href" if token.type == "link_open" else "src"
        target = str(token.attrGet(attribute))
        is_outside = re.match(r"[a-z]+:|#", target) is not None
        path, _, heading = target.partition("#")
        file = _resolve(page, path)
        is_missing = not (is_outside or exists(file))
        if token.type == "link_open":
            is_text = is_missing
        if is_missing and token.type == "image":
            token.type = "text"  # its alternative text
        elif is_missing:
            token.tag, token.attrs = "span", {}
        elif not is_outside:
            targets.append(file)
            if file.endswith(".md"):
                shown = relpath(html_name(file), str(PurePosixPath(page).parent))
                token.attrSet(attribute, shown + (f"#{heading}" if heading else ""))
    return targets
