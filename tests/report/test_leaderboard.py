"""What is ranked together, in which order, and what is shown as tied."""

import json
from pathlib import Path

import pytest

from bench.errors import RecordError
from bench.records.spec import Budget
from bench.report.leaderboard import as_data, find_row, leaderboard
from bench.report.terminal import leaderboard_text, row_text
from builders import add_run, make_dataset, make_environment

ALWAYS = [range(3)] * 3  # wrong at 3 of 200 images in every seed: 98.5 %
OFTEN = [range(40)] * 3  # 80 %


def test_rows_stand_in_the_order_of_their_accuracy(tmp_path: Path) -> None:
    add_run(tmp_path, OFTEN)
    add_run(tmp_path, ALWAYS, spec={"family": "cnn"})
    (table,) = leaderboard(tmp_path).tables
    assert [(row.rank, row.label, row.tied_with) for row in table.rows] == [((1, 1), "cnn", ()), ((2, 2), "dense", ())]
    assert [row.test_accuracy for row in table.rows] == pytest.approx([0.985, 0.8])


def test_rows_whose_difference_is_noise_are_tied_and_share_a_rank(tmp_path: Path) -> None:
    add_run(tmp_path, ALWAYS, spec={"family": "cnn"})
    add_run(tmp_path, [range(4)] * 3)
    add_run(tmp_path, OFTEN, spec={"family": "linear"})
    (table,) = leaderboard(tmp_path).tables
    assert [(row.rank, row.label, row.tied_with) for row in table.rows] == [
        ((1, 2), "cnn", ("dense",)),
        ((1, 2), "dense", ("cnn",)),
        ((3, 3), "linear", ()),
    ]


def test_a_single_seed_has_neither_interval_nor_rank(tmp_path: Path) -> None:
    add_run(tmp_path, ALWAYS[:1], spec={"family": "cnn", "seeds": 1})
    add_run(tmp_path, OFTEN)
    (table,) = leaderboard(tmp_path).tables
    assert [(row.rank, row.label, row.tied_with) for row in table.rows] == [(None, "cnn", None), ((1, 2), "dense", ())]
    text = leaderboard_text(leaderboard(tmp_path))
    assert "98.50 (no interval)" in text
    assert "unknown (1 seed)" in text


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"spec": {"family": "cnn", "budget": Budget(trials=2, epochs=3)}}, "budget"),
        ({"spec": {"family": "cnn", "protocol": 0}}, "protocol"),
        ({"spec": {"family": "cnn"}, "dataset": make_dataset(checksum="6" * 64)}, "dataset checksum"),
        ({"spec": {"family": "cnn"}, "dataset": make_dataset(n_train=400, n_validation=200)}, "split"),
    ],
)
def test_rows_that_cannot_be_compared_stand_in_tables_of_their_own(
    tmp_path: Path, change: dict[str, object], name: str
) -> None:
    add_run(tmp_path)
    add_run(tmp_path, **change)  # type: ignore[arg-type]
    first, second = leaderboard(tmp_path).tables
    assert (len(first.rows), len(second.rows)) == (1, 1)
    assert list(second.differs) == [name]
    assert f"Not ranked with table 1: {name} is" in leaderboard_text(leaderboard(tmp_path))


def test_the_largest_budget_comes_first(tmp_path: Path) -> None:
    add_run(tmp_path, spec={"budget": Budget(trials=2, epochs=3)})
    add_run(tmp_path, spec={"budget": Budget(trials=9, epochs=3)})
    assert [table.conditions["budget"] for table in leaderboard(tmp_path).tables] == [
        "9 trials x 3 epochs",
        "2 trials x 3 epochs",
    ]


def test_other_machines_are_ranked_but_their_seconds_are_not_compared(tmp_path: Path) -> None:
    add_run(tmp_path)
    add_run(tmp_path, spec={"family": "cnn"}, environment=make_environment(cpu="Synthetic CPU B"))
    board = leaderboard(tmp_path)
    (table,) = board.tables
    assert table.machines == ("Synthetic CPU A", "Synthetic CPU B")
    assert "seconds cannot be compared" in leaderboard_text(board)
    assert "Synthetic CPU B" in leaderboard_text(board)


def test_data_is_plain_json_at_full_precision(tmp_path: Path) -> None:
    record = add_run(tmp_path, [range(3), range(4), range(5)])
    (row,) = json.loads(json.dumps(as_data(leaderboard(tmp_path)), allow_nan=False))
    # 3, 4 and 5 of 200 are wrong; train accuracy is 0.95.
    assert row["test_accuracy_by_seed"] == [0.985, 0.98, 0.975]
    assert row["test_accuracy"] == pytest.approx(0.98)
    assert row["train_test_gap"] == pytest.approx(-0.03)
    assert row["validation_accuracy"] == 0.91
    assert row["refit_seconds"] == 21.0  # median of 20, 21, 22
    assert row["interval"]["n_seeds"] == 3
    assert (row["run_id"], row["seeds"], row["tied_with"]) == (record.run_id, 3, [])


def test_the_row_of_one_run_can_be_shown_alone(tmp_path: Path) -> None:
    add_run(tmp_path, OFTEN)
    record = add_run(tmp_path, ALWAYS, spec={"family": "cnn"})
    text = row_text(tmp_path, "synthetic", record.run_id)
    assert "98.50" in text
    assert "80.00" not in text
    assert text.endswith("synthetic/cnn.md")


def test_a_run_without_a_row_is_named_with_those_that_have_one(tmp_path: Path) -> None:
    record = add_run(tmp_path)
    with pytest.raises(RecordError, match=f"synthetic/gone.*{record.run_id}"):
        find_row(leaderboard(tmp_path), "synthetic", "gone")


def test_nothing_to_show(tmp_path: Path) -> None:
    assert leaderboard_text(leaderboard(tmp_path)) == "No finished run yet."
    assert as_data(leaderboard(tmp_path)) == []


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    record = add_run(tmp_path)
    (tmp_path / "records" / "synthetic" / record.run_id / "record.json").write_text("{")
    assert "Could not be read:\n  records/synthetic/" in leaderboard_text(leaderboard(tmp_path))


def test_data_name_every_tied_row(tmp_path: Path) -> None:
    for number in range(12):
        add_run(tmp_path, [[number]] * 3, spec={"family": f"model{number:02}"})
    first, *others = as_data(leaderboard(tmp_path))
    assert first["tied_with"] == [other["label"] for other in others]
    assert "model01, model02, model03, model04, model05 and 6 more" in leaderboard_text(leaderboard(tmp_path))
