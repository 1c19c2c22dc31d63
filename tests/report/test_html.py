"""The report as one HTML file: no external resources, no broken links, all text of the pages."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from bench.report.build import write
from bench.report.html import html, write_html
from builders import add_run


class Parsed(HTMLParser):
    """Ids, targets and text of a document."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.sources: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in {"id", "href", "src"}:
                {"id": self.ids, "href": self.targets, "src": self.sources}[name].append(str(value))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("html")
    add_run(folder)
    add_run(folder, [[*range(30)], [*range(31)], [*range(32)]], spec={"family": "cnn"})
    write(folder)
    return folder


@pytest.fixture(scope="module")
def document(results: Path) -> Parsed:
    return Parsed(html(results).decode())


def test_there_are_no_external_resources(document: Parsed) -> None:
    assert document.sources
    assert all(source.startswith("data:image/png;base64,") for source in document.sources)


def test_every_link_has_one_target(document: Parsed) -> None:
    inside = [target[1:] for target in document.targets if target.startswith("#")]
    assert inside
    assert set(inside) <= set(document.ids)
    assert len(document.ids) == len(set(document.ids))
    assert all(re.match("#|https://", target) for target in document.targets)


def test_it_contains_every_word_of_the_pages(document: Parsed, results: Path) -> None:
    words = set(re.findall(r"\w+", document.text))
    for page in results.rglob("*.md"):
        text = re.sub(r"!\[[^]]*\]\([^)]*\)|\]\([^)]*\)|</?details>|</?summary>|<!--.*?-->", " ", page.read_text())
        assert set(re.findall(r"\w+", text)) - words <= {"text"}, page  # the language of a code block


def test_special_characters_in_names_are_text(document: Parsed) -> None:
    assert "Star|fish" in document.text


def test_it_is_written_next_to_the_pages(results: Path) -> None:
    assert write_html(results) == results / "report.html"
    assert (results / "report.html").read_bytes() == html(results)
