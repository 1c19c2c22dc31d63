"""Figures of a dataset: its first images, one image per class, and one image with its pixel values."""

import io
import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from bench.data.dataset import Dataset
from bench.records.files import write_atomic
from bench.report.figures.picture import plain_text

FIRST_IMAGES = 25
COLUMNS = 5
CELL_INCHES = 1.5
NAME_CHARACTERS = 20  # per line above an image
DPI = 120


def write_samples(dataset: Dataset, folder: Path) -> tuple[Path, ...]:
    """Write three PNG files into `folder`: the first 25 images, one per class, one with a color bar.

    Raises:
        StoreError: a file cannot be written.
    """
    per_class = [int(np.argmax(dataset.labels == label)) for label in range(len(dataset.class_names))]
    first = range(min(FIRST_IMAGES, len(dataset)))
    paths = []
    with plain_text():
        pictures = {
            "first": _grid(dataset, first, f"{dataset.title}: the first {len(first)} images"),
            "classes": _grid(dataset, per_class, f"{dataset.title}: one image per class"),
            "image": _single(dataset, 0),
        }
        for name, figure in pictures.items():
            buffer = io.BytesIO()
            figure.savefig(buffer, format="png", dpi=DPI)
            paths.append(folder / f"{dataset.name}-{name}.png")
            write_atomic(paths[-1], buffer.getvalue())
    return tuple(paths)


def _grid(dataset: Dataset, indices: Sequence[int], title: str) -> Figure:
    rows = math.ceil(len(indices) / COLUMNS)
    figure = Figure(figsize=(COLUMNS * CELL_INCHES, rows * (CELL_INCHES + 0.25) + 0.4), layout="constrained")
    figure.suptitle(title, fontsize=12)
    grid = figure.subplots(rows, COLUMNS, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, index in zip(grid.flat, indices, strict=False):
        image = dataset.images[index]
        # Fixed limits, so that a shade of gray means the same value in every figure.
        axes.imshow(image if image.shape[-1] in (3, 4) else image[..., 0], cmap="gray", vmin=0, vmax=255)
        name = textwrap.fill(dataset.class_names[dataset.labels[index]], NAME_CHARACTERS)
        axes.set_title(name, fontsize=9, pad=3)
    return figure


def _single(dataset: Dataset, index: int) -> Figure:
    figure = Figure(figsize=(5.5, 4.6), layout="constrained")
    axes = figure.subplots()
    # A color bar needs one value per pixel.
    image = dataset.images[index].mean(axis=-1, keepdims=True)
    drawn = axes.imshow(image[..., 0], cmap="gray", vmin=0, vmax=255)
    figure.colorbar(drawn, ax=axes, label="pixel value" if dataset.image_shape[-1] == 1 else "mean over the channels")
    axes.set_title(f"{dataset.title}: image {index}, {dataset.class_names[dataset.labels[index]]}", fontsize=11)
    axes.set(xlabel="column", ylabel="row")
    return figure
