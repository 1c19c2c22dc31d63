"""Pictures have a palette unless that would be visible."""

import io

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from bench.report.figures.picture import MAX_COLOR_ERROR, picture


def stored(pixels: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]") -> Image.Image:
    """The PNG file of a picture of `pixels`, shape (height, width, 3)."""

    def draw() -> Figure:
        figure = Figure(figsize=(2, 2))
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
