"""The pictures of a dataset's page, which show the models of a table side by side."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.evaluation.calibration import ReliabilityBin
from bench.report.figures import GREY, Picture, picture, plain_logarithmic
from bench.report.leaderboard import Row
from bench.report.selection import Course
from bench.report.styles import Style
from bench.report.tables import COSTS

Styles = Mapping[str, Style]


def _style(styles: Styles, row: Row) -> Style:
    return styles[row.run.record.spec.family]


def accuracies(rows: Sequence[Row], styles: Styles) -> Picture:
    """Test accuracy of each model with its interval, best on top."""
    shown = [
        (
            row.label,
            _style(styles, row),
            row.test_accuracy,
            None if row.run.interval is None else (row.run.interval.low, row.run.interval.high),
        )
        for row in rows
    ]

    def draw() -> Figure:
        figure = Figure(figsize=(7, 0.8 + 0.32 * len(shown)), layout="constrained")
        axes = figure.subplots()
        for place, (_, style, accuracy, limits) in enumerate(shown):
            if limits is not None:
                axes.plot([100 * limits[0], 100 * limits[1]], [place, place], color=style.colour, linewidth=2)
            axes.plot(100 * accuracy, place, style.marker, color=style.colour, markersize=7)
        axes.set_yticks(range(len(shown)), [label for label, *_ in shown])
        axes.invert_yaxis()
        axes.set(xlabel="test accuracy (%), line: 95 % interval")
        axes.grid(axis="x", alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        return figure

    return picture("accuracies", [shown], draw)


def courses(found: Sequence[Course], styles: Styles, *, with_seconds: bool) -> Picture:
    """Best validation accuracy so far by epochs trained and, where one machine made all rows, by seconds."""
    shown = [(course, styles[course.family]) for course in found]

    def draw() -> Figure:
        figure = Figure(figsize=(8, 3.4) if with_seconds else (5, 3.4), layout="constrained")
        panels = figure.subplots(1, 2 if with_seconds else 1, squeeze=False)[0]
        for axes, unit in zip(panels, ("epochs", "seconds"), strict=False):
            for course, style in shown:
                places = getattr(course, unit)
                axes.step(places, [100 * best for best in course.best], where="post", color=style.colour)
                axes.plot(
                    places[0], 100 * course.best[0], style.marker, color=style.colour, label=course.label, markersize=6
                )
            axes.set(
                xlabel="epochs trained by the search" if unit == "epochs" else "seconds since the search began",
                ylabel="best validation accuracy (%)",
                xlim=(0, None),
            )
            _plain(axes)
        panels[0].legend(frameon=False)
        return figure

    return picture("courses", [shown, with_seconds], draw)


def reliability(rows: Sequence[Row], styles: Styles) -> Picture:
    """Accuracy of answers by their confidence; a calibrated model lies on the diagonal."""
    shown: list[tuple[str, Style, tuple[ReliabilityBin, ...]]] = [
        (row.label, _style(styles, row), row.run.scores.calibration.bins) for row in rows
    ]

    def draw() -> Figure:
        figure = Figure(figsize=(5, 4.4), layout="constrained")
        axes = figure.subplots()
        axes.plot([0, 100], [0, 100], color=GREY, linestyle=":", label="calibrated")
        for label, style, bins in shown:
            axes.plot(
                [100 * one.confidence for one in bins],
                [100 * one.accuracy for one in bins],
                "-",
                marker=style.marker,
                color=style.colour,
                label=label,
                markersize=5,
                linewidth=1,
            )
        axes.set(xlabel="confidence (%)", ylabel="right answers (%)", xlim=(0, 101), ylim=(0, 101))
        _plain(axes)
        axes.legend(frameon=False, fontsize=8)
        return figure

    return picture("reliability", [shown], draw)


def costs(rows: Sequence[Row], styles: Styles, fronts: Mapping[str, Sequence[str]]) -> Picture:
    """Test accuracy against what it costs; a line joins the models that nothing beats in both.

    Args:
        rows: the models.
        styles: of families.
        fronts: cost to labels of the models on its Pareto front, cheapest first.
    """
    shown = [(row.label, _style(styles, row), row.test_accuracy, row.costs) for row in rows]

    def draw() -> Figure:
        figure = Figure(figsize=(3.1 * len(fronts) + 0.4, 3.6), layout="constrained")
        panels = figure.subplots(1, len(fronts), squeeze=False, sharey=True)[0]
        for axes, (cost, front) in zip(panels, fronts.items(), strict=True):
            place = {label: (spent[cost], 100 * accuracy) for label, _, accuracy, spent in shown}
            axes.plot(*zip(*(place[label] for label in front), strict=True), color=GREY, linewidth=1)
            for label, style, *_ in shown:
                axes.plot(*place[label], style.marker, color=style.colour, markersize=7, label=label)
            axes.set(xlabel=f"{cost} ({COSTS[cost]})" if COSTS[cost] else cost, xscale="log")
            plain_logarithmic(axes.xaxis)
            _plain(axes)
        panels[0].set_ylabel("test accuracy (%)")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False, fontsize=8)
        return figure

    return picture("costs", [shown, {cost: list(front) for cost, front in fronts.items()}], draw)


def _plain(axes: Axes) -> None:
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
