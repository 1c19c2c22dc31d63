"""Figures of a dataset's page, which show the models of a table side by side."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, product

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.evaluation.text import accuracy_cell
from bench.report.board import Board, Row
from bench.report.figures.labels import label_ends, label_points
from bench.report.figures.model import BLUE, GRAY, ORANGE, few_logarithmic_ticks, plain_axes
from bench.report.figures.picture import Picture, picture
from bench.report.tables.costs import UNITS
from bench.report.tables.scores import REFERENCE_TYPES
from bench.report.tables.search import SearchProgress

# The last three are darker than Okabe and Ito's, to be visible on white and, inverted, on a dark page.
FAMILY_COLORS = (BLUE, ORANGE, "#009E73", "#9657FE", "#687422", "#FD535D")
REFERENCE_COLORS = {"tutorial": "#882255", "classifier": "#666666", "external": "#332288"}  # by group
MARKERS = "osD^vP"
REFERENCE_MARKERS = "X*^v<>PD"
LINE_STYLES = ("-", "--", ":", "-.")
LEGEND_COLUMNS = 5
COST_COLUMNS = 2
MIN_PREDICTIONS = 100  # in a bin of a reliability diagram; with fewer, the standard error may exceed 5 points


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """Color, marker and the name of the color; color and marker together are unique within a dataset."""

    color: str
    marker: str
    kind: str  # the family, or the kind of reference model


Styles = Mapping[str, Style]  # by name of the family or the reference model


def styles(board: Board) -> Styles:
    """The style of each family and each reference model of a results folder, by name."""
    rows = [row for table in board.tables for row in table.everything]
    families = sorted({row.run.record.spec.model for row in rows if row.run.record.search is not None})
    looks = zip(families, cycle(product(MARKERS, FAMILY_COLORS)), strict=False)
    references = {row.run.record.spec.model: row for row in rows if row.run.record.reference is not None}
    return {name: Style(color=color, marker=marker, kind=name) for name, (marker, color) in looks} | {
        name: Style(color=REFERENCE_COLORS[reference.group], marker=marker, kind=REFERENCE_TYPES[reference.group])
        for (name, row), marker in zip(sorted(references.items()), cycle(REFERENCE_MARKERS), strict=False)
        if (reference := row.run.record.reference) is not None
    }


def _style(styles: Styles, row: Row) -> Style:
    return styles[row.run.record.spec.model]


def _names(rows: Sequence[Row]) -> dict[str, str]:
    """What plots call each row, by its label: several searches of a family look alike, and are called by its name."""
    count = Counter(row.run.record.spec.model for row in rows)
    return {row.label: model if count[model := row.run.record.spec.model] > 1 else row.label for row in rows}


def accuracies(rows: Sequence[Row], styles: Styles, human: float | None = None) -> Picture:
    """Forest plot: test accuracy of each model with its interval, the best on top; `human` is drawn as a line."""
    points = [
        (
            row.label,
            _style(styles, row),
            row.test_accuracy,
            None if row.run.interval is None else (row.run.interval.low, row.run.interval.high),
            accuracy_cell(row.test_accuracy, row.run.interval),
        )
        for row in rows
    ]

    def draw() -> Figure:
        figure = Figure(figsize=(7.5, 1.3 + 0.3 * len(points)), layout="constrained")
        axes = figure.subplots()
        for place, (_, style, accuracy, limits, text) in enumerate(points):
            if limits is not None:
                axes.plot([100 * limits[0], 100 * limits[1]], [place, place], color=style.color, linewidth=2)
            axes.plot(100 * accuracy, place, "o", color=style.color, markersize=6)
            axes.text(1.01, place, text, transform=axes.get_yaxis_transform(), va="center", fontsize=9)
        if human is not None:
            axes.axvline(100 * human, color=GRAY, linestyle="--", linewidth=1)
            axes.text(100 * human, -0.75, f"human {100 * human:.1f}%", ha="center", va="bottom", fontsize=8)
        axes.set_yticks(range(len(points)), [label for label, *_ in points])
        axes.set_ylim(len(points) - 0.5, -0.7)
        axes.set(xlabel="test accuracy (%), with 95% CI")
        axes.grid(axis="x", alpha=0.3)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
        _legend(figure, [style for label, style, *_ in points if not label.startswith(style.kind)])
        return figure

    return picture("forest plot", [points, human], draw)


def _legend(figure: Figure, shown: Sequence[Style]) -> None:
    """One entry per color, if there is any."""
    colors = {style.kind: style.color for style in shown}
    if not colors:
        return
    handles = [Line2D([], [], color=color, marker="o", label=kind) for kind, color in colors.items()]
    figure.legend(
        handles=handles, loc="outside lower center", ncols=min(len(handles), LEGEND_COLUMNS), frameon=False, fontsize=9
    )


def search_progress(
    searches: Sequence[SearchProgress], styles: Styles, *, with_times: bool, score: str = "validation accuracy"
) -> Picture:
    """Best score so far by epochs trained and, with `with_times`, by seconds; one line style per search of a family."""
    # By label, so that a line style stands for the same seed in every family.
    lines = [(search, styles[search.family]) for search in sorted(searches, key=lambda search: search.label)]

    def draw() -> Figure:
        figure = Figure(figsize=(9.5, 3.4) if with_times else (6.5, 3.4), layout="constrained")
        panels = figure.subplots(1, 2 if with_times else 1, squeeze=False)[0]
        for axes, unit in zip(panels, ("epochs", "seconds"), strict=False):
            dashes = {search.family: cycle(LINE_STYLES) for search, _ in lines}
            for search, style in lines:
                axes.step(
                    getattr(search, unit),
                    [100 * best for best in search.best],
                    next(dashes[search.family]),
                    where="post",
                    color=style.color,
                    marker=style.marker,
                    markevery=[0],
                )
            axes.set(
                xlabel="epochs trained by the search" if unit == "epochs" else "seconds since the start of the search",
                ylabel=f"best {score} (%)",
                xlim=(0, None),
            )
            plain_axes(axes)
        figure.draw_without_rendering()  # so that the axes have their final height
        for axes, unit in zip(panels, ("epochs", "seconds"), strict=False):
            label_ends(axes, {search.label: (getattr(search, unit)[-1], 100 * search.best[-1]) for search, _ in lines})
        return figure

    content = [lines, with_times, *([score] if score != "validation accuracy" else [])]
    return picture("progress of each search", content, draw)


def reliability(rows: Sequence[Row], styles: Styles) -> Picture:
    """Accuracy by confidence; a calibrated model lies on the diagonal. Bins with few predictions are hollow."""
    names = _names(rows)
    lines = [
        (names[row.label], _style(styles, row), row.run.scores.predicted.size, row.run.scores.calibration.bins)
        for row in rows
    ]

    def draw() -> Figure:
        figure = Figure(figsize=(8, 4.2), layout="constrained")
        axes = figure.subplots()
        axes.plot([0, 100], [0, 100], color=GRAY, linestyle=":", label="perfect calibration")
        for label, style, predictions, bins in lines:
            few = [each for each in bins if each.fraction * predictions < MIN_PREDICTIONS]
            common = [each for each in bins if each not in few]
            for shown, line, fill in ((few, "none", "none"), (common, "-", style.color)):
                axes.plot(
                    [100 * each.confidence for each in shown],
                    [100 * each.accuracy for each in shown],
                    linestyle=line,
                    marker=style.marker,
                    color=style.color,
                    markerfacecolor=fill,
                    label=label,
                    markersize=5,
                    linewidth=1,
                    clip_on=False,
                )
        axes.set(xlabel="confidence (%)", ylabel="accuracy (%)", xlim=(0, 101), ylim=(0, 101))
        plain_axes(axes)
        handles, labels = axes.get_legend_handles_labels()
        named = dict(zip(labels, handles, strict=True))  # each name once
        figure.legend([*named.values()], [*named], loc="outside right upper", frameon=False, fontsize=9)
        return figure

    return picture("reliability with rare bins unconnected", [lines], draw)


def costs(
    rows: Sequence[Row],
    styles: Styles,
    comparable: Mapping[str, Mapping[str, float]],
    fronts: Mapping[str, Sequence[str]],
) -> Picture:
    """Test accuracy by each cost, with a line along its Pareto front.

    Args:
        rows: the models to show.
        styles: of all models.
        comparable: the costs of each model by its label.
        fronts: labels of models by cost, cheapest first; those that are not shown are left out.
    """
    names = _names(rows)
    points = [
        (row.label, names[row.label], _style(styles, row), row.test_accuracy, comparable[row.label]) for row in rows
    ]

    def draw() -> Figure:
        height = -(-len(fronts) // COST_COLUMNS)
        figure = Figure(figsize=(9, 0.6 + 2.8 * height), layout="constrained")
        panels = figure.subplots(height, min(len(fronts), COST_COLUMNS), squeeze=False, sharey=True)
        places: dict[Axes, dict[str, list[tuple[float, float]]]] = {axes: defaultdict(list) for axes in panels.flat}
        for axes, (cost, front) in zip(panels.flat, fronts.items(), strict=True):
            place = {label: (costs[cost], 100 * accuracy) for label, *_, accuracy, costs in points if cost in costs}
            line = [place[label] for label in front if label in place]
            axes.plot(*zip(*line, strict=True), color=GRAY, linewidth=1, alpha=0.5)
            for label, name, style, *_ in points:
                if label in place:
                    axes.plot(*place[label], style.marker, color=style.color, markersize=6)
                    places[axes][name].append(place[label])
            axes.set(xlabel=f"{cost} ({UNITS[cost]})" if UNITS[cost] else cost, xscale="log")
            few_logarithmic_ticks(axes.xaxis)
            plain_axes(axes)
        figure.supylabel("test accuracy (%)", fontsize=10)
        figure.draw_without_rendering()  # so that names are placed in the final layout
        for axes, by_name in places.items():
            label_points(axes, by_name)
        return figure

    return picture("costs in two columns", [points, {cost: list(front) for cost, front in fronts.items()}], draw)
