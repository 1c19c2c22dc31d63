"""What a dataset's page says of models side by side."""

from pathlib import Path

import pytest

from bench.records.record import Latency
from bench.report.dataset_page import Section, measures_text, section
from bench.report.leaderboard import leaderboard
from bench.report.styles import FAMILY_COLOURS, styles
from bench.report.tables import fronts, source_text
from builders import add_run, make_refit


def only_section(results: Path) -> Section:
    board = leaderboard(results)
    (table,) = board.tables
    return section(table, styles(board))


def test_a_family_has_one_colour_and_no_two_share_style(tmp_path: Path) -> None:
    for number in range(8):
        add_run(tmp_path, spec={"family": f"model{number}"})
    add_run(tmp_path, spec={"family": "model0", "dataset": "other"})
    found = styles(leaderboard(tmp_path))
    assert len({(style.colour, style.marker) for style in found.values()}) == 8
    assert found["model0"].colour == FAMILY_COLOURS[0]


def latency(microseconds: float) -> Latency:
    return Latency(microseconds_per_image=microseconds, batch_size=256, images=200, repeats=5, threads=1)


def test_a_model_that_is_worse_and_dearer_is_not_on_the_front(tmp_path: Path) -> None:
    costs = {"best": (0, 5000, 30.0), "small": (5, 100, 20.0), "bad": (20, 4000, 40.0)}
    for family, (wrong, parameters, microseconds) in costs.items():
        refits = tuple(make_refit(number, parameters=parameters, fit_seconds=10.0) for number in range(3))
        add_run(tmp_path, [range(wrong)] * 3, spec={"family": family}, refits=refits, latency=latency(microseconds))
    (table,) = leaderboard(tmp_path).tables
    assert fronts(table.best, with_seconds=True) == {
        "parameters": ["small", "best"],
        "train once": ["best"],
        "predict": ["small", "best"],
    }
    assert list(fronts(table.best, with_seconds=False)) == ["parameters"]


def test_what_the_best_mends_of_the_second(tmp_path: Path) -> None:
    # Four classes take turns, and the next one is said. The second model errs at images 0 to 19, the best at image 0.
    add_run(tmp_path, [[0]] * 3, spec={"family": "cnn"})
    add_run(tmp_path, [range(20)] * 3)
    found = only_section(tmp_path)
    assert found.mended_title == "cnn mends of dense"
    assert found.mended.iloc[0].tolist() == ["Square taken for Triangle", "5", "0", "+5"]
    assert found.mended.iloc[-1].tolist() == ["Circle taken for Square", "4", "0", "+4"]


def test_images_that_nobody_gets_right_are_counted_and_shown(tmp_path: Path) -> None:
    add_run(tmp_path, [[0, 1, 2]] * 3, spec={"family": "cnn"})
    add_run(tmp_path, [[0, 1, 9], [0, 1, 10], [0, 1, 11]])
    found = only_section(tmp_path)
    assert found.missed_count == 2
    assert found.missed["test image"].tolist() == ["0", "1"]
    assert found.missed["mean confidence, %"].tolist() == ["70", "70"]
    assert "table-1-missed.png" in found.pictures


def test_measures_that_give_another_order_are_named(tmp_path: Path) -> None:
    add_run(tmp_path, [range(0, 40, 4)] * 3, spec={"family": "cnn"})  # all its errors in one class
    add_run(tmp_path, [range(12)] * 3)
    board = leaderboard(tmp_path)
    assert measures_text(board.tables[0].best) == "By worst class the order is another than by test accuracy."


def test_one_model_has_nothing_to_be_ordered_with(tmp_path: Path) -> None:
    add_run(tmp_path)
    assert only_section(tmp_path).measures_text == ""


@pytest.mark.parametrize(("spread", "expected"), [(0, "images"), (40, "seeds")])
def test_the_larger_source_of_chance_is_named(tmp_path: Path, spread: int, expected: str) -> None:
    add_run(tmp_path, [range(20), range(20 + spread), range(20 + 2 * spread)])
    assert source_text(leaderboard(tmp_path).tables[0].rows[0].run.interval) == expected


def test_the_only_seed_has_no_source(tmp_path: Path) -> None:
    add_run(tmp_path, [range(3)], spec={"seeds": 1})
    assert only_section(tmp_path).scores.iloc[0]["± mostly from"] == "-"


def test_calibration_is_that_of_the_probabilities(tmp_path: Path) -> None:
    # 0.7 for every answer, 90 % of them right: the error is 20 points; of the 3 other classes 0.1 each.
    add_run(tmp_path, [range(20)] * 3)
    (row,) = only_section(tmp_path).calibration.to_dict("records")
    brier = 0.9 * (0.3**2 + 3 * 0.1**2) + 0.1 * (0.7**2 + 0.9**2 + 2 * 0.1**2)
    assert float(row["calibration error, points"]) == pytest.approx(20, abs=0.1)
    assert float(row["Brier score"]) == pytest.approx(brier, abs=1e-3)
    assert (row["confidence when right, %"], row["confidence when wrong, %"]) == ("70.0", "70.0")
