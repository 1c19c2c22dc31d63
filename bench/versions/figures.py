"""Figures of the versions page."""

import math

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bench.report.figures.picture import Picture, picture

LIMIT = 2.0  # ratio at which the color scale ends, in both directions
DARK = 0.6  # fraction of the color scale, in both directions, beyond which numbers are white


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
    axes.set_yticks(range(operations), ratios.index.tolist(), fontsize=8)
    axes.set_xticks(range(versions), ratios.columns.tolist(), fontsize=8)
    axes.xaxis.tick_top()
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    for row, column in np.argwhere(~np.isnan(values)):
        color = "white" if abs(colors[row, column]) > DARK else "black"
        axes.text(column, row, f"{values[row, column]:.2f}", ha="center", va="center", fontsize=8, color=color)
    return figure
