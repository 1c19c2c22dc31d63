"""The report as one self-contained HTML file: all Markdown pages in sequence, with their pictures embedded."""

import base64
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path, PurePosixPath
from posixpath import normpath

from markdown_it import MarkdownIt
from markdown_it.token import Token

from bench.records.files import write_atomic
from bench.report.build import build
from bench.report.figures.picture import Picture
from bench.report.markdown import environment
from bench.report.ranking import leaderboard

FILE = "report.html"
FOLD = re.compile(r"(\s|</?details>|<summary>[\w ]+</summary>)+")


def write_html(results: Path) -> Path:
    """Write FILE next to the pages and return its path."""
    path = results / FILE
    write_atomic(path, html(results))
    return path


def html(results: Path) -> bytes:
    """All pages of a results folder as one HTML document without external resources."""
    files = build(leaderboard(results))
    # The first line is the mark of generated pages.
    pages = {
        name: content.decode().partition("\n")[2]
        for name, content in files.items()
        if isinstance(content, bytes) and name.endswith(".md")
    }
    pictures = {
        name: _data_uri(results / name, content) for name, content in files.items() if isinstance(content, Picture)
    }
    sections = [
        {"id": _anchor(name), "title": _title(text), "body": _body(name, text, pages, pictures)}
        for name, text in pages.items()
    ]
    return environment(escape=True).get_template("report.html.j2").render(pages=sections).encode()


def _data_uri(path: Path, picture: Picture) -> str:
    content = path.read_bytes() if picture.is_at(path) else picture.png()
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def _title(text: str) -> str:
    heading = re.search(r"^# (.+)$", text, re.MULTILINE)
    return re.sub(r"\\(.)", r"\1", heading[1]) if heading else ""


def _anchor(page: str, heading: str = "") -> str:
    """The id of a page, or of a heading on it."""
    words = re.sub(r"[^a-z0-9]+", "-", f"{page.removesuffix('.md')} {heading}".lower()).strip("-")
    return f"page-{words}"


def _body(name: str, text: str, pages: Mapping[str, str], pictures: Mapping[str, str]) -> str:
    """The HTML of one page, with links and pictures that stay inside the document."""
    parser = MarkdownIt("commonmark").enable("table")
    parser.add_render_rule("html_block", _html)
    parser.add_render_rule("html_inline", _html)
    # A wide table scrolls by itself, the page does not.
    parser.add_render_rule("table_open", lambda *_: '<div class="table"><table>\n')
    parser.add_render_rule("table_close", lambda *_: "</table></div>\n")
    tokens, repeated = parser.parse(text), Counter[str]()
    for number, token in enumerate(tokens):
        if token.type == "heading_open":
            anchor = _anchor(name, tokens[number + 1].content)
            repeated[anchor] += 1
            token.attrSet("id", anchor if repeated[anchor] == 1 else f"{anchor}-{repeated[anchor]}")
        for child in token.children or ():
            _point_inside(child, name, pages, pictures)
    return str(parser.renderer.render(tokens, parser.options, {}))


def _html(_: object, tokens: Sequence[Token], number: int, *__: object) -> str:
    """Only the tags that fold a part of a page; all others are text."""
    content = tokens[number].content
    return content if FOLD.fullmatch(content) else escape(content)


def _point_inside(token: Token, page: str, pages: Mapping[str, str], pictures: Mapping[str, str]) -> None:
    attribute = {"link_open": "href", "image": "src"}.get(token.type)
    target = str(token.attrGet(attribute) or "") if attribute is not None else ""
    if attribute is None or re.match(r"[a-z]+:", target):
        return
    if target.startswith("#"):
        token.attrSet(attribute, f"#{_anchor(page, target[1:])}")
        return
    path, _, heading = target.partition("#")
    file = normpath(str(PurePosixPath(page).parent / path))
    if file in pages:
        token.attrSet(attribute, f"#{_anchor(file, heading)}")
    elif file in pictures:
        token.attrSet(attribute, pictures[file])
    else:
        token.attrSet(attribute, file)  # not made from records, such as a benchmark; relative to the document
