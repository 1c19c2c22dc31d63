"""Reproductions of a published record: when, where, under which conditions, and whether predictions are equal."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.machine import Environment
from bench.records.encoding import decode, encode, read_bytes
from bench.records.files import append_line
from bench.records.spec import Precision


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """One run of a published specification on another machine or day."""

    time: str  # ISO 8601, UTC
    run_id: str | None  # of its own row if its predictions differ; None if they are identical
    environment: Environment
    search_precision: Precision | None  # None for a reference model
    conditions: Mapping[str, tuple[str, str]]  # what differs from the published run: name to (published, here)
    identical: bool  # whether every prediction equals the published one bit for bit
    changed_predictions: int  # predicted classes that differ, over all refits and test images
    test_accuracy: float  # mean over refits, fraction in [0, 1]
    prediction_interval: tuple[float, float] | None  # 95%, of such a mean; None for a single refit
    total_seconds: float  # wall clock of the run

    @property
    def inside(self) -> bool | None:
        """Whether its accuracy lies inside the prediction interval; None where there is none."""
        if self.prediction_interval is None:
            return None
        low, high = self.prediction_interval
        return low <= self.test_accuracy <= high


def append_reproduction(path: Path, reproduction: Reproduction) -> None:
    """Append a reproduction to the file next to the published record; it is on disk when this returns."""
    append_line(path, encode(reproduction, path))


def read_reproductions(path: Path) -> tuple[Reproduction, ...]:
    """All reproductions in the file, oldest first; none where there is no file.

    Raises:
        RecordError: the file cannot be read, or a line of it is damaged.
    """
    # A torn last line was never complete: the run that wrote it appends it again when resumed.
    lines = read_bytes(path).split(b"\n")[:-1] if path.exists() else []
    return tuple(decode(Reproduction, line, f"{path}:{number}") for number, line in enumerate(lines, 1))
