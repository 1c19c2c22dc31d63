"""The HTML of one Markdown page, with links that stay inside the site."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import PurePosixPath
from posixpath import normpath, relpath
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

FOLD = re.compile(r"(\s|</?details>|<summary>[\w ]+</summary>)+")
CONTENT_ID = "main-content"  # of the element with the page; no heading may have it
LONG = 40  # characters of a table cell that needs more width
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
    headings: tuple[Heading, ...]  # of the second level
    targets: tuple[str, ...]  # linked files and pictures of the results folder, as paths relative to it


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


def anchor(heading: str) -> str:
    """The id of a heading, as GitHub makes it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def _plain(inline: Token) -> str:
    """The text of a heading or a cell, without its formatting."""
    return "".join(child.content for child in inline.children or ())


def _name_headings(tokens: Sequence[Token]) -> list[tuple[str, Heading]]:
    """Give every heading a unique id; returns their tags and texts."""
    headings, used = [], Counter([CONTENT_ID])
    for token, inline in zip(tokens, tokens[1:], strict=False):
        if token.type == "heading_open":
            text = _plain(inline)
            base = anchor(text)
            identifier = base if used[base] == 0 else f"{base}-{used[base]}"
            used.update({base, identifier})
            token.attrSet("id", identifier)
            headings.append((token.tag, Heading(id=identifier, text=text)))
    return headings


def _mark_cells(tokens: Sequence[Token]) -> None:
    """Label tables by their section, name the column that identifies a row, and mark long cells."""
    section, header, column = "", list[str](), 0
    for number, token in enumerate(tokens):
        if token.type == "heading_open":
            section = _plain(tokens[number + 1])
        elif token.type == "table_open":
            token.attrSet("aria-label", f"Table: {section}")
            header = []
        elif token.type == "tr_open":
            column = 0
        elif token.type in ("th_open", "td_open"):
            text = _plain(tokens[number + 1])
            if token.type == "th_open":
                header.append(text)
                token.attrSet("scope", "col")
            # The model is the second column of ranked tables.
            is_name = column == ("model" in header[:2] and header.index("model"))
            if token.type == "td_open" and is_name:
                token.tag = tokens[number + 2].tag = "th"
                token.attrSet("scope", "row")
            classes = ["name"] * is_name + ["long"] * (len(text) > LONG)
            if classes:
                token.attrSet("class", " ".join(classes))
            column += 1


def _table_open(_: object, tokens: Sequence[Token], number: int, *__: object) -> str:
    # A wide table scrolls by itself, also with the keyboard; the page does not.
    label = escape(str(tokens[number].attrGet("aria-label")))
    return f'<div class="table" tabindex="0" role="region" aria-label="{label}"><table>\n'


def _fold(_: object, tokens: Sequence[Token], number: int, *__: object) -> str:
    content = tokens[number].content
    return content if FOLD.fullmatch(content) else escape(content)


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
        attribute = _ATTRIBUTES.get(token.type)
        target = str(token.attrGet(attribute) or "") if attribute is not None else ""
        if attribute is None or re.match(r"[a-z]+:|#", target):
            is_text = is_text and token.type != "link_open"
            continue
        path, _, heading = target.partition("#")
        file = _resolve(page, path)
        is_text = token.type == "link_open" and not exists(file)
        if is_text:
            token.tag, token.attrs = "span", {}
            continue
        targets.append(file)
        if file.endswith(".md"):
            shown = relpath(html_name(file), str(PurePosixPath(page).parent))
            token.attrSet(attribute, shown + (f"#{heading}" if heading else ""))
    return targets


_ATTRIBUTES: Mapping[str, Any] = {"link_open": "href", "image": "src"}
