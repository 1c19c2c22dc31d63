"""Reproductions of a published run: when, where, under which conditions, and whether predictions are identical."""

from collections.abc import Mapping
from dataclasses import dataclass

from bench.machine import Environment
from bench.records.choices import Precision


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """A repetition of a published run, possibly on another machine."""

    time: str  # ISO 8601, UTC
    run_id: str | None  # its own run id if the predictions differ; None if they are identical
    environment: Environment
    search_precision: Precision | None  # None for a reference model
    conditions: Mapping[str, tuple[str, str]]  # those that differ: name to (published, new)
    identical: bool  # whether all predictions are identical bit for bit
    changed_predictions: int  # number of predicted classes that differ, over all refits and test images
    test_accuracy: float  # mean over refits, fraction in [0, 1]
    prediction_interval: tuple[float, float] | None  # 95%, for this mean; None for a single refit
    total_seconds: float  # wall clock of the run

    @property
    def inside(self) -> bool | None:
        """Whether the accuracy lies inside the prediction interval; None without an interval."""
        if self.prediction_interval is None:
            return None
        low, high = self.prediction_interval
        return low <= self.test_accuracy <= high
