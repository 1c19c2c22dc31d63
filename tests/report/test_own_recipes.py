"""Rows of models that bring their own recipe, and of searches for other objectives than accuracy."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from bench.records.record import Curve, OwnRecipe
from bench.records.space import Parameter
from bench.records.spec import Budget
from bench.report.build import write
from bench.report.ranked_table import difference_note, wide_table
from bench.report.ranking import leaderboard
from bench.report.rows_json import rows_json
from builders import add_reference, add_run, make_failed_trial, make_trial, page

OWN = OwnRecipe(training="its own: Adam, mse, one-hot labels, its own fit", inputs="uint8 pixels", own_fit=True)


def test_row_says_whether_the_recipe_is_its_own(tmp_path: Path) -> None:
    add_run(tmp_path, spec={"family": "net", "definition": "my.py:build_model"}, search={"own_recipe": OWN})
    add_run(tmp_path)
    (table,) = leaderboard(tmp_path).tables
    shown = wide_table(table, table.rows)
    assert dict(zip(shown["model"], shown["type"], strict=True)) == {"net": "tuned, own recipe", "dense": "tuned"}
    assert {row["label"]: row["own_recipe"] for row in rows_json(leaderboard(tmp_path))} == {
        "net": True,
        "dense": False,
    }
    assert "Models with their own training recipe differ" in page(tmp_path, "synthetic/README.md")


def test_recipe_is_not_mentioned_if_all_rows_follow_that_of_the_suite(tmp_path: Path) -> None:
    add_run(tmp_path)
    assert "their own training recipe" not in page(tmp_path, "synthetic/README.md")


@pytest.mark.parametrize(
    ("trials", "tuner"), [(2, "hyperband"), (3, "grid, not hyperband, since the budget covers the whole space")]
)
def test_page_says_that_grid_search_replaced_the_tuner(trials: int, tuner: str, tmp_path: Path) -> None:
    units = Parameter(name="units", kind="Choice", values=(8, 16, 32), finite=True, conditions=())
    spec = {"tuner": "hyperband", "budget": Budget(trials=trials, epochs=3)}
    add_run(tmp_path, spec=spec, search={"space": (units,)})
    assert f"| tuner | {tuner} |" in " ".join(page(tmp_path, "synthetic/dense.md").split())


def test_page_of_a_model_with_its_own_fit_describes_its_training(tmp_path: Path) -> None:
    trials = (
        make_trial(0, 0.8, curve=Curve(), objective_score=0.8, unsearched={"late": 0.125}),
        make_trial(1, 0.9, objective_score=0.91, initial_epoch=1, retrained_epochs=1, parent="0000"),
        make_failed_trial(2, "ValueError: no"),
    )
    add_run(
        tmp_path,
        spec={"family": "net", "definition": "my.py:Net"},
        search={"own_recipe": OWN, "trials": trials, "winner": "0001"},
    )
    write(tmp_path)  # its pictures can be drawn
    text = page(tmp_path, "synthetic/net.md")
    for expected in (
        "its own: Adam, mse, one-hot labels, its own fit",
        "uint8 pixels",
        "my.py:Net",
        "1 (its own fit cannot continue a trial)",
        "late = 0.125: first seen after the space was fixed, kept at their defaults",
        "on the training images of the search",
        "definition=my.py:Net",
        "91.00",
    ):
        assert expected in text.replace("\\", ""), expected
    # 3 epochs of the first trial, 2 + 1 of the second.
    assert "6 of 12" in text


def test_failed_trials_are_shown_with_their_whole_error_and_their_time(tmp_path: Path) -> None:
    refused = f"its fit reported {'something else, ' * 20}: move preprocessing into the model"
    trials = (make_trial(0, 0.8), replace(make_failed_trial(1, refused), task_seconds=7.25))
    add_run(tmp_path, search={"trials": trials, "winner": "0000"})
    text = page(tmp_path, "synthetic/dense.md")
    assert refused in text
    assert re.search(r"\| +0001 \| failed .* 7\.2 ", text)


def test_searches_for_another_objective_are_ranked_separately_and_named(tmp_path: Path) -> None:
    add_run(tmp_path)
    trials = (make_trial(0, 0.8, objective_score=0.7), make_trial(1, 0.9, objective_score=0.75))
    add_run(
        tmp_path,
        spec={"family": "cnn", "objective": "macro-f1", "class_weights": "balanced"},
        search={"trials": trials},
    )
    first, second = leaderboard(tmp_path).tables
    if "objective" in first.conditions:
        first, second = second, first
    assert (second.conditions["objective"], second.conditions["class weights"]) == ("macro F1", "balanced")
    assert wide_table(second, second.rows)["validation macro F1 (%)"].tolist() == ["75.00"]
    assert "validation accuracy (%)" in wide_table(first, first.rows)
    text = page(tmp_path, "synthetic/README.md")
    assert "objective: macro F1; in table 1: accuracy" in text or "objective: accuracy; in table 1: macro F1" in text
    assert "best validation macro F1 first" in page(tmp_path, "synthetic/cnn.md")
    assert {row["label"]: row["objective"] for row in rows_json(leaderboard(tmp_path))} == {
        "dense": "accuracy",
        "cnn": "macro F1",
    }


def test_pages_name_the_score_by_which_the_searches_selected(tmp_path: Path) -> None:
    for seed, score, wrong in ((1, 0.75, 10), (2, 0.7, 9)):
        trials = tuple(make_trial(number, 0.9, objective_score=score) for number in range(3))
        spec = {"family": "cnn", "seed": seed, "objective": "macro-f1"}
        add_run(tmp_path, [range(wrong)] * 3, spec=spec, search={"trials": trials})
    add_reference(tmp_path, [range(40)] * 3)
    write(tmp_path)
    for name, count in (
        ("leaderboard.md", 2),
        ("tutorials.md", 2),
        ("synthetic/README.md", 7),
        ("synthetic/cnn.md", 7),
    ):
        text = " ".join((tmp_path / name).read_text().split())
        assert "alidation accuracy" not in text, name
        assert text.count("alidation macro F1") >= count, name
        assert "alidation macro f1" not in text, name
    (table,) = leaderboard(tmp_path).tables
    assert difference_note(table).endswith("the tuned model with the best validation macro F1.")


def test_balanced_accuracy_is_on_the_page_and_is_the_mean_recall(tmp_path: Path) -> None:
    add_run(tmp_path, [range(0, 40, 4), range(0, 40, 4), range(0, 40, 4)])
    # 200 images of 4 classes; 10 of the 50 images of the first class are wrong: (0.8 + 3) / 4.
    (row,) = rows_json(leaderboard(tmp_path))
    assert row["metrics"]["balanced_accuracy"] == pytest.approx(0.95)
    assert "balanced accuracy (%)" in page(tmp_path, "synthetic/dense.md")
