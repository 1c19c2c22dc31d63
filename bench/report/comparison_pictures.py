"""Pictures of the test images that two runs classify differently."""

from pathlib import Path

import pandas as pd

from bench.records.files import write_atomic
from bench.report.comparison import RunComparison
from bench.report.figures.images import Image, Tile, grid_picture
from bench.report.runs import Run

MAX_IMAGES = 25  # of one picture


def write_pictures(comparison: RunComparison, folder: Path) -> tuple[Path, ...]:
    """Write a PNG of the images that only one run classifies correctly, for each of the two; returns their paths.

    The images are those that the record of the other run keeps, the clearest first, with both predictions.

    Raises:
        StoreError: a file cannot be written.
    """
    a, b = comparison.a, comparison.b
    paths = []
    for better, worse, images in ((a, b, comparison.only_a_correct), (b, a, comparison.only_b_correct)):
        if tiles := _tiles(comparison, images, worse):
            path = folder / f"{better.stem}-correct-{worse.stem}-wrong.png"
            write_atomic(path, grid_picture("classified differently", tiles).png())
            paths.append(path)
    return tuple(paths)


def _tiles(comparison: RunComparison, images: pd.DataFrame, worse: Run) -> list[Tile]:
    kept: dict[int, Image] = {
        error.index: image for error, image in zip(worse.scores.misclassifications, worse.wrong_images, strict=False)
    }
    return [
        Tile(
            image=kept[row["image"]],
            above=f"{comparison.a.label}: {row['predicted_a']}\n{comparison.b.label}: {row['predicted_b']}",
            below=f"true: {row['true']}\ntest image {row['image']}",
        )
        for row in images.to_dict("records")
        if row["image"] in kept
    ][:MAX_IMAGES]
