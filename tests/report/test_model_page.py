"""<dataset>/<model>.md: code, recipe, comparisons, and what is left out where it does not apply."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.errors import RecordError
from bench.records.plain import PlainKeras
from bench.records.record import Curve, OwnRecipe
from bench.records.space import Condition, Parameter
from bench.records.store import all_folders, run_folder
from bench.report.build import build
from bench.report.figures.history import search_history
from bench.report.figures.model import BLUE, curves
from bench.report.figures.picture import Picture
from bench.report.ranking import leaderboard
from bench.report.run_text import run_row, run_text
from bench.report.tables.hyperparameters import bound_sentences, conditions_text, hyperparameters_table
from builders import add_reference, add_run, make_curve, make_refit, make_search, make_trial, page

PLAIN = PlainKeras(code="model.fit(x_train, epochs=3)  # ```\n", recipe={"optimizer": "Adam(0.1)"})


def model_page(results: Path, name: str = "dense") -> str:
    return page(results, f"synthetic/{name}.md")


def test_the_stored_code_and_recipe_are_shown(tmp_path: Path) -> None:
    add_run(tmp_path)
    assert "### Code" not in model_page(tmp_path)
    (folder,) = all_folders(tmp_path)
    folder.write_plain(PLAIN)
    text = model_page(tmp_path)
    assert f"````python\n{PLAIN.code}````" in text  # a fence longer than any in the code
    assert "Adam(0.1)" in text.split("### Training recipe")[1].split("###")[0]


def test_code_that_evaluates_the_model_ends_with_the_accuracy_to_expect(tmp_path: Path) -> None:
    run = add_run(tmp_path, [range(10)] * 3)  # 95% of 200 images
    code = "model.evaluate(x_test, y_test)\n"
    run_folder(tmp_path, run.spec).write_plain(PlainKeras(code=code, recipe={}))
    expected = "# expected accuracy: 95.00%, the mean of 3 refits by keras-family-bench\n"
    text = model_page(tmp_path)
    assert f"{code}{expected}```" in text
    assert "\nScript with images in x_train and labels in y_train for TensorFlow with Keras 3" in text
    assert "Test accuracy here: 95.00% with 3 seeds." in text
    single = add_reference(tmp_path, [range(20)], spec={"refit_seeds": 1})
    run_folder(tmp_path, single.spec).write_plain(PlainKeras(code=code, recipe={}))
    assert "# expected accuracy: 90.00%, as measured by keras" in model_page(tmp_path, "tutorial-linear")


def test_damaged_code_is_a_problem_of_the_run(tmp_path: Path) -> None:
    add_run(tmp_path)
    (folder,) = all_folders(tmp_path)
    folder.plain_file.write_text("{")
    with pytest.raises(RecordError):
        folder.read_plain()
    assert "plain_keras.json" in leaderboard(tmp_path).problems[0]


def test_a_model_is_compared_with_the_next_one_and_the_best_reference(tmp_path: Path) -> None:
    add_run(tmp_path, [range(10)] * 3)  # 95% of 200 images
    add_run(tmp_path, [range(20)] * 3, spec={"family": "cnn"}, search={"trials": (make_trial(1, 0.8),)})  # 90%
    add_reference(tmp_path, [range(40)] * 3)  # 80%
    dense, cnn = model_page(tmp_path), model_page(tmp_path, "cnn")
    assert "- dense is 5.00 points better than cnn" in dense
    assert "- dense is 5.00 points better than cnn" in cnn
    assert "- dense is 15.00 points better than tutorial-linear" in dense
    assert "- cnn is 10.00 points better than tutorial-linear" in cnn
    assert "- tutorial-linear is 15.00 points worse than dense" in model_page(tmp_path, "tutorial-linear")


def test_pages_of_reference_models_name_no_search_budget(tmp_path: Path) -> None:
    add_run(tmp_path)
    add_reference(tmp_path)
    assert "none (no search)" not in model_page(tmp_path, "tutorial-linear")
    assert "| budget " in model_page(tmp_path)


def test_a_model_with_the_predictions_of_another_has_no_pictures(tmp_path: Path) -> None:
    wrong = [range(40), range(39), range(41)]
    add_reference(tmp_path, wrong)
    add_reference(tmp_path, wrong, spec={"model": "tutorial-twin"})
    files = build(leaderboard(tmp_path))
    assert any("figures/tutorial-linear-" in name for name in files)
    assert not any("figures/tutorial-twin-" in name for name in files)
    twin = model_page(tmp_path, "tutorial-twin")
    assert "[page](tutorial-linear.md) shows the errors of both" in twin
    assert "Most confident misclassifications" not in twin


def test_a_tuned_model_with_the_predictions_of_a_reference_model_has_all_its_plots(tmp_path: Path) -> None:
    trials = tuple(make_trial(number, 0.8 + number / 100) for number in range(4))
    add_run(tmp_path, search={"trials": trials, "winner": "0003"})
    start = "synthetic/figures/dense-"
    alone = {name for name in build(leaderboard(tmp_path)) if name.startswith(start)}
    assert {f"{start}{kind}.png" for kind in ("confusion", "curves", "history", "hyperparameters")} <= alone
    add_reference(tmp_path)
    assert {name for name in build(leaderboard(tmp_path)) if name.startswith(start)} == alone
    assert "shows the errors of both" not in model_page(tmp_path)


def test_several_models_on_a_page_are_listed_with_their_code_and_the_selected_one(tmp_path: Path) -> None:
    runs = [add_run(tmp_path, spec={"seed": seed}) for seed in (1, 2)]
    run_folder(tmp_path, runs[1].spec).write_plain(PLAIN)
    start = model_page(tmp_path).split("## dense-seed")[0]
    first, second = (line for line in start.splitlines() if line.startswith("- "))
    assert first.startswith("- [dense-seed1](dense.md#dense-seed1): 94.50% (95% CI ")
    assert first.endswith("), the best validation accuracy in its table")
    assert second.endswith("), [code](dense.md#code-of-dense-seed2)")


def test_models_on_a_page_are_listed_by_budget(tmp_path: Path) -> None:
    for preset in ("long", "default"):
        add_run(tmp_path, spec={"preset": preset})
    start = model_page(tmp_path).split("\n## dense")[0]
    budgets = [line.partition(", planned")[0] for line in start.splitlines() if line.startswith("Budget: ")]
    assert budgets == ["Budget: preset default", "Budget: preset long"]


def test_the_training_loss_with_label_smoothing_is_not_the_log_loss(tmp_path: Path) -> None:
    run = add_run(tmp_path)
    assert "label smoothing" not in model_page(tmp_path)
    loss = "keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)"
    run_folder(tmp_path, run.spec).write_plain(PlainKeras(code="", recipe={"loss": loss}))
    # Four classes: -0.925 ln 0.925 - 3 * 0.025 ln 0.025 = 0.0721 + 0.2767 = 0.35.
    assert "The loss is computed with label smoothing of 0.1, so it is at least 0.35;" in model_page(tmp_path)


def test_validation_of_refits_is_drawn_if_they_have_any() -> None:
    with_validation = curves(Curve(), [make_curve(3, 0.9)] * 2, BLUE).draw()
    assert with_validation.axes[0].get_legend_handles_labels()[1] == ["2 refits, training", "2 refits, validation"]
    without = curves(Curve(), [make_curve(3, 0.9, validation=False)], BLUE).draw()
    assert without.axes[0].get_legend_handles_labels()[1] == ["1 refit, training"]


@pytest.mark.parametrize(("epochs", "marker"), [(1, "x"), (2, "None")])
def test_curves_of_a_single_epoch_are_visible(epochs: int, marker: str) -> None:
    axes = curves(make_curve(epochs, 0.9), [make_curve(epochs, 0.9, validation=False)], BLUE).draw().axes[0]
    assert axes.lines[0].get_marker() == marker


@pytest.mark.parametrize(
    ("own", "label"), [(None, "loss (nats)"), (OwnRecipe(training="mse", inputs="pixels", own_fit=False), "loss")]
)
def test_plots_name_the_dataset_and_the_unit_of_a_known_loss(tmp_path: Path, own: OwnRecipe | None, label: str) -> None:
    add_run(tmp_path, search={"own_recipe": own})
    picture = build(leaderboard(tmp_path))["synthetic/figures/dense-curves.png"]
    assert isinstance(picture, Picture)
    figure = picture.draw()
    assert figure.axes[0].get_ylabel() == label
    title = "dense on Synthetic test data (not a real dataset): loss and accuracy by epoch"
    assert figure.get_suptitle().replace("\n", " ") == title


def test_trials_are_drawn_at_their_numbers() -> None:
    history = search_history([make_trial(n, 0.8 + n / 100) for n in range(4)], "0003", 3, "validation accuracy", BLUE)
    assert history is not None
    axes = history.draw().axes[0]
    assert np.array_equal(axes.lines[0].get_xdata(), [0, 1, 2, 3])
    assert all(tick == int(tick) for tick in axes.get_xticks())


def test_the_layers_and_the_signature_are_folded(tmp_path: Path) -> None:
    add_run(tmp_path)
    folded = model_page(tmp_path).split("<details>")
    assert "<summary>Layers</summary>" in folded[1]
    assert "refit-seeds=" in folded[2]
    add_reference(tmp_path, reference={"group": "classifier"})
    assert "<summary>Classifier</summary>" in model_page(tmp_path, "tutorial-linear")


def test_the_variables_of_the_optimizer_are_no_parameters_of_the_model(tmp_path: Path) -> None:
    summary = "Layer\n Total params: 3,000 (11 KB)\n Trainable params: 1,000 (4 KB)\n Optimizer params: 2,000 (8 KB)\n"
    add_run(tmp_path, refits=tuple(make_refit(seed, parameters=1000, summary=summary) for seed in range(3)))
    assert "Layer\n Total params: 1,000\n Trainable params: 1,000 (4 KB)\n```" in model_page(tmp_path)


def test_a_single_refit_is_no_mean(tmp_path: Path) -> None:
    add_reference(tmp_path, [[0]], spec={"refit_seeds": 1}, reference={"deterministic": True})
    text = model_page(tmp_path, "tutorial-linear")
    assert "\nOne refit on 200 test images." in text
    assert "accuracy of each refit" not in text
    add_run(tmp_path)
    assert "accuracy of each refit" in model_page(tmp_path)


def test_failed_trials_are_explained_only_if_there_are_any(tmp_path: Path) -> None:
    add_run(tmp_path)
    assert "Failed trials have no score" in model_page(tmp_path)
    add_run(tmp_path, spec={"family": "cnn"}, search={"trials": (make_trial(0, 0.9), make_trial(1, 0.91))})
    assert "Failed trials" not in model_page(tmp_path, "cnn")


def test_a_model_without_hyperparameters_has_no_table_of_them(tmp_path: Path) -> None:
    add_run(tmp_path, search={"space": (), "trials": (make_trial(1, 0.9, values={}),)})
    for text in (model_page(tmp_path), run_text(tmp_path, *run_row(tmp_path, "dense"))):
        assert "Hyperparameters\n" not in text


def test_a_condition_that_always_holds_is_not_shown() -> None:
    layers = Parameter(name="layers", kind="Int", values=(1, 2), finite=True, conditions=())
    always = replace(layers, name="units", conditions=(Condition(name="layers", values=(1, 2)),))
    second = replace(layers, name="units_2", conditions=(Condition(name="layers", values=(2,)),))
    space = (layers, always, second)
    assert [conditions_text(each, space) for each in space] == ["always", "always", "layers is 2"]
    trials = (make_trial(0, 0.9, values={"layers": 1, "units": 1}),)
    assert "active when" in hyperparameters_table(make_search(space=space, trials=trials, winner="0000"))
    assert "active when" not in hyperparameters_table(make_search(space=space[:2], trials=trials, winner="0000"))


def test_of_hyperparameters_with_one_name_only_the_active_one_has_the_value() -> None:
    kind = Parameter(name="kind", kind="Choice", values=("a", "b"), finite=True, conditions=())
    rate = replace(kind, name="rate", kind="Float", values=(0.1, 1.0), finite=False)
    of_a = replace(rate, conditions=(Condition(name="kind", values=("a",)),))
    of_b = replace(rate, values=(0.01, 1.0), conditions=(Condition(name="kind", values=("b",)),))
    trials = (make_trial(0, 0.9, values={"kind": "b", "rate": 0.1}),)
    search = make_search(space=(kind, of_a, of_b), trials=trials, winner="0000")
    assert hyperparameters_table(search)["winner"].tolist() == ["b", "inactive", "0.1"]
    assert bound_sentences(search) == []  # 0.1 is the lower bound of the inactive one
