"""leaderboard.md: its table, its findings, and what is folded."""

import re
from pathlib import Path

import pandas as pd
import pytest

from bench.records.plain import PlainKeras
from bench.records.store import run_folder
from bench.report.build import build
from bench.report.figures.picture import Picture
from bench.report.markdown import anchor, table
from bench.report.ranked_table import sorted_rows
from bench.report.ranking import leaderboard
from bench.report.tables.constant import constant_sentence, split_constant
from bench.report.text.findings import findings
from builders import add_reference, add_run, make_environment, make_refit, make_trial, page
from doc_pages import ROOT


def rows(text: str) -> list[list[str]]:
    """The cells of the first table of a page, without its rule."""
    table = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert table is not None
    lines = table[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in (lines[0], *lines[2:])]


def three_models(results: Path, wrong: int) -> None:
    """Two tuned models and a tutorial, which misclassify `wrong` (dense), 20 and 40 of 200 images."""
    add_run(results, [[*range(wrong - 1), 100]] * 3)  # most of class 0, Circle, as those of cnn
    add_run(results, [[*range(19), 100]] * 3, spec={"family": "cnn"}, search={"trials": (make_trial(1, 0.8),)})
    add_reference(results, [range(40)] * 3)


def test_tuned_and_reference_models_are_in_one_table_sorted_by_accuracy(tmp_path: Path) -> None:
    three_models(tmp_path, wrong=10)
    header, *body = rows(page(tmp_path))
    assert header[:4] == ["rank", "model", "type", "test accuracy (%)"]
    assert [row[:3] for row in body] == [
        ["1", "[dense](synthetic/dense.md#dense)", "tuned"],
        ["2", "[cnn](synthetic/cnn.md#cnn)", "tuned"],
        ["-", "[tutorial-linear](synthetic/tutorial-linear.md#tutorial-linear)", "published tutorial"],
    ]


def test_findings_follow_the_records(tmp_path: Path) -> None:
    three_models(tmp_path / "a", wrong=10)  # dense 190, cnn 180, tutorial 160 of 200 images
    three_models(tmp_path / "b", wrong=4)  # dense 196 of 200
    (a,), (b,) = (leaderboard(tmp_path / name).tables for name in "ab")
    assert "is 15.00 points better than tutorial-linear (80.00%), the best reference model" in findings(a)[0]
    assert findings(a)[1].startswith("dense is 5.00 points better than cnn")
    assert findings(b)[1].startswith("dense is 8.00 points better than cnn")
    hardest = "Circle is the hardest class: its recall is the lowest of all classes in 2 of 3 models, and at most "
    assert findings(a)[2].startswith(hardest)
    for sentence in findings(b):
        assert sentence.replace("|", r"\|") in page(tmp_path / "b")


def test_every_published_page_can_be_reached_from_the_leaderboard() -> None:
    results = ROOT / "results"
    reached, pending = set[Path](), [results / "leaderboard.md"]
    while pending:
        page_file = pending.pop()
        if page_file not in reached and page_file.exists():
            reached.add(page_file)
            links = re.findall(r"\]\(([^)#\s:]+\.md)", page_file.read_text(encoding="utf-8"))
            pending += [(page_file.parent / link).resolve() for link in links]
    assert set(results.rglob("*.md")) <= reached


def test_commits_are_in_the_provenance_if_there_are_several(tmp_path: Path) -> None:
    add_run(tmp_path)
    assert "Newest result: 2026-01-01, measured at commit " in page(tmp_path)
    add_reference(tmp_path, environment=make_environment(git_commit="b" * 40))
    assert "; 1 other commit: see Provenance.\n" in page(tmp_path)


def test_number_of_refits_is_in_the_caption(tmp_path: Path) -> None:
    add_run(tmp_path)
    assert "the mean over 3 refits with different seeds" in page(tmp_path)
    add_reference(tmp_path, spec={"refit_seeds": 5})
    assert "the mean over 3 or 5 refits with different seeds" in page(tmp_path)
    assert "accounts for the finite test set of 200 images only" not in page(tmp_path)


def test_a_model_with_an_unknown_value_is_last(tmp_path: Path) -> None:
    refits = tuple(make_refit(seed, train_accuracy=0.5) for seed in range(3))
    add_reference(tmp_path, spec={"model": "mine"}, reference={"group": "external"}, refits=refits)
    add_run(tmp_path)
    (table,) = leaderboard(tmp_path).tables
    assert [row.label for row in sorted_rows(table, table.compared, "train-test-gap")] == ["dense", "mine"]


def test_intervals_without_the_variance_across_seeds_are_in_the_caption(tmp_path: Path) -> None:
    for model, reference in (
        ("baseline-majority", {"group": "classifier", "deterministic": True}),
        ("mine", {"group": "external"}),
        ("tutorial-once", {}),
    ):
        add_reference(tmp_path, [range(40)], spec={"model": model, "refit_seeds": 1}, reference=reference)
    text = page(tmp_path)
    assert "the mean over" not in text
    assert "The 95% CI of deterministic classifiers (fitted once) and single model files accounts for" in text
    assert "A model with a single seed has no interval and no rank" in text


@pytest.mark.parametrize("others", [True, False])
def test_code_of_the_selected_model_is_linked_and_differences_are_shown_if_there_are_other_models(
    tmp_path: Path, *, others: bool
) -> None:
    dense = add_run(tmp_path)
    if others:
        add_reference(tmp_path)
    assert "code of the tuned model" not in page(tmp_path)
    run_folder(tmp_path, dense.spec).write_plain(PlainKeras(code="model.fit(x_train)\n", recipe={}))
    code = "[dense](synthetic/dense.md#code-of-dense)"
    assert f"code of the tuned model with the best validation accuracy: {code}." in page(tmp_path)
    assert (
        ("difference from dense (pp)" in page(tmp_path)) == ("Differences are from dense" in page(tmp_path)) == others
    )


def test_the_hardest_class_is_that_of_most_models_with_different_predictions(tmp_path: Path) -> None:
    add_run(tmp_path, [[0, 4]] * 3)  # errors of Circle
    add_run(tmp_path, [[1, 5]] * 3, spec={"family": "cnn"})  # of Square
    assert not any("hardest class" in finding for finding in findings(leaderboard(tmp_path).tables[0]))
    for model in ("tutorial-cnn", "tutorial-twin"):
        add_reference(tmp_path, [[0, 4, 8]] * 3, spec={"model": model})
    *_, finding = findings(leaderboard(tmp_path).tables[0])
    assert finding == (
        "Circle is the hardest class: its recall is the lowest of all classes in 2 of 3 models with different "
        "predictions, and at most 100.00% (cnn)."
    )


def test_models_without_errors_have_no_hardest_class(tmp_path: Path) -> None:
    add_run(tmp_path, [[], [], []])
    assert findings(leaderboard(tmp_path).tables[0]) == []


def test_other_budgets_are_named_and_ranked_on_the_page_of_the_dataset(tmp_path: Path) -> None:
    add_run(tmp_path, spec={"preset": "default"})
    add_run(tmp_path, spec={"preset": "quick", "family": "cnn"})
    others = re.search(
        r"Ranked separately there: \[preset quick[^]]*\]\(synthetic/README.md(#[^)]*)\): (.*)\.\n", page(tmp_path)
    )
    assert others is not None
    assert others[2] == "[cnn](synthetic/cnn.md#cnn)"
    detailed = page(tmp_path, "synthetic/README.md")
    assert others[1] in [anchor(heading) for heading in re.findall(r"^## (.*)$", detailed, re.MULTILINE)]
    assert "[cnn](cnn.md#cnn)" in detailed


def test_provenance_is_folded_and_names_what_all_rows_share_once(tmp_path: Path) -> None:
    three_models(tmp_path, wrong=10)
    folded = page(tmp_path).split("<summary>Provenance</summary>")[1].split("</details>")[0]
    assert len(rows(folded)) == 4
    assert "TensorFlow: 2.21.0" in folded.split("The same in every row:")[1]


def test_constant_columns_move_to_a_sentence() -> None:
    frame = pd.DataFrame({"model": ["a", "b"], "CPU": ["x", "x"], "seeds": ["1", "2"]})
    shown, constant = split_constant(frame)
    assert list(shown) == ["model", "seeds"]
    assert constant_sentence(constant) == "The same in every row: CPU: x."
    assert list(split_constant(frame, keep=("CPU",))[0]) == ["model", "CPU", "seeds"]
    text = table(frame, keep=["model"])
    assert rows(text) == [["model", "seeds"], ["a", "1"], ["b", "2"]]
    assert text.endswith("|\n\nThe same in every row: CPU: x.")
    assert table(frame[["model", "CPU"]], keep=["model"]) == "The same in every row: CPU: x."


@pytest.mark.parametrize("column", ["model", "CPU"])
def test_a_table_of_one_row_keeps_all_columns(column: str) -> None:
    assert column in split_constant(pd.DataFrame({"model": ["a"], "CPU": ["x"]}))[0]


def test_missing_values_leave_numbers_right_aligned() -> None:
    frame = pd.DataFrame({"difference": ["+1.00 (0.50 to 1.50)", "-", "unknown", "unknown (1 seed)", "not tested"]})
    assert table(frame).splitlines()[1].endswith("-:|")


def test_the_forest_plot_is_drawn_with_a_line_for_people(tmp_path: Path) -> None:
    add_run(tmp_path)
    picture = build(leaderboard(tmp_path))["synthetic/figures/table-1-accuracy.png"]
    assert isinstance(picture, Picture)
    assert picture.png().startswith(b"\x89PNG")
