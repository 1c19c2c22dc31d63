"""The history of a search: every trial as a dot."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bench.records.record import TrialRecord
from bench.report.figures.model import GRAY, plain_axes
from bench.report.figures.picture import Picture, picture


def search_history(trials: Sequence[TrialRecord], winner: str, epochs: int, score: str, color: str) -> Picture | None:
    """Score of each trial in the order of proposal; None if no trial has a score.

    Args:
        trials: of the search, in the order of their proposal.
        winner: trial id of the winner.
        epochs: of a full-length trial.
        score: name of the score.
        color: of full-length trials, that of the family.
    """
    dots = [
        (trial.number, 100 * trial.score, trial.epochs == epochs, trial.trial_id == winner)
        for trial in trials
        if trial.status == "ok"
    ]
    failed = [trial.number for trial in trials if trial.status == "failed"]
    inputs = [dots, failed, score, color]
    return picture("history by number", inputs, lambda: _draw(dots, failed, score, color)) if dots else None


def _draw(dots: Sequence[tuple[int, float, bool, bool]], failed: Sequence[int], score: str, color: str) -> Figure:
    figure = Figure(figsize=(8, 3), layout="constrained")
    axes = figure.subplots()
    for is_full, look, label in ((False, GRAY, "fewer epochs"), (True, color, "full length")):
        chosen = [(number, value) for number, value, full, _ in dots if full == is_full]
        if chosen:
            axes.plot(*zip(*chosen, strict=True), "o", markersize=5, color=look, label=label)
    for number, value, _, won in dots:
        if won:
            axes.plot(number, value, "o", markersize=11, markerfacecolor="none", color="black")
            axes.annotate(f"winner {value:.2f}", (number, value), (0, 9), textcoords="offset points", ha="center")
    lowest = min(value for _, value, *_ in dots)
    if failed:
        axes.plot(failed, [lowest] * len(failed), "x", color="black", label="failed")
    axes.set(xlabel="trial, in the order of proposal", ylabel=f"{score} (%)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.margins(y=0.18)
    plain_axes(axes)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return figure
