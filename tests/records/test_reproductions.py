"""Reproductions of a published run, in a file next to its record."""

from pathlib import Path
from typing import Any

import pytest

from bench.records.reproductions import Reproduction
from bench.records.store import RunFolder
from builders import make_environment


def make_reproduction(**changes: Any) -> Reproduction:
    fields: dict[str, Any] = {
        "time": "2026-02-01T00:00:00.000+00:00",
        "run_id": "dense-random-0123456789-repeat2",
        "environment": make_environment(cpu="Synthetic CPU B"),
        "search_precision": "float32",
        "conditions": {"cpu": ("Synthetic CPU A", "Synthetic CPU B")},
        "identical": False,
        "changed_predictions": 12,
        "test_accuracy": 0.921,
        "prediction_interval": (0.918, 0.926),
        "total_seconds": 300.0,
    }
    return Reproduction(**fields | changes)


def test_reproductions_are_read_in_the_order_in_which_they_were_added(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    added = (make_reproduction(), make_reproduction(run_id=None, identical=True, changed_predictions=0))
    for reproduction in added:
        folder.append_reproduction(reproduction)
    assert folder.reproductions() == added


def test_run_without_the_file_was_not_reproduced(tmp_path: Path) -> None:
    assert RunFolder(tmp_path).reproductions() == ()


@pytest.mark.parametrize(
    ("interval", "inside"), [((0.918, 0.926), True), ((0.921, 0.926), True), ((0.922, 0.926), False), (None, None)]
)
def test_accuracy_is_inside_or_outside_the_prediction_interval(
    interval: tuple[float, float] | None, inside: bool | None
) -> None:
    assert make_reproduction(prediction_interval=interval).inside is inside
