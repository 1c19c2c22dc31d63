"""Figures of the versions page."""

import math

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bench.report.figures.heat_map import DARK, label_cells
from bench.report.figures.picture import Picture, picture

LIMIT = 2.0  # ratio at which the color scale ends, in both directions


def time_map(ratios: pd.DataFrame) -> Picture:
    """Heat map of the time of operations (rows) with versions (columns), relative to the oldest version."""
    content = [ratios.index.tolist(), ratios.columns.tolist(), ratios.to_numpy()]
    return picture("time by version", content, lambda: _draw(ratios))


def _draw(ratios: pd.DataFrame) -> Figure:
    operations, versions = ratios.shape
    figure = Figure(figsize=(2.4 + 0.75 * versions, 1.2 + 0.24 * operations), layout="constrained")
    axes = figure.subplots()
    values = ratios.to_numpy()
    colors = np.log(values) / math.log(LIMIT)
    axes.imshow(colors, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
    label_cells(axes, ratios.index.tolist(), ratios.columns.tolist(), 8, 8)
    for row, column in np.argwhere(~np.isnan(values)):
        color = "white" if abs(colors[row, column]) > DARK else "black"
        axes.text(column, row, f"{values[row, column]:.2f}", ha="center", va="center", fontsize=8, color=color)
    return figure
