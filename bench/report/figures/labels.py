"""Names next to lines and points, instead of a legend."""

import math
from collections.abc import Mapping, Sequence
from itertools import product

from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from matplotlib.transforms import Bbox

FONT_SIZE = 8
LINE_HEIGHT = 11  # points
MARKER = 5  # points from the center of a marker that stay free
DISTANCES = (7, 14)  # of a name from its point, in points
DIRECTIONS = {  # horizontal and vertical direction, and the alignment of the text, in order of preference
    (1, 0): ("left", "center"),
    (-1, 0): ("right", "center"),
    (0, 1): ("center", "bottom"),
    (0, -1): ("center", "top"),
    (1, 1): ("left", "bottom"),
    (1, -1): ("left", "top"),
    (-1, 1): ("right", "bottom"),
    (-1, -1): ("right", "top"),
}


def label_ends(axes: Axes, ends: Mapping[str, tuple[float, float]]) -> None:
    """Write the name of each line to the right of its end.

    Names that would overlap are moved up, then all of them down if the highest would leave the axes. The axes must have
    their final height.
    """
    scale = _pixels_per_point(axes)
    heights = {name: axes.transData.transform((x, y))[1] / scale for name, (x, y) in ends.items()}  # in points
    places, last = dict[str, float](), -math.inf
    for name in sorted(heights, key=lambda name: heights[name]):
        places[name] = last = max(heights[name], last + LINE_HEIGHT)
    down = max(last - axes.get_window_extent().y1 / scale, 0)
    for name, (x, y) in ends.items():
        axes.annotate(
            name,
            (x, y),
            (5, places[name] - down - heights[name]),
            textcoords="offset points",
            va="center",
            fontsize=FONT_SIZE,
            annotation_clip=False,
        )


def label_points(axes: Axes, points: Mapping[str, Sequence[tuple[float, float]]]) -> None:
    """Write each name next to one of its points, where nothing else is; a name without any free place is left out.

    The figure must have its final layout.
    """
    scale = _pixels_per_point(axes)
    pixels = {name: axes.transData.transform(each) for name, each in points.items()}
    frame = axes.get_window_extent()
    taken = [
        Bbox.from_extents(x - MARKER * scale, y - MARKER * scale, x + MARKER * scale, y + MARKER * scale)
        for each in pixels.values()
        for x, y in each
    ]
    for name, each in points.items():
        for point, distance, (direction, (ha, va)) in product(each, DISTANCES, DIRECTIONS.items()):
            offset = (direction[0] * distance, direction[1] * distance)
            text = axes.annotate(
                name,
                point,
                offset,
                textcoords="offset points",
                ha=ha,
                va=va,
                fontsize=FONT_SIZE,
                in_layout=False,
                path_effects=[withStroke(linewidth=2, foreground="white")],  # so that no line crosses the name
            )
            box = text.get_window_extent()
            if _is_inside(box, frame) and not box.count_overlaps(taken):
                taken.append(box)
                break
            text.remove()


def _pixels_per_point(axes: Axes) -> float:
    return axes.figure.dpi / 72


def _is_inside(box: Bbox, frame: Bbox) -> bool:
    return bool(frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1)
