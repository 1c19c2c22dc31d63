"""The pictures of a winner's page: small PNG files that carry a digest of what they were drawn from."""

import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from bench.evaluation.metrics import IntArray
from bench.records.record import Curve

# Raised when the drawing changes, so that `report --check` asks for pictures to be drawn again.
DRAWING_VERSION = 4
DIGEST_KEY = "bench-input-sha256"
PIXELS_KEY = "pixels"  # of a digest of what was drawn, so that an edited picture is noticed

# Okabe and Ito's colours, which can be told apart by colour-blind readers: https://jfly.uni-koeln.de/color/
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#999999"
TRAINING = {"color": BLUE, "linestyle": "-", "marker": "o"}
VALIDATION = {"color": ORANGE, "linestyle": "--", "marker": "s"}
MAX_NUMBERED_CLASSES = 20  # cells of a larger confusion matrix are too small for numbers
MAX_NAMED_CLASSES = 40  # of more, only every second, third ... is named
SMALLEST_SHARE = 0.1  # percent; smaller ones get no number
PANELS = 3  # beside each other
SHORT_AXIS = 50  # a logarithmic one that ends at so many times its beginning
DPI = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture that is drawn only where it is missing or was made from something else."""

    digest: str  # of the drawing's version and input
    draw: Callable[[], Figure]

    def png(self) -> bytes:
        """The drawn picture."""
        # Not savefig, which draws twice and keeps an alpha channel that is of no use.
        figure = self.draw()
        figure.set_dpi(DPI)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()  # type: ignore[no-untyped-call]
        pixels = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")  # type: ignore[no-untyped-call]
        buffer, text = io.BytesIO(), PngInfo()
        text.add_text(DIGEST_KEY, self.digest)
        text.add_text(PIXELS_KEY, _pixel_digest(pixels))
        pixels.save(buffer, format="png", compress_level=6, pnginfo=text)
        return buffer.getvalue()

    def is_at(self, path: Path) -> bool:
        """Whether `path` holds this picture, unchanged since it was drawn."""
        try:
            with Image.open(path) as image:
                drawn = image.convert("RGB")
                return image.info.get(DIGEST_KEY) == self.digest and image.info.get(PIXELS_KEY) == _pixel_digest(drawn)
        except (OSError, SyntaxError, ValueError):  # the ways in which Pillow says that a file is damaged
            return False


def stored_digest(path: Path) -> str | None:
    """The digest that a picture carries; None where there is no picture, or none of ours."""
    try:
        with Image.open(path) as image:
            return image.info.get(DIGEST_KEY)
    except (OSError, UnidentifiedImageError):
        return None


def _pixel_digest(image: Image.Image) -> str:
    return hashlib.sha256(image.tobytes()).hexdigest()


def picture(kind: str, inputs: Sequence[object], draw: Callable[[], Figure]) -> Picture:
    """What `draw` draws from `inputs`, drawn again where these change.

    Args:
        kind: tells it from other drawings of the same inputs.
        inputs: all that is drawn; numbers, texts, arrays, dataclasses.
        draw: makes the figure.
    """
    content = msgspec.json.encode([kind, DRAWING_VERSION, *inputs], enc_hook=_plain)
    return Picture(digest=hashlib.sha256(content).hexdigest(), draw=draw)


def _plain(value: object) -> object:
    if isinstance(value, np.ndarray):
        return [str(value.dtype), value.shape, value.tobytes()]
    raise NotImplementedError(f"a picture cannot be made from {type(value)}")


def curves(trial: Curve, refits: Sequence[Curve]) -> Picture:
    """Loss and accuracy by epoch: the winner's trial, training and validation, and its refits, training only."""
    return picture("curves", [trial, list(refits)], lambda: _draw_curves(trial, refits))


def _draw_curves(trial: Curve, refits: Sequence[Curve]) -> Figure:
    figure = Figure(figsize=(8, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for axes, measure, unit, scale in ((left, "loss", "nats", 1), (right, "accuracy", "%", 100)):
        for number, refit in enumerate(refits):
            label = f"refits, training ({len(refits)})" if number == 0 else None
            _line(axes, scale, getattr(refit, f"training_{measure}"), color=GREY, linestyle=":", label=label)
        for part, style in (("training", TRAINING), ("validation", VALIDATION)) if trial.training_loss else ():
            _line(axes, scale, getattr(trial, f"{part}_{measure}"), **style, markersize=3, label=f"trial, {part}")
        epochs = max(len(trial.training_loss), *(len(refit.training_loss) for refit in refits))
        axes.set(xlabel="epoch", ylabel=f"{measure} ({unit})", xlim=(0.5, epochs + 0.5))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False)
    return figure


def _line(axes: Axes, scale: float, values: Sequence[float], **style: Any) -> None:
    axes.plot(range(1, len(values) + 1), [scale * value for value in values], **style)


def confusion_matrix(confusion: IntArray, names: Sequence[str]) -> Picture:
    """Heat map of the share of each true class (row) that is called each class (column)."""
    return picture("confusion", [confusion, list(names)], lambda: _draw_confusion(confusion, names))


def _draw_confusion(confusion: IntArray, names: Sequence[str]) -> Figure:
    share = 100 * confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    side = max(4.0, min(10.0, 1.8 + 0.52 * len(names)))
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    axes = figure.subplots()
    # The square root of the share gives the colour: errors of a few percent would otherwise look like none.
    image = axes.imshow(np.sqrt(share), cmap="Blues", vmin=0, vmax=10)
    bar = figure.colorbar(image, ax=axes, shrink=0.8, ticks=np.sqrt([0, 1, 5, 20, 50, 100]))
    bar.ax.set_yticklabels(["0", "1", "5", "20", "50", "100"])
    bar.set_label("share of the true class (%)")
    step = -(-len(names) // MAX_NAMED_CLASSES)
    ticks = range(0, len(names), step)
    axes.set_xticks(ticks, names[::step], rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(ticks, names[::step])
    axes.set(xlabel="predicted class", ylabel="true class")
    if len(names) <= MAX_NUMBERED_CLASSES:
        _number_cells(axes, share)
    return figure


def _number_cells(axes: Axes, share: NDArray[np.float64]) -> None:
    for row, column in np.argwhere(share >= SMALLEST_SHARE):
        value = share[row, column]
        axes.text(
            column,
            row,
            f"{value:.1f}",
            ha="center",
            va="center",
            fontsize=8,
            color="white" if value > 40 else "black",
            in_layout=False,  # inside the axes it asks for no room, and finding that out takes time
        )


def hyperparameters(
    found: Sequence[tuple[str, Sequence[object], Sequence[object], Sequence[float]]], winner: float
) -> Picture:
    """Validation accuracy of trials of full length against each hyperparameter.

    Args:
        found: name, all its values where they are finite, the value in each trial that has one, its score in [0, 1].
        winner: score of the winner, marked by a line.
    """
    return picture("hyperparameters", [list(found), winner], lambda: _draw_hyperparameters(found, winner))


def _draw_hyperparameters(
    found: Sequence[tuple[str, Sequence[object], Sequence[object], Sequence[float]]], winner: float
) -> Figure:
    rows = -(-len(found) // PANELS)
    figure = Figure(figsize=(2.7 * PANELS, 2.3 * rows), layout="constrained")
    panels = list(figure.subplots(rows, PANELS, squeeze=False, sharey=True).flat)
    for axes, (name, values, chosen, scores) in zip(panels, found, strict=False):
        places = [values.index(value) for value in chosen] if values else chosen
        axes.plot(places, [100 * score for score in scores], "o", color=BLUE, alpha=0.6, markersize=4)
        axes.axhline(100 * winner, color=ORANGE, linewidth=0.8, linestyle="--")
        if values:
            axes.set_xticks(
                range(len(values)), [_short(value) for value in values], rotation=45, ha="right", fontsize=7
            )
            axes.set_xlim(-0.5, len(values) - 0.5)
        elif 0 < SHORT_AXIS * min(numbers := [float(str(value)) for value in chosen]) <= max(numbers):
            axes.set_xscale("log")
            plain_logarithmic(axes.xaxis)
        axes.set_title(name, fontsize=9)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in panels[len(found) :]:
        axes.set_visible(False)
    figure.supylabel("validation accuracy (%)", fontsize=9)
    return figure


def plain_logarithmic(axis: Axis) -> None:
    """A few ticks such as 20k: matplotlib's own run into each other on a short axis."""
    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < SHORT_AXIS * low else (1,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _with_letter(value)))
    axis.set_minor_formatter(NullFormatter())


def _with_letter(value: float) -> str:
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
