"""The report as HTML pages: no external resources, no broken links, all text of the pages, readable colors."""

import re
from functools import cached_property
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from posixpath import normpath

import pytest
from markdown_it import MarkdownIt

from bench.records.files import write_atomic
from bench.records.store import all_folders
from bench.report.build import build, write
from bench.report.figures.picture import DARK_PAGE, DARK_TEXT, stored_digest
from bench.report.figures.table import FAMILY_COLORS, REFERENCE_COLORS
from bench.report.html.body import body, html_name
from bench.report.html.site import Site, site, write_html
from bench.report.markdown import heading_id, inline
from bench.report.ranking import leaderboard
from builders import add_reference, add_run
from contrast import contrast

GRID = """# Title

| rank | model | accuracy (%) |
|:--|:--|--:|
| 1 | a | 90 |

[inside](fashion_mnist/README.md#part-1) [page](#part) [elsewhere](https://example.org)
[outside](../x.py) [gone](y.json)

## Part

## Part

<script>alert(1)</script> & <b>bold</b>

![plot](figures/plot.png)
![photos](figures/photos.png)
"""


class Parsed(HTMLParser):
    """Ids, targets, title and text of a page."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(content.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += data

    def values(self, attribute: str) -> list[str]:
        return [attributes[attribute] for _, attributes in self.tags if attribute in attributes]

    @cached_property
    def title(self) -> str:
        return self.text.strip().partition("\n")[0]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("html")
    add_run(folder)
    add_run(folder, [[*range(30)], [*range(31)], [*range(32)]], spec={"family": "cnn"})
    add_reference(folder, [[*range(40)], [*range(41)], [*range(42)]])
    (folder / "benchmarks").mkdir()
    (folder / "benchmarks" / "speed.md").write_text("# Speed\n\nFast: [numbers](speed.json), [script](../../s.py)\n")
    (folder / "benchmarks" / "speed.json").write_text("{}")
    for name, content in build(leaderboard(folder)).items():
        if isinstance(content, bytes):  # pictures take long
            write_atomic(folder / name, content)
    return folder


@pytest.fixture(scope="module")
def made(results: Path) -> Site:
    return site(results)


@pytest.fixture(scope="module")
def pages(made: Site) -> dict[str, Parsed]:
    return {name: Parsed(made.content(name)) for name in made.files if name.endswith(".html")}


def test_there_is_a_page_for_each_model_and_each_page_that_is_linked(pages: dict[str, Parsed]) -> None:
    models = {f"synthetic/{name}.html" for name in ("index", "cnn", "dense", "tutorial-linear")}
    assert set(pages) == {"index.html", *models, "tutorials.html", "benchmarks/index.html", "benchmarks/speed.html"}


def test_each_page_has_a_title_of_its_own_and_unique_ids(pages: dict[str, Parsed]) -> None:
    titles = [page.title for page in pages.values()]
    assert all(titles)
    assert len(set(titles)) == len(titles)
    for page in pages.values():
        ids = page.values("id")
        assert len(set(ids)) == len(ids)


def test_every_link_and_resource_is_a_file_of_the_site_or_on_the_web(made: Site, pages: dict[str, Parsed]) -> None:
    for name, page in pages.items():
        assert all(not re.match(r"[a-z]+:", source) for source in page.values("src")), name
        for target in (*page.values("href"), *page.values("src")):
            if re.match(r"https://|data:,$", target):
                continue
            path, _, fragment = target.partition("#")
            file = normpath(str(Path(name).parent / path)) if path else name
            assert file in made.files, (name, target)
            assert not fragment or fragment in pages[file].values("id"), (name, target)


def test_pages_contain_every_word_of_the_markdown(pages: dict[str, Parsed], results: Path) -> None:
    for file in results.rglob("*.md"):
        words = set(re.findall(r"\w+", pages[html_name(file.relative_to(results).as_posix())].text))
        text = re.sub(r"!\[[^]]*\]\([^)]*\)|\]\([^)]*\)|</?details>|</?summary>|<!--.*?-->", " ", file.read_text())
        assert set(re.findall(r"\w+", text)) - words <= {"text", "python"}, file  # the language of a code block


def test_every_page_leads_to_every_other_one(pages: dict[str, Parsed]) -> None:
    for name, page in pages.items():
        links = {normpath(str(Path(name).parent / target)) for target in page.values("href")}
        assert set(pages) <= links, name
        assert [attributes["href"] for _, attributes in page.tags if "aria-current" in attributes] == [
            "../" * name.count("/") + name
        ]


def test_special_characters_in_names_are_text(pages: dict[str, Parsed]) -> None:
    assert "Star|fish" in pages["synthetic/index.html"].text


def test_inline_text_has_no_emphasis() -> None:
    for text in ("Dense.__init__() missing", "_x_ *y*", "my_net", "a__b"):
        assert MarkdownIt("commonmark").renderInline(inline(text)) == text
    assert inline("my_net") == "my_net"


def test_markdown_becomes_html_with_ids_as_on_github() -> None:
    made = body(
        "page.md", GRID, exists=lambda name: "fashion" in name or "png" in name, has_dark=lambda n: "photo" in n
    )
    parsed = Parsed(made.html.encode())
    assert made.title == "Title"
    assert [heading.id for heading in made.headings] == ["part", "part-1"]
    assert heading_id("code of cnn_2 (a/b)") == "code-of-cnn_2-ab"
    links = [attributes.get("href") for tag, attributes in parsed.tags if tag == "a"][:3]
    assert links == ["fashion_mnist/index.html#part-1", "#part", "https://example.org"]
    assert "outside" in parsed.text  # as text, since the site has no such file
    assert "y.json" not in made.html
    assert "<script>" not in made.html
    assert "<b>" not in made.html
    assert made.targets[1:] == ("figures/plot.png", "figures/photos.png")


def test_only_tags_that_fold_a_part_are_kept() -> None:
    def shown(text: str) -> str:
        return body("page.md", text, exists=lambda _: True, has_dark=lambda _: False).html

    fold = "<details>\n<summary>Time since 2.16.2 (ratio)</summary>\n\ntext\n\n</details>"
    assert shown(fold) == "<details>\n<summary>Time since 2.16.2 (ratio)</summary>\n<p>text</p>\n</details>"
    assert "<script>" not in shown("<summary><script>alert(1)</script></summary>")
    assert "<details open" not in shown("<details open onclick='alert(1)'>")


def test_missing_picture_is_replaced_by_its_text() -> None:
    made = body("page.md", "![curves](gone.png)", exists=lambda _: False, has_dark=lambda _: False)
    assert made.html == "<p>curves</p>\n"
    assert made.targets == ()


def test_column_of_models_is_the_header_of_its_rows() -> None:
    parsed = Parsed(body("page.md", GRID, exists=lambda _: True, has_dark=lambda _: False).html.encode())
    cells = [
        (tag, attributes.get("class"), attributes.get("scope")) for tag, attributes in parsed.tags if tag[0] == "t"
    ]
    assert [cell for cell in cells if cell[0] in {"th", "td"}] == [
        ("th", None, "col"),
        ("th", "name", "col"),
        ("th", None, "col"),
        ("td", None, None),
        ("th", "name", "row"),
        ("td", None, None),
    ]


def test_names_of_rows_may_break_between_their_words() -> None:
    table = "| name | default |\n|:--|:--|\n| second_convolution&lt; | a_b |\n| step\\[dense\\] | 1 |\n"
    html = body("page.md", table, exists=lambda _: True, has_dark=lambda _: False).html
    assert ">second_<wbr>convolution&lt;</th>" in html
    assert ">step<wbr>[dense]</th>" in html
    assert ">a_b</td>" in html


def test_plots_are_inverted_in_the_dark_mode_and_photos_have_a_dark_picture() -> None:
    html = body("page.md", GRID, exists=lambda _: True, has_dark=lambda name: "photo" in name).html
    shown = re.findall(r'<a class="picture ([\w-]+)" href="([^"]+)"', html)
    assert shown == [
        ("invertible", "figures/plot.png"),
        ("light-only", "figures/photos.png"),
        ("dark-only", "figures/photos-dark.png"),
    ]


def test_pictures_of_images_and_heat_maps_have_a_dark_version(made: Site) -> None:
    dark = {name for name in made.files if name.endswith("-dark.png")}
    assert {name.rpartition("-")[0].rpartition("-")[2] for name in dark} == {
        "confused",
        "confusion",
        "f1",
        "misclassified",
    }
    name = min(dark)
    assert made.content(name) != made.content(name.replace("-dark", ""))


def test_files_are_written_and_stale_ones_removed(tmp_path: Path) -> None:
    add_run(tmp_path)
    write(tmp_path)
    first = write_html(tmp_path)
    assert first == tmp_path / "html" / "index.html"
    assert {path.relative_to(first.parent).as_posix() for path in first.parent.rglob("*.*")} == set(
        site(tmp_path).files
    )
    model = first.parent / "synthetic" / "dense.html"
    times = {path: path.stat().st_mtime_ns for path in first.parent.rglob("*.*")}
    write_html(tmp_path)
    assert times == {path: path.stat().st_mtime_ns for path in first.parent.rglob("*.*")}
    (first.parent / "notes.html").write_text("my notes")
    for folder in all_folders(tmp_path):
        folder.record_file.unlink()
    write_html(tmp_path)
    assert not model.exists()
    assert [path for path in first.parent.rglob("*.png") if stored_digest(path) is not None] == []
    assert (first.parent / "notes.html").exists()


def test_text_has_a_contrast_of_at_least_4_5_in_both_modes() -> None:
    css = files("bench.report.html").joinpath("assets", "style.css").read_text()
    light, dark = (
        dict(re.findall(r"--(\w+): (#\w{6});", block))
        for block in re.findall(r"\{\s*color-scheme.*?\}", css, re.DOTALL)
    )
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    for colors in (light, dark):
        for text in ("text", "soft", "link", "mark"):
            for background in ("page", "faint"):
                assert contrast(colors[text], colors[background]) >= 4.5, (text, background)
    assert (dark["page"], dark["text"]) == (DARK_PAGE, DARK_TEXT)  # of dark pictures


def test_colors_of_models_have_a_contrast_of_at_least_3_with_the_page() -> None:
    for color in (*FAMILY_COLORS, *REFERENCE_COLORS.values()):
        assert contrast(color, "#ffffff") >= 3, color
