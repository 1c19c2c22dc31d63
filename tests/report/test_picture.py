"""Pictures have a palette unless that would be visible."""

import io
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from bench.report.figures import picture as pictures
from bench.report.figures.images import Tile, grid_picture
from bench.report.figures.model import confusion_matrix
from bench.report.figures.picture import DARK_PAGE, MAX_COLOR_ERROR, dark, picture


def stored(pixels: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]") -> Image.Image:
    """The PNG file of a picture of `pixels`, shape (height, width, 3)."""

    def draw() -> Figure:
        figure = Figure(figsize=(400 / pictures.DPI, 400 / pictures.DPI))
        figure.figimage(pixels)
        return figure

    return Image.open(io.BytesIO(picture("pixels", [pixels], draw).png()))


def test_few_colors_have_a_palette() -> None:
    pixels = np.full((400, 400, 3), 255, dtype=np.uint8)
    pixels[100:200] = (0, 114, 178)
    image = stored(pixels)
    assert image.mode == "P"
    drawn = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(drawn - pixels).max() <= MAX_COLOR_ERROR


def test_photo_keeps_its_colors() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (400, 400, 3), dtype=np.uint8)
    image = stored(pixels)
    assert image.mode == "RGB"
    assert (np.asarray(image) == pixels).all()


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
def test_images_with_any_number_of_channels_are_drawn(channels: int) -> None:
    tile = Tile(image=np.zeros((4, 4, channels), np.uint8), above="a", below="b")
    assert grid_picture("test", [tile]).png().startswith(b"\x89PNG")


def test_dollar_signs_are_no_formulas() -> None:
    figure = Figure(figsize=(2, 1))

    def draw() -> Figure:
        figure.subplots().set_xticks([0], ["from $5 to $6"])
        figure.suptitle("$_$")
        return figure

    picture("test", [2], draw).png()
    assert not any(text.get_parse_math() for text in figure.findobj(Text))


@pytest.mark.filterwarnings("error")
def test_characters_that_no_font_has_are_no_warnings() -> None:
    assert confusion_matrix(np.eye(2, dtype=np.int64), ["日本犬", "cat"]).png().startswith(b"\x89PNG")


def test_names_of_classes_do_not_overlap() -> None:
    names = ["golden_retriever", "Staffordshire terrier", "Entlebucher/Appenzeller", "chrysanthemum"]
    figure = confusion_matrix(np.eye(4, dtype=np.int64), names).draw()
    FigureCanvasAgg(figure).draw()  # type: ignore[no-untyped-call]
    boxes = [label.get_window_extent() for label in figure.axes[0].get_xticklabels()]
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))


def test_dark_version_has_a_dark_background_light_text_and_a_digest_of_its_own() -> None:
    def draw() -> Figure:
        figure = Figure(figsize=(2, 1))
        figure.text(0.5, 0.5, "text", ha="center")
        return figure

    light = picture("test", [1], draw, keep_colors=True)
    with Image.open(io.BytesIO(dark(light).png())) as image:
        pixels = np.asarray(image.convert("RGB"))
    assert f"#{bytes(pixels[0, 0]).hex()}" == DARK_PAGE
    assert pixels.max() > 200
    assert dark(light).digest != light.digest
    assert light.digest == picture("test", [1], draw).digest  # so that no published picture is drawn again
    with Image.open(io.BytesIO(light.png())) as image:
        assert image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
