"""What heat maps have in common."""

from collections.abc import Sequence

from matplotlib.axes import Axes

DARK = 0.6  # fraction of the color scale above which numbers are white


def label_cells(axes: Axes, rows: Sequence[str], columns: Sequence[str], row_size: float, column_size: float) -> None:
    """Label rows at the left and columns at the top, without a frame or tick marks; sizes are those of the text."""
    axes.set_yticks(range(len(rows)), rows, fontsize=row_size)
    axes.set_xticks(range(len(columns)), columns, fontsize=column_size)
    axes.xaxis.tick_top()
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
