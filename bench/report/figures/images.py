"""Pictures made of test images: what a model gets wrong, its most confused pairs, and what no model gets right."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bench.evaluation.error_analysis import SharedError
from bench.evaluation.metrics import Misclassification
from bench.report.figures import Picture, picture

Image = NDArray[np.uint8]  # (height, width, channels)

COLUMNS = 5
PAIR_IMAGES = 6  # of each direction of a confused pair
SIDE = 1.3  # inches of an image
GAP = 0.3  # inches between images, beside each other
LINE = 0.16  # inches of a line of text
HEADING = 1.9  # inches for the text at the left of a line of images


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One image with small text above and below it."""

    image: Image
    above: str
    below: str


def mistakes(images: Image, found: Sequence[Misclassification], names: Sequence[str]) -> Picture:
    """Grid of the images that a model gets most confidently wrong, each with true and predicted class.

    Args:
        images: shape (number, height, width, channels).
        found: the mistake at each image.
        names: class names.
    """
    tiles = [
        Tile(
            image=image,
            above=f"is {names[mistake.true]}\nsaid {names[mistake.predicted]}, {_confidence(mistake)}",
            below=f"test image {mistake.index}",
        )
        for image, mistake in zip(images, found, strict=True)
    ]
    return picture("mistakes", [tiles], lambda: _draw(_grid(tiles)))


def confused(found: Sequence[tuple[str, str, Sequence[tuple[Misclassification, Image]]]]) -> Picture:
    """A line of images for each direction of the most confused pairs.

    Args:
        found: true class, class that was said, and the mistakes with their images, the most confident first.
    """
    lines = [
        [Tile(image=image, above=_confidence(mistake), below=f"image {mistake.index}") for mistake, image in line]
        for _, _, line in found
    ]
    headings = [f"is {true}\nsaid {said}" for true, said, _ in found]
    return picture("confused", [lines, headings], lambda: _draw(lines, headings))


def missed(found: Sequence[SharedError], images: Sequence[Image], names: Sequence[str]) -> Picture:
    """Images that no model gets right, with their label and the answer that most trainings give."""
    tiles = [
        Tile(
            image=image,
            above=f"label {names[one.true]}\n{_share(one.agreement)} say {names[one.most_common_prediction]}",
            below=f"test image {one.index}",
        )
        for one, image in zip(found, images, strict=True)
    ]
    return picture("missed", [tiles], lambda: _draw(_grid(tiles)))


def _confidence(mistake: Misclassification) -> str:
    # Rounded to a hundredth first: the last bit of a probability depends on the machine.
    return f"{100 * round(mistake.probability, 2):.0f} %"


def _share(agreement: float) -> str:
    return "all" if agreement == 1 else f"{100 * agreement:.0f} %"


def _grid(tiles: Sequence[Tile]) -> list[Sequence[Tile]]:
    return [tiles[start : start + COLUMNS] for start in range(0, len(tiles), COLUMNS)]


def _draw(lines: Sequence[Sequence[Tile]], headings: Sequence[str] = ()) -> Figure:
    """Lines of images on a single pair of axes, in inches: axes for each would take several times as long to draw."""
    left = HEADING if headings else GAP / 2
    above = LINE * max(tile.above.count("\n") + 1 for line in lines for tile in line)
    step = above + SIDE + 2 * LINE
    columns = PAIR_IMAGES if headings else COLUMNS
    width, height = left + columns * (SIDE + GAP), len(lines) * step
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    for number, line in enumerate(lines):
        top = number * step + above
        if headings:
            axes.text(LINE / 2, top + SIDE / 2, headings[number], va="center", fontsize=9)
        for column, tile in enumerate(line):
            begin = left + column * (SIDE + GAP)
            rows, pixels, channels = tile.image.shape
            across, down = SIDE * pixels / max(rows, pixels), SIDE * rows / max(rows, pixels)
            axes.imshow(
                tile.image.squeeze(-1) if channels == 1 else tile.image,
                extent=(begin, begin + across, top + down, top),
                cmap="gray",
                vmin=0,
                vmax=255,
            )
            axes.text(begin + SIDE / 2, top - 0.03, tile.above, ha="center", va="bottom", fontsize=8)
            axes.text(begin + SIDE / 2, top + SIDE + 0.03, tile.below, ha="center", va="top", fontsize=8)
    axes.set(xlim=(0, width), ylim=(height, 0), aspect="auto")
    return figure
