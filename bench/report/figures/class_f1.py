"""F1 by class and model as a heat map."""

import pandas as pd
from matplotlib.figure import Figure

from bench.report.figures.heat_map import label_cells, text_color
from bench.report.figures.picture import Picture, picture

MAX_NUMBERED = 40  # classes; rows of more are too low for numbers


def class_f1_map(f1: pd.DataFrame) -> Picture:
    """Heat map of F1 in [0, 1]: classes as rows, models as columns."""
    content = [f1.index.tolist(), f1.columns.tolist(), f1.to_numpy()]
    return picture("class f1", content, lambda: _draw(f1), keep_colors=True)


def _draw(f1: pd.DataFrame) -> Figure:
    classes, models = f1.shape
    figure = Figure(figsize=(2.2 + 0.7 * models, 1.6 + 0.3 * classes), layout="constrained")
    axes = figure.subplots()
    values = f1.to_numpy()
    low, high = float(values.min()), max(float(values.max()), float(values.min()) + 0.01)
    image = axes.imshow(values, cmap="Blues", vmin=low, vmax=high, aspect="auto")
    label_cells(axes, f1.index.tolist(), [str(name).replace("-", "-\n") for name in f1.columns], 10, 7)
    for row in range(classes if classes <= MAX_NUMBERED else 0):
        for column in range(models):
            value = values[row, column]
            color = text_color(image.to_rgba(value))
            axes.text(column, row, f"{value:.3f}", ha="center", va="center", fontsize=8, color=color, in_layout=False)
    return figure
