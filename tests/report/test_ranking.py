"""Which rows are ranked together, in which order, and which differences are significant."""

import json
from pathlib import Path

import pytest

from bench.errors import RecordError
from bench.records.spec import Budget
from bench.report.board import find_row
from bench.report.ranking import leaderboard
from bench.report.rows_json import rows_json
from bench.report.terminal import leaderboard_text
from builders import add_reference, add_run, make_dataset, make_environment, make_refit, page

FEW_ERRORS = [range(3)] * 3  # misclassified in every seed, of 200 images: 98.5%
MANY_ERRORS = [range(40)] * 3  # 80%


def test_rows_are_ordered_by_accuracy(tmp_path: Path) -> None:
    add_run(tmp_path, MANY_ERRORS)
    add_run(tmp_path, FEW_ERRORS, spec={"family": "cnn"})
    (table,) = leaderboard(tmp_path).tables
    assert [(row.rank, row.label, row.not_different_from) for row in table.rows] == [
        ((1, 1), "cnn", ()),
        ((2, 2), "dense", ()),
    ]
    assert [row.test_accuracy for row in table.rows] == pytest.approx([0.985, 0.8])


def test_rows_that_are_not_significantly_different_share_a_range_of_ranks(tmp_path: Path) -> None:
    add_run(tmp_path, FEW_ERRORS, spec={"family": "cnn"})
    add_run(tmp_path, [range(4)] * 3)
    add_run(tmp_path, MANY_ERRORS, spec={"family": "linear"})
    (table,) = leaderboard(tmp_path).tables
    assert [(row.rank, row.label, row.not_different_from) for row in table.rows] == [
        ((1, 2), "cnn", ("dense",)),
        ((1, 2), "dense", ("cnn",)),
        ((3, 3), "linear", ()),
    ]


def test_a_single_seed_has_neither_interval_nor_rank(tmp_path: Path) -> None:
    add_run(tmp_path, FEW_ERRORS[:1], spec={"family": "cnn", "refit_seeds": 1})
    add_run(tmp_path, MANY_ERRORS)
    (table,) = leaderboard(tmp_path).tables
    assert [(row.rank, row.label, row.not_different_from) for row in table.rows] == [
        (None, "cnn", None),
        ((1, 2), "dense", ()),
    ]
    text = leaderboard_text(leaderboard(tmp_path), wide=True)
    assert "98.50 (no interval)" in text
    assert "unknown (1 seed)" in text


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"spec": {"family": "cnn", "budget": Budget(trials=2, epochs=3)}}, "budget"),
        ({"spec": {"family": "cnn", "protocol": 0}}, "protocol"),
        ({"spec": {"family": "cnn", "precision": "bfloat16"}}, "search precision"),
        ({"spec": {"family": "cnn", "preset": "quick"}}, "budget"),
        ({"spec": {"family": "cnn"}, "dataset": make_dataset(checksum="6" * 64)}, "dataset checksum"),
        ({"spec": {"family": "cnn"}, "dataset": make_dataset(n_train=400, n_validation=200)}, "split"),
    ],
)
def test_rows_that_are_not_comparable_are_in_separate_tables(
    tmp_path: Path, change: dict[str, object], name: str
) -> None:
    add_run(tmp_path)
    add_run(tmp_path, **change)  # type: ignore[arg-type]
    first, second = leaderboard(tmp_path).tables
    assert (len(first.rows), len(second.rows)) == (1, 1)
    assert list(second.differs) == [name]
    assert f"Not ranked with the first table: {name} is" in leaderboard_text(leaderboard(tmp_path), wide=True)


def test_the_largest_budget_comes_first(tmp_path: Path) -> None:
    add_run(tmp_path, spec={"budget": Budget(trials=2, epochs=3)})
    add_run(tmp_path, spec={"budget": Budget(trials=9, epochs=3)})
    assert [table.conditions["budget"] for table in leaderboard(tmp_path).tables] == [
        "27 epochs (equivalent to 9 trials of 3 epochs)",
        "6 epochs (equivalent to 2 trials of 3 epochs)",
    ]


def test_families_are_ranked_by_preset_whatever_its_plan(tmp_path: Path) -> None:
    add_run(tmp_path, spec={"preset": "quick", "budget": Budget(trials=9, epochs=3)})
    add_run(tmp_path, spec={"preset": "quick", "budget": Budget(trials=4, epochs=9), "family": "cnn"})
    add_run(tmp_path, spec={"preset": "default", "budget": Budget(trials=30, epochs=3)})
    default, quick = leaderboard(tmp_path).tables
    assert default.conditions["budget"] == "preset default, planned for 10 minutes per family on two cores"
    assert quick.conditions["budget"] == "preset quick, planned for 1 minute per family on two cores"
    assert (len(default.rows), len(quick.rows)) == (1, 2)


@pytest.mark.parametrize(("seconds", "marked"), [(160.0, False), (170.0, True)])
def test_rows_that_took_much_more_time_than_another_are_marked(tmp_path: Path, seconds: float, marked: bool) -> None:
    # Trials of 12 and 13 s, a failed one of 14 s, refits of 22, 23 and 24 s: 108 s. Half as much again: 162 s.
    add_run(tmp_path, MANY_ERRORS)
    refits = tuple(make_refit(number, task_seconds=(seconds - 39) / 3) for number in range(3))
    add_run(tmp_path, FEW_ERRORS, spec={"family": "cnn"}, refits=refits)
    text = leaderboard_text(leaderboard(tmp_path), wide=True)
    assert (f"{seconds:.0f} (!)" in text) == marked


def test_time_is_compared_with_rows_of_the_same_machine_only(tmp_path: Path) -> None:
    add_run(tmp_path, MANY_ERRORS)
    refits = tuple(make_refit(number, task_seconds=170.0) for number in range(3))
    add_run(
        tmp_path,
        FEW_ERRORS,
        spec={"family": "cnn"},
        refits=refits,
        environment=make_environment(cpu="Synthetic CPU B"),
    )
    assert "(!)" not in leaderboard_text(leaderboard(tmp_path), wide=True)


def test_rows_of_different_machines_are_ranked_but_their_times_are_not_compared(tmp_path: Path) -> None:
    add_run(tmp_path)
    add_run(tmp_path, spec={"family": "cnn"}, environment=make_environment(cpu="Synthetic CPU B"))
    board = leaderboard(tmp_path)
    (table,) = board.tables
    assert table.machines == ("Synthetic CPU A", "Synthetic CPU B")
    assert "times are not comparable" in leaderboard_text(board, wide=True)
    assert {row["cpu"] for row in rows_json(board)} == {"Synthetic CPU A", "Synthetic CPU B"}


def test_machines_with_the_same_cpu_model_are_told_apart(tmp_path: Path) -> None:
    add_run(tmp_path)
    add_run(tmp_path, spec={"family": "cnn"}, environment=make_environment(instruction_sets=("avx2", "fma")))
    (table,) = leaderboard(tmp_path).tables
    assert table.machines == ("Synthetic CPU A, 2 cores, avx2", "Synthetic CPU A, 2 cores, avx2 fma")


def test_rows_are_plain_json_at_full_precision(tmp_path: Path) -> None:
    record = add_run(tmp_path, [range(3), range(4), range(5)])
    (row,) = json.loads(json.dumps(rows_json(leaderboard(tmp_path)), allow_nan=False))
    # 3, 4 and 5 of 200 are misclassified; the training accuracy is 0.95.
    assert row["test_accuracy_by_seed"] == [0.985, 0.98, 0.975]
    assert row["test_accuracy"] == pytest.approx(0.98)
    assert row["metrics"]["train_test_gap"] == pytest.approx(-0.03)
    assert row["validation_accuracy"] == 0.91
    # Trials of 12, 13 and 14 s, refits of 22, 23 and 24 s; a parameter of the space is continuous.
    assert (row["core_seconds"], row["trials"], row["candidates"]) == (108.0, 3, None)
    assert row["training_seconds"] == 21.0  # median of 20, 21, 22
    assert row["interval"]["n_seeds"] == 3
    assert (row["run_id"], row["seeds"], row["not_significantly_different_from"]) == (record.run_id, 3, [])


def test_a_run_without_a_row_is_an_error_that_lists_the_rows(tmp_path: Path) -> None:
    record = add_run(tmp_path)
    with pytest.raises(RecordError, match=f"synthetic/gone.*{record.run_id}"):
        find_row(leaderboard(tmp_path), "synthetic", "gone")


@pytest.mark.parametrize("wide", [False, True])
def test_reference_models_of_two_protocols_are_printed_once(wide: bool, tmp_path: Path) -> None:
    for protocol in (0, 1):
        add_reference(tmp_path, spec={"model": f"tutorial-{protocol}", "protocol": protocol})
    board = leaderboard(tmp_path)
    assert [len(table.references) for table in board.tables] == [2, 2]
    text = leaderboard_text(board, wide=wide)
    assert (text.count("\n----"), text.count("tutorial-0 "), text.count("Synthetic test data")) == (1, 1, 1)


def test_an_empty_leaderboard(tmp_path: Path) -> None:
    assert leaderboard_text(leaderboard(tmp_path), wide=True) == "No finished run yet."
    assert rows_json(leaderboard(tmp_path)) == []


def test_json_lists_every_row_that_is_not_significantly_different(tmp_path: Path) -> None:
    for number in range(12):
        add_run(tmp_path, [[number]] * 3, spec={"family": f"model{number:02}"})
    first, *others = rows_json(leaderboard(tmp_path))
    assert first["not_significantly_different_from"] == [other["label"] for other in others]
    text = page(tmp_path, "synthetic/README.md")
    assert "model01, model02, model03, model04, model05 and 6 more" in text
