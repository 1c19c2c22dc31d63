"""What heat maps have in common."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

MAX_LUMINANCE = 0.179  # relative luminance of a background up to which white text has a higher contrast than black


def label_cells(axes: Axes, rows: Sequence[str], columns: Sequence[str], row_size: float, column_size: float) -> None:
    """Label rows at the left and columns at the top, without a frame or tick marks; sizes are those of the text."""
    axes.set_yticks(range(len(rows)), rows, fontsize=row_size)
    axes.set_xticks(range(len(columns)), columns, fontsize=column_size)
    axes.xaxis.tick_top()
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def text_color(background: ArrayLike) -> str:
    """Black or white, whichever has the higher contrast with the background: red, green, blue, alpha in [0, 1].

    Source: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio
    """
    color = np.asarray(background)[:3]
    linear = np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)
    return "white" if linear @ (0.2126, 0.7152, 0.0722) <= MAX_LUMINANCE else "black"
