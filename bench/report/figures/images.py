"""Figures of test images: misclassified by a model, of its most confused classes, misclassified by every network."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bench.evaluation.error_analysis import SharedError
from bench.evaluation.scores import Misclassification, confused_pairs
from bench.report.figures.picture import Picture, picture
from bench.report.runs import Run

Image = NDArray[np.uint8]  # (height, width, channels)

COLUMNS = 5
SHOWN_PAIRS = 3  # pairs of confused classes
PAIR_IMAGES = 6  # per direction of a pair
SIDE = 1.3  # inches of an image
GAP = 0.3  # inches between images in a row
LINE = 0.16  # inches of a line of text
HEADING = 1.9  # inches of the text to the left of a row of images


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """An image with text above and below it."""

    image: Image
    above: str
    below: str


def misclassified(images: Image, errors: Sequence[Misclassification], names: Sequence[str]) -> Picture:
    """Grid of images that a model misclassifies, each with its true and its predicted class.

    Args:
        images: shape (number, height, width, channels).
        errors: the misclassification of each image.
        names: class names.
    """
    tiles = [
        Tile(
            image=image,
            above=f"true: {names[error.true]}\n{names[error.predicted]}, {_confidence(error)}",
            below=f"test image {error.index}",
        )
        for image, error in zip(images, errors, strict=True)
    ]
    return grid_picture("misclassified", tiles)


def confused(run: Run) -> Picture | None:
    """A row of images for each direction of the most confused classes; None if the record keeps no such image."""
    names = run.record.dataset.class_names
    lines: dict[str, list[Tile]] = {}
    for pair in confused_pairs(run.scores.confusion, names, SHOWN_PAIRS):
        for true, predicted in ((pair.a, pair.b), (pair.b, pair.a)):
            tiles = [
                Tile(image=image, above=_confidence(error), below=f"image {error.index}")
                for error, image in zip(run.scores.misclassifications, run.wrong_images, strict=False)
                if (names[error.true], names[error.predicted]) == (true, predicted)
            ]
            if tiles:
                lines[f"true: {true}\npredicted:\n{predicted}"] = tiles[:PAIR_IMAGES]
    tiles_by_line, headings = list(lines.values()), list(lines)
    if not lines:
        return None
    return picture("confused", [tiles_by_line, headings], lambda: _draw(tiles_by_line, headings), keep_colors=True)


def misclassified_by_all(errors: Sequence[SharedError], images: Sequence[Image], names: Sequence[str]) -> Picture:
    """Images that every network misclassifies, with their label and the most frequent prediction."""
    tiles = [
        Tile(
            image=image,
            above=f"label: {names[error.true]}\n"
            f"{names[error.most_common_prediction]}, {100 * error.agreement:.0f}% of refits",
            below=f"test image {error.index}",
        )
        for error, image in zip(errors, images, strict=True)
    ]
    return grid_picture("misclassified by all", tiles)


def grid_picture(kind: str, tiles: Sequence[Tile]) -> Picture:
    """Images side by side, in the order of `tiles`."""
    return picture(kind, [tiles], lambda: _draw(_grid(tiles)), keep_colors=True)


def _confidence(error: Misclassification) -> str:
    # Rounded to a hundredth first: the last bit of a probability depends on the machine.
    return f"{100 * round(error.probability, 2):.0f}%"


def _grid(tiles: Sequence[Tile]) -> list[Sequence[Tile]]:
    return [tiles[start : start + COLUMNS] for start in range(0, len(tiles), COLUMNS)]


def _draw(lines: Sequence[Sequence[Tile]], headings: Sequence[str] = ()) -> Figure:
    """Rows of images on one pair of axes, in inches: separate axes take several times as long to draw."""
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
            start = left + column * (SIDE + GAP)
            rows, pixels, channels = tile.image.shape
            across, down = SIDE * pixels / max(rows, pixels), SIDE * rows / max(rows, pixels)
            axes.imshow(
                tile.image if channels in (3, 4) else tile.image[..., 0],
                extent=(start, start + across, top + down, top),
                cmap="gray",
                vmin=0,
                vmax=255,
            )
            axes.text(start + SIDE / 2, top - 0.03, tile.above, ha="center", va="bottom", fontsize=8)
            axes.text(start + SIDE / 2, top + SIDE + 0.03, tile.below, ha="center", va="top", fontsize=8)
    axes.set(xlim=(0, width), ylim=(height, 0), aspect="auto")
    return figure
