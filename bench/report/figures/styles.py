"""Colors and markers of models: the same for a family in every figure."""

from dataclasses import dataclass
from itertools import cycle, product

from bench.report.board import Board

# Okabe and Ito's colors, distinguishable by color-blind readers: https://jfly.uni-koeln.de/color/
FAMILY_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
REFERENCE_COLOR = "#666666"
MARKERS = "osD^vP"
REFERENCE_MARKERS = "X*^v<>PD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """Color and marker; the combination is unique within a dataset."""

    color: str
    marker: str


def styles(board: Board) -> dict[str, Style]:
    """The style of each family and each reference model of a results folder, by name."""
    records = [row.run.record for table in board.tables for row in table.everything]
    families = sorted({record.spec.model for record in records if record.search is not None})
    references = sorted({record.spec.model for record in records if record.reference is not None})
    looks = [
        *zip(families, cycle(product(MARKERS, FAMILY_COLORS)), strict=False),
        *zip(references, cycle(product(REFERENCE_MARKERS, (REFERENCE_COLOR,))), strict=False),
    ]
    return {name: Style(color=color, marker=marker) for name, (marker, color) in looks}
