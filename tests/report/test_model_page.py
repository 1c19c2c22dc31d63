"""<dataset>/<model>.md: code, recipe, comparisons, and what is left out where it does not apply."""

from pathlib import Path

import pytest

from bench.errors import RecordError
from bench.records.plain import PlainKeras
from bench.records.store import all_folders
from bench.report.build import build
from bench.report.ranking import leaderboard
from builders import add_reference, add_run

PLAIN = PlainKeras(code="model.fit(x_train, epochs=3)  # ```\n", recipe={"optimizer": "Adam(0.1)"})


def page(results: Path, name: str = "dense") -> str:
    content = build(leaderboard(results))[f"synthetic/{name}.md"]
    assert isinstance(content, bytes)
    return content.decode()


def test_the_stored_code_and_recipe_are_shown(tmp_path: Path) -> None:
    add_run(tmp_path)
    assert "### Code" not in page(tmp_path)
    (folder,) = all_folders(tmp_path)
    folder.write_plain(PLAIN)
    text = page(tmp_path)
    assert f"````python\n{PLAIN.code}````" in text  # a fence longer than any in the code
    assert "Adam(0.1)" in text.split("### Training recipe")[1].split("###")[0]


def test_damaged_code_is_a_problem_of_the_run(tmp_path: Path) -> None:
    add_run(tmp_path)
    (folder,) = all_folders(tmp_path)
    folder.plain_file.write_text("{")
    with pytest.raises(RecordError):
        folder.read_plain()
    assert "plain_keras.json" in leaderboard(tmp_path).problems[0]


def test_a_model_is_compared_with_the_next_one_and_the_best_reference(tmp_path: Path) -> None:
    add_run(tmp_path, [range(10)] * 3)  # 95% of 200 images
    add_run(tmp_path, [range(20)] * 3, spec={"family": "cnn"})  # 90%
    add_reference(tmp_path, [range(40)] * 3)  # 80%
    dense, cnn = page(tmp_path), page(tmp_path, "cnn")
    assert "- dense is 5.00 points better than cnn" in dense
    assert "- dense is 5.00 points better than cnn" in cnn
    assert "- dense is 15.00 points better than tutorial-linear" in dense
    assert "- cnn is 10.00 points better than tutorial-linear" in cnn
    assert "- tutorial-linear is 15.00 points worse than dense" in page(tmp_path, "tutorial-linear")


def test_pages_of_reference_models_name_no_search_budget(tmp_path: Path) -> None:
    add_run(tmp_path)
    add_reference(tmp_path)
    assert "none (no search)" not in page(tmp_path, "tutorial-linear")
    assert "| budget " in page(tmp_path)


def test_a_model_with_the_predictions_of_another_has_no_pictures(tmp_path: Path) -> None:
    wrong = [range(40), range(39), range(41)]
    add_reference(tmp_path, wrong)
    add_reference(tmp_path, wrong, spec={"model": "tutorial-twin"})
    files = build(leaderboard(tmp_path))
    assert any("figures/tutorial-linear-" in name for name in files)
    assert not any("figures/tutorial-twin-" in name for name in files)
    twin = page(tmp_path, "tutorial-twin")
    assert "[page](tutorial-linear.md) shows the errors of both" in twin
    assert "Most confident misclassifications" not in twin


def test_the_layers_and_the_signature_are_folded(tmp_path: Path) -> None:
    add_run(tmp_path)
    folded = page(tmp_path).split("<details>")
    assert "<summary>Layers</summary>" in folded[1]
    assert "refit-seeds=" in folded[2]
