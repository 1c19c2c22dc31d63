"""Changes of the time of operations as a heat map."""

import math

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bench.evaluation.speed import SpeedChange
from bench.evaluation.text import ratio_text
from bench.report.figures.heat_map import label_cells, text_color
from bench.report.figures.picture import Picture, picture

LIMIT = 2.0  # ratio at which the color scale ends, in both directions
NOT_SIGNIFICANT = "#EEEEEE"


def time_map(changes: pd.DataFrame) -> Picture:
    """Heat map of the change of time of operations (rows) per comparison (columns); gray if not significant."""
    cells = [
        (row, column, change.ratio, ratio_text(change.ratio), change.verdict != "not significant")
        for (row, column), change in np.ndenumerate(changes.to_numpy())
        if isinstance(change, SpeedChange)
    ]
    labels = changes.index.tolist(), changes.columns.tolist()
    return picture("time per update", [*labels, cells], lambda: _draw(*labels, cells), keep_colors=True)


def _draw(operations: list[str], updates: list[str], cells: list[tuple[int, int, float, str, bool]]) -> Figure:
    figure = Figure(figsize=(2.4 + 0.85 * len(updates), 1.4 + 0.24 * len(operations)), layout="constrained")
    axes = figure.subplots()
    axes.set_facecolor(NOT_SIGNIFICANT)
    shades = np.full((len(operations), len(updates)), np.nan)
    for row, column, ratio, _, significant in cells:
        if significant:
            shades[row, column] = math.log(ratio) / math.log(LIMIT)
    image = axes.imshow(shades, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
    for row, column, _, text, significant in cells:
        color = text_color(image.to_rgba(shades[row, column])) if significant else "#666666"
        axes.text(column, row, text, ha="center", va="center", fontsize=8, color=color)
    headings = [update.replace(" to ", " to\n").replace(": ", ":\n") for update in updates]
    label_cells(axes, operations, headings, 8, 8)
    return figure
