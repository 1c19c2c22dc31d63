"""Figures of a model's page: learning curves, confusion matrix, hyperparameters."""

import re
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from bench.evaluation.arrays import IntArray
from bench.evaluation.text import counted
from bench.records.record import Curve
from bench.report.figures.heat_map import text_color
from bench.report.figures.picture import Picture, picture
from bench.report.tables.hyperparameters import Tried

# Okabe and Ito's colors, distinguishable by color-blind readers: https://jfly.uni-koeln.de/color/
BLUE, ORANGE, GRAY = "#0072B2", "#D55E00", "#999999"
VALIDATION_COLOR = "#000000"
LINES = (("training", "-"), ("validation", "--"))
MAX_NUMBERED_CLASSES = 20  # cells of a larger confusion matrix are too small for numbers
WRAP_AT = 9  # characters of a class name below a column
MAX_LINE = 12  # characters below a column
MAX_NAMED_CLASSES = 40  # of more, only every second, third ... is named
MAX_WRAPPED_CLASSES = 12  # whose names fit side by side
MIN_SHOWN_PERCENT = 0.1  # smaller shares get no number
PANELS = 3  # per row
NARROW_RANGE = 50  # a logarithmic axis with a smaller ratio of its ends gets ticks at 1, 2 and 5


def curves(trial: Curve, refits: Sequence[Curve], color: str, loss: str = "loss (nats)") -> Picture:
    """Loss and accuracy by epoch: training and, if there is one, validation of the winner's trial and of the refits.

    Args:
        trial: of the winner; empty for a reference model.
        refits: of the model.
        color: of the training, that of the model.
        loss: label of the axis of losses.
    """
    return picture("curves", [trial, list(refits), color, loss], lambda: _draw_curves(trial, refits, color, loss))


def _epochs(trial: Curve, refits: Sequence[Curve]) -> int:
    return max(len(curve.training_loss) for curve in (trial, *refits))


def _draw_curves(trial: Curve, refits: Sequence[Curve], color: str, loss: str) -> Figure:
    figure = Figure(figsize=(8, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    count, epochs = counted(len(refits), "refit"), _epochs(trial, refits)
    marker = "x" if epochs == 1 else None  # a line of one point is invisible
    colors = {"training": color, "validation": VALIDATION_COLOR}
    beside_trial = bool(trial.training_loss)
    for axes, measure, heading, scale in ((left, "loss", loss, 1), (right, "accuracy", "accuracy (%)", 100)):
        for part, dashes in (("training", ":"), ("validation", "-.")) if beside_trial else LINES:
            for number, refit in enumerate(refits):
                if values := getattr(refit, f"{part}_{measure}"):
                    shade = GRAY if beside_trial else colors[part]
                    label = None if number else f"{count}, {part}"
                    _line(axes, scale, values, color=shade, ls=dashes, linewidth=1, marker=marker, label=label)
        for part, dashes in LINES if beside_trial else ():
            values = getattr(trial, f"{part}_{measure}")
            _line(axes, scale, values, color=colors[part], ls=dashes, marker="o", markersize=3, label=f"trial, {part}")
        axes.set(xlabel="epoch", ylabel=heading, xlim=(0.5, epochs + 0.5))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        plain_axes(axes)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return figure


def _line(axes: Axes, scale: float, values: Sequence[float], **style: Any) -> None:
    axes.plot(range(1, len(values) + 1), [scale * value for value in values], **style)


def confusion_matrix(confusion: IntArray, names: Sequence[str]) -> Picture:
    """Heat map of the fraction of each true class (row) that is predicted as each class (column)."""
    return picture("confusion", [confusion, list(names)], lambda: _draw_confusion(confusion, names), keep_colors=True)


def _draw_confusion(confusion: IntArray, names: Sequence[str]) -> Figure:
    share = 100 * confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    side = max(4.0, min(10.0, 1.8 + 0.6 * len(names)))
    figure = Figure(figsize=(side + 1.3, side - 0.5), layout="constrained")
    axes = figure.subplots()
    # Colors follow the square root of the share: errors of a few percent would otherwise be invisible.
    image = axes.imshow(np.sqrt(share), cmap="Blues", vmin=0, vmax=10)
    bar = figure.colorbar(image, ax=axes, shrink=0.8, ticks=np.sqrt([0, 1, 5, 20, 50, 100]))
    bar.ax.set_yticklabels(["0", "1", "5", "20", "50", "100"])
    bar.set_label("share of the true class (%)")
    step = -(-len(names) // MAX_NAMED_CLASSES)
    ticks = range(0, len(names), step)
    lines = [wrapped(name) for name in names]
    if len(names) <= MAX_WRAPPED_CLASSES and max(map(len, "\n".join(lines).split("\n"))) <= MAX_LINE:
        axes.set_xticks(ticks, lines, fontsize=8)
    else:
        axes.set_xticks(ticks, names[::step], rotation=90)
    axes.set_yticks(ticks, names[::step])
    axes.set(xlabel="predicted class", ylabel="true class")
    if len(names) <= MAX_NUMBERED_CLASSES:
        _number_cells(image, share)
    return figure


def wrapped(name: str) -> str:
    """A class name on several short lines, if it has several words."""
    words = re.sub("([/_])", r"\1 ", name)
    return re.sub("([/_]) ", r"\1", textwrap.fill(words, WRAP_AT, break_long_words=False))


def _number_cells(image: AxesImage, share: NDArray[np.float64]) -> None:
    for row, column in np.argwhere(share >= MIN_SHOWN_PERCENT):
        value = share[row, column]
        image.axes.text(
            column,
            row,
            f"{value:.1f}",
            ha="center",
            va="center",
            fontsize=8,
            color=text_color(image.to_rgba(np.sqrt(value))),
            in_layout=False,  # text inside the axes needs no room, and measuring it takes time
        )


def hyperparameters(tried: Sequence[Tried], winner: float, score: str, color: str) -> Picture:
    """Score of full-length trials by each hyperparameter.

    Args:
        tried: the hyperparameters, with their values in these trials.
        winner: score of the winner, drawn as a line.
        score: name of the score.
        color: of the trials, that of the family.
    """
    inputs = [list(tried), winner, score, color]
    return picture("hyperparameters", inputs, lambda: _draw_hyperparameters(tried, winner, score, color))


def _draw_hyperparameters(tried: Sequence[Tried], winner: float, score: str, color: str) -> Figure:
    rows = -(-len(tried) // PANELS)
    figure = Figure(figsize=(2.7 * PANELS, 2.3 * rows), layout="constrained")
    panels = list(figure.subplots(rows, PANELS, squeeze=False, sharey=True).flat)
    for axes, (name, values, chosen, scores) in zip(panels, tried, strict=False):
        places = [values.index(value) for value in chosen] if values else chosen
        axes.plot(places, [100 * score for score in scores], "o", color=color, alpha=0.6, markersize=4)
        axes.axhline(100 * winner, color="black", linewidth=0.8, linestyle="--")
        if values:
            axes.set_xticks(range(len(values)), [_short(value) for value in values], fontsize=7)
            axes.set_xlim(-0.5, len(values) - 0.5)
        elif 0 < NARROW_RANGE * min(numbers := [float(str(value)) for value in chosen]) <= max(numbers):
            axes.set_xscale("log")
            few_logarithmic_ticks(axes.xaxis)
        axes.set_title(name, fontsize=9)
        plain_axes(axes)
    for axes in panels[len(tried) :]:
        axes.set_visible(False)
    figure.supylabel(f"{score} (%)", fontsize=9)
    return figure


def plain_axes(axes: Axes) -> None:
    """A faint grid and no frame at the top and right."""
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def few_logarithmic_ticks(axis: Axis) -> None:
    """Few ticks such as 20k: matplotlib's defaults overlap on a narrow axis."""
    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < NARROW_RANGE * low else (1,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _with_suffix(value)))
    axis.set_minor_formatter(NullFormatter())


def _with_suffix(value: float) -> str:
    for size, suffix in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{suffix}"
    return f"{value:g}"


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
