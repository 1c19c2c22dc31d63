"""Reproductions of a published run, in a file next to its record."""

from pathlib import Path

import pytest

from bench.records.store import RunFolder
from builders import make_reproduction


def test_reproductions_are_read_in_the_order_in_which_they_were_added(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    conditions = {"cpu": ("Synthetic CPU A", "Synthetic CPU B")}
    different = {"run_id": "dense-random-0123456789-repeat2", "identical": False, "changed_predictions": 12}
    added = (make_reproduction(**different, conditions=conditions), make_reproduction())
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
    assert make_reproduction(test_accuracy=0.921, prediction_interval=interval).inside is inside
