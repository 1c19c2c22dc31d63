"""Names next to lines and points: where they are, and that they can be read."""

from itertools import combinations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from bench.report.figures.heat_map import text_color
from bench.report.figures.labels import label_ends, label_points
from contrast import contrast


def overlaps(figure: Figure) -> list[tuple[str, str]]:
    """Names that overlap."""
    figure.draw_without_rendering()
    boxes = {text.get_text(): text.get_window_extent() for text in figure.axes[0].texts}
    return [(a, b) for a, b in combinations(boxes, 2) if boxes[a].overlaps(boxes[b])]


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_names_of_lines_with_close_ends_do_not_overlap(scale: str) -> None:
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    ends = {"a": (3.0, 1.0), "b": (3.0, 1.001), "c": (3.0, 1.002), "d": (3.0, 100.0)}
    for x, y in ends.values():
        axes.plot([0, x], [y, y])
    axes.set_yscale(scale)
    figure.draw_without_rendering()
    label_ends(axes, ends)
    assert overlaps(figure) == []
    heights = {text.get_text(): text.get_window_extent().y0 for text in axes.texts}
    assert sorted(heights, key=heights.__getitem__) == ["a", "b", "c", "d"]


def test_names_of_points_do_not_overlap_and_stay_inside() -> None:
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    points = {f"model{number}": [(1.0, 1.0 + number / 50)] for number in range(8)} | {"elsewhere": [(0.0, 0.0)]}
    for ((x, y),) in points.values():
        axes.plot(x, y, "o")
    figure.draw_without_rendering()
    label_points(axes, points)
    assert "elsewhere" in [text.get_text() for text in axes.texts]
    assert overlaps(figure) == []
    frame = axes.get_window_extent()
    assert all(frame.x0 <= box.x0 and box.x1 <= frame.x1 for box in (text.get_window_extent() for text in axes.texts))


def test_name_without_a_free_place_is_left_out() -> None:
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    figure.draw_without_rendering()
    label_points(axes, {f"model{number}": [(0.5, 0.5)] for number in range(60)})
    assert 4 <= len(axes.texts) < 60


@pytest.mark.parametrize("name", ["Blues", "RdBu_r"])
def test_numbers_in_heat_maps_have_enough_contrast(name: str) -> None:
    for color in mpl.colormaps[name](np.linspace(0, 1, 100)):
        assert contrast(color, text_color(color)) >= 4.5
