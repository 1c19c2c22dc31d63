"""How a model looks in every picture: the same colour for the same family everywhere."""

from collections.abc import Iterable
from dataclasses import dataclass

from bench.report.leaderboard import Board

# Okabe and Ito's colours, which can be told apart by colour-blind readers: https://jfly.uni-koeln.de/color/
FAMILY_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
REFERENCE_COLOUR = "#666666"
MARKERS = "osD^vP"
REFERENCE_MARKERS = "X*^v<>PD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """Colour and marker; no two models of a dataset share both."""

    colour: str
    marker: str


def styles(board: Board) -> dict[str, Style]:
    """The style of each family and each reference of a results folder, whatever the dataset, by its name."""
    rows = [row.run.record.spec for table in board.tables for row in table.everything]
    families = _names(spec.family for spec in rows if not spec.fixed)
    references = _names(spec.family for spec in rows if spec.fixed)
    found = {
        name: Style(
            colour=FAMILY_COLOURS[number % len(FAMILY_COLOURS)],
            marker=MARKERS[number // len(FAMILY_COLOURS) % len(MARKERS)],
        )
        for number, name in enumerate(families)
    }
    return found | {
        name: Style(colour=REFERENCE_COLOUR, marker=REFERENCE_MARKERS[number % len(REFERENCE_MARKERS)])
        for number, name in enumerate(references)
    }


def _names(names: Iterable[str]) -> list[str]:
    return sorted(set(names))
