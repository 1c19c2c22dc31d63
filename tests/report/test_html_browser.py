"""The HTML pages in a real browser: tables, pictures, dark mode, keyboard, narrow and wide windows, print."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import pytest

from bench.records.files import write_atomic
from bench.records.plain import PlainKeras
from bench.records.store import run_folder
from bench.report.figures import picture
from bench.report.figures.picture import Picture
from bench.report.html.site import site as whole_site
from browser import chromium
from browser import page as open_page
from builders import add_reference, add_run

if TYPE_CHECKING:
    from playwright.sync_api import Browser, FloatRect, Page

pytestmark = pytest.mark.slow

Open = Callable[..., "Page"]
CODE = "model.fit(x_train, y_train)\n"
WIDE, NARROW = {"width": 1200, "height": 900}, {"width": 400, "height": 800}
# Of all elements with text of their own: the text where its contrast with the background is below 4.5.
LOW_CONTRAST = """() => {
  const channels = (color) => color.match(/[\\d.]+/g).map(Number);
  const linear = (value) => value <= 0.04045 * 255 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4;
  const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const background = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const color = channels(getComputedStyle(each).backgroundColor);
      if (color.length === 3 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  const hasText = (element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  const contrast = (element) => {
    const pair = [channels(getComputedStyle(element).color), background(element)].map(luminance);
    return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
  };
  return [...document.body.querySelectorAll("*")]
    .filter((element) => hasText(element) && contrast(element) < 4.5)
    .map((element) => element.textContent);
}"""
HEADER_LINES = """() => [...document.querySelectorAll("thead th")].map((header) => {
  const text = document.createRange();
  text.selectNodeContents(header);
  return Math.round(text.getBoundingClientRect().height / Number.parseFloat(getComputedStyle(header).lineHeight));
})"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(picture, "DPI", 200)  # as for users: a page shows pictures smaller than they are
        yield _site(tmp_path_factory.mktemp("browser"))


def _site(results: Path) -> Path:
    dense, *_ = (
        add_run(results, [[*range(5 * number + seed)] for seed in range(3)], spec={"family": name})
        for number, name in enumerate(["dense", *(f"family{number}" for number in range(1, 9))], start=3)
    )
    add_reference(results, [[*range(40)], [*range(41)], [*range(42)]])
    run_folder(results, dense.spec).write_plain(PlainKeras(code=CODE, recipe={}))
    made = whole_site(results)
    for name, file in made.files.items():
        # Drawing takes long, so that only pages of which a test looks at the pictures have them.
        if not isinstance(file, Picture) or PurePosixPath(name).name.startswith(("table-", "dense-")):
            write_atomic(results / "html" / name, made.content(name))
    return results / "html"


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    with chromium() as started:
        yield started


@pytest.fixture
def problems() -> Iterator[list[str]]:
    """Errors and messages on the console; every test fails if there are any."""
    found: list[str] = []
    yield found
    assert found == []


@pytest.fixture
def opened(browser: "Browser", site: Path, problems: list[str]) -> Iterator[Open]:
    """Opens a page of the site."""
    with ExitStack() as stack:

        def open_it(name: str = "index.html", **options: Any) -> "Page":
            url = (site / name).as_uri()
            return stack.enter_context(open_page(browser, url, problems, **{"viewport": WIDE} | options))

        yield open_it


def cells(page: "Page", column: int) -> list[str]:
    texts: list[str] = page.locator(f"table >> nth=0 >> tbody tr:visible > :nth-child({column})").all_inner_texts()
    return texts


def test_click_on_a_header_sorts_by_number_down_and_back(opened: Open) -> None:
    page = opened()
    before, accuracy = cells(page, 4), page.locator("thead button", has_text="test accuracy").first
    numbers = [float(text.split()[0]) for text in before]
    assert numbers == sorted(numbers, reverse=True)
    accuracy.click()
    assert [float(text.split()[0]) for text in cells(page, 4)] == sorted(numbers)
    assert page.locator("th[aria-sort=ascending]").count() == 1
    accuracy.click()
    assert [float(text.split()[0]) for text in cells(page, 4)] == sorted(numbers, reverse=True)
    assert accuracy.evaluate("(button) => getComputedStyle(button, '::after').content").endswith('/ ""')  # is not read
    accuracy.click()
    assert cells(page, 4) == before
    assert page.locator("th[aria-sort]").count() == 0


def test_numbers_are_read_as_the_pages_write_them(opened: Open) -> None:
    read = "['(0.94)', '1/4', '1.17', '12% more', '1,024'].map(numberIn)"
    assert opened().evaluate(read) == [0.94, 0.25, 1.17, 12, 1024]


def test_cells_without_a_value_come_last(opened: Open) -> None:
    page = opened()
    rank = page.locator("thead button", has_text="rank").first
    for _ in range(2):
        rank.click()
        assert cells(page, 1)[-1] == "-"
    descending = "['unknown (1 seed)', '2', 'not tested', '3'].toSorted((a, b) => compareCells(a, b, -1)).slice(0, 2)"
    assert page.evaluate(descending) == ["3", "2"]


def test_filter_shows_rows_with_all_words_and_counts_them(opened: Open) -> None:
    page = opened()
    page.get_by_label("Filter rows").first.fill("TUNED ily3")
    assert cells(page, 2) == ["family3"]
    assert page.locator("output").first.inner_text() == "1 of 10 rows"
    page.get_by_role("searchbox", name="Filter rows, Table: ").first.fill("")
    assert len(cells(page, 2)) == 10


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["index.html", "synthetic/index.html", "synthetic/dense.html"])
def test_text_is_readable_in_both_modes(name: str, scheme: str, opened: Open) -> None:
    page = opened(name, color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert page.evaluate(LOW_CONTRAST) == []


def test_dark_mode_follows_the_system_and_the_button_which_the_next_page_remembers(opened: Open) -> None:
    page = opened("synthetic/dense.html", color_scheme="dark")
    background = "getComputedStyle(document.documentElement).backgroundColor"
    assert page.evaluate(background) == "rgb(26, 26, 26)"
    plot = page.locator(".invertible img").first
    assert "invert" in plot.evaluate("(image) => getComputedStyle(image).filter")
    assert page.locator(".dark-only").first.is_visible()
    assert not page.locator(".light-only").first.is_visible()
    page.get_by_role("button", name="Light mode").click()
    assert page.evaluate(background) == "rgb(255, 255, 255)"
    assert page.get_by_role("button", name="Dark mode").is_visible()
    assert plot.evaluate("(image) => getComputedStyle(image).filter") == "none"
    assert page.locator(".light-only").first.is_visible()
    assert not page.locator(".dark-only").first.is_visible()
    page.get_by_role("link", name="Leaderboard").first.click()
    assert page.title() == "Leaderboard"
    assert page.evaluate(background) == "rgb(255, 255, 255)"


@pytest.mark.parametrize("name", ["index.html", "synthetic/index.html", "synthetic/dense.html", "tutorials.html"])
def test_narrow_page_does_not_scroll_sideways_and_headers_are_short(name: str, opened: Open) -> None:
    page = opened(name, viewport=NARROW)
    assert page.evaluate("document.documentElement.scrollWidth") == NARROW["width"]
    assert max(page.evaluate(HEADER_LINES), default=0) < 6


@pytest.mark.parametrize("viewport", [NARROW, WIDE])
def test_column_of_models_stays_while_a_table_scrolls(viewport: dict[str, int], opened: Open) -> None:
    page = opened(viewport=viewport)
    box = page.locator(".table").first
    box.evaluate("(element) => { element.scrollLeft = element.scrollWidth; }")
    name, frame = box.locator("tbody .name").first.bounding_box(), box.bounding_box()
    assert name is not None
    assert frame is not None
    assert name["x"] >= frame["x"] - 1
    # It leaves room for another column.
    assert name["width"] < frame["width"] / 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_right_edge_of_a_table_is_shaded_until_it_is_scrolled_to_the_end(scheme: str, opened: Open) -> None:
    page = opened(viewport=NARROW, color_scheme=scheme)
    box = page.locator(".table").first
    second = box.locator("tbody tr").nth(1)
    second.scroll_into_view_if_needed()
    row = second.bounding_box()
    assert row is not None
    # Between two lines of text, within the last pixels of the visible part.
    frame = box.bounding_box()
    assert frame is not None
    clip: FloatRect = {
        "x": frame["x"] + frame["width"] - 3,
        "y": row["y"] + row["height"] - 5,
        "width": 2,
        "height": 2,
    }
    before = page.screenshot(clip=clip)
    box.evaluate("(element) => { element.scrollLeft = element.scrollWidth; }")
    assert page.screenshot(clip=clip) != before


def test_code_can_be_copied(opened: Open) -> None:
    page = opened("synthetic/dense.html", permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy").click()
    # The clipboard answers later.
    page.get_by_text("Copied", exact=True).wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == CODE
    page.evaluate("() => { navigator.clipboard.writeText = async () => { throw new Error('blocked'); }; }")
    page.get_by_role("button", name="Copy: Code of dense").click()
    page.get_by_text("Copy failed").wait_for()


def test_navigation_is_folded_on_a_narrow_window_only(opened: Open) -> None:
    assert opened().locator("nav").get_by_role("link", name="dense", exact=True).is_visible()
    page = opened(viewport=NARROW)
    model = page.locator("nav").get_by_role("link", name="dense", exact=True)
    assert not model.is_visible()
    page.get_by_text("Pages", exact=True).click()
    model.click()
    assert page.title().startswith("dense on ")


def test_click_enlarges_a_picture_and_escape_closes_it(opened: Open) -> None:
    page = opened("synthetic/dense.html")
    page.locator("a.picture").first.click()
    dialog = page.locator("dialog[open]")
    assert dialog.count() == 1
    image = dialog.locator("img").bounding_box()
    shown = page.locator("main a.picture img").first.bounding_box()
    assert image is not None
    assert shown is not None
    assert image["width"] >= shown["width"]
    page.keyboard.press("Escape")
    assert dialog.count() == 0
    page.locator("a.picture").first.click()
    page.get_by_role("button", name="Close").click()
    assert dialog.count() == 0


def test_enlarged_picture_fits_a_wide_window_and_is_scrolled_by_keys_on_a_narrow_one(opened: Open) -> None:
    scrolled = "document.querySelector('dialog .view').scrollLeft"
    page = opened("synthetic/dense.html")
    page.locator("a.picture").first.click()
    assert not page.evaluate("(view => view.scrollWidth > view.clientWidth)(document.querySelector('dialog .view'))")
    page = opened("synthetic/dense.html", viewport=NARROW)
    page.locator("a.picture").first.click()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(f"{scrolled} > 0")


def test_everything_can_be_reached_with_the_keyboard(opened: Open) -> None:
    page = opened()
    page.keyboard.press("Tab")
    focused = "document.activeElement.textContent.trim()"
    assert page.evaluate(focused) == "Skip to content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main-content"
    seen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.tagName + ' ' + document.activeElement.className"))
    assert {"A ", "INPUT ", "DIV table", "BUTTON ", "A picture invertible"} <= set(seen)
    page.locator("thead button", has_text="model").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("th[aria-sort=ascending]").inner_text().startswith("model")
    page.locator("a.picture").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("dialog[open]").count() == 1
    assert page.evaluate("document.activeElement.className") == "view"
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.className") == "picture invertible"


def test_printed_page_is_light_without_controls_and_cuts_no_table(opened: Open) -> None:
    page = opened("index.html", color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.querySelector('.invertible img')).filter") == "none"
    assert not page.locator("nav").is_visible()
    assert not page.get_by_label("Filter rows").first.is_visible()
    assert page.evaluate("[...document.querySelectorAll('main details')].every((fold) => fold.open)")
    page.set_viewport_size({"width": 1000, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 1000


def test_page_is_complete_without_scripts(opened: Open) -> None:
    page = opened(java_script_enabled=False)
    assert page.locator("nav").get_by_role("link", name="dense", exact=True).is_visible()
    assert len(cells(page, 1)) == 10
    assert page.locator("thead button").count() == 0
    assert not page.get_by_role("button", name="Dark mode").is_visible()
