"""Pictures of the test images that two runs classify differently."""

import textwrap
from pathlib import Path

import pandas as pd

from bench.records.files import write_atomic
from bench.report.comparison import RunComparison
from bench.report.figures.images import Tile, grid_picture
from bench.report.runs import Run

MAX_IMAGES = 25  # of one picture
LINE_LENGTH = 26  # characters that fit above an image


def write_pictures(comparison: RunComparison, folder: Path) -> tuple[Path, ...]:
    """Write a PNG of the images that only one run classifies correctly, for each of the two; returns their paths.

    It has the images that the record of the other run keeps, the largest difference first, with both predictions.

    Raises:
        StoreError: a file cannot be written.
    """
    a, b = comparison.a, comparison.b
    paths = []
    for better, worse, images in ((a, b, comparison.only_a_correct), (b, a, comparison.only_b_correct)):
        if tiles := _tiles(comparison, images, worse):
            path = folder / f"{better.stem}-correct-{worse.stem}-misclassified.png"
            write_atomic(path, grid_picture("classified differently", tiles).png())
            paths.append(path)
    return tuple(paths)


def _tiles(comparison: RunComparison, images: pd.DataFrame, worse: Run) -> list[Tile]:
    errors = worse.scores.misclassifications
    kept = {error.index: image for error, image in zip(errors, worse.wrong_images, strict=False)}
    return [
        Tile(
            image=kept[row["image"]],
            above=_predictions({comparison.a: row["predicted_a"], comparison.b: row["predicted_b"]}),
            below=f"true: {row['true']}\ntest image {row['image']}",
        )
        for row in images[images["image"].isin(kept)].head(MAX_IMAGES).to_dict("records")
    ]


def _predictions(predicted: dict[Run, str]) -> str:
    return "\n".join(textwrap.fill(f"{run.label}: {name}", LINE_LENGTH) for run, name in predicted.items())
