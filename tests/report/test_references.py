"""Reference models in tables and on pages."""

import re
import shlex
from pathlib import Path

import pytest

from bench.evaluation.comparison import compare_all, holm
from bench.records.record import PublishedAccuracy
from bench.report.ranking import leaderboard
from bench.report.text.signature import signature_text
from builders import add_reference, add_run, make_dataset, make_environment, make_refit, make_trial, page

DETERMINISTIC = {"group": "classifier", "recipe": "the most frequent class", "deterministic": True, "published": None}


def add_worse_cnn(results: Path) -> None:
    """A tuned model that is worse than others on the validation images as well as on the test images."""
    add_run(results, [range(60)] * 3, spec={"family": "cnn"}, search={"trials": (make_trial(1, 0.7),)})


def add_majority(results: Path) -> None:
    spec = {"model": "baseline-majority", "refit_seeds": 1}
    add_reference(results, [range(150)], spec=spec, reference=DETERMINISTIC)


def test_pages_say_how_to_train_reference_models_on_the_same_data(tmp_path: Path) -> None:
    for dataset in ("arrays", "digits", "my_photos"):
        add_run(tmp_path, spec={"dataset": dataset})
    options = " (with the options of your runs, such as `--image-size`)"
    expected = {
        "digits": "`python -m bench reproduce --dataset digits`",
        "my_photos": f"`python -m bench reproduce --dataset PATH`{options}",
    }
    first = page(tmp_path)
    for dataset, command in expected.items():
        assert f"There are no reference models yet; {command} trains them." in first
        readme = page(tmp_path, f"{dataset}/README.md")
        assert f"There are no reference models for this table yet; {command} trains\nthem." in readme
    assert first.count("no reference models yet") == 2  # no command reads arrays
    assert "no reference models" not in page(tmp_path, "arrays/README.md")


def test_reference_models_are_compared_with_the_best_tuned_model(tmp_path: Path) -> None:
    add_run(tmp_path, [range(10)] * 3)
    add_worse_cnn(tmp_path)
    add_reference(tmp_path, [range(11)] * 3, spec={"model": "tutorial-cnn"})
    add_majority(tmp_path)
    (table,) = leaderboard(tmp_path).tables
    tutorial, majority = table.references
    assert (tutorial.label, majority.label) == ("tutorial-cnn", "baseline-majority")
    assert tutorial.versus_best is not None
    assert majority.versus_best is not None
    assert (tutorial.versus_best.b, tutorial.versus_best.verdict) == ("dense", "not significantly different")
    assert majority.versus_best.verdict == "worse"
    assert (tutorial.rank, majority.rank) == (None, None)


def test_the_tuned_model_to_compare_with_is_chosen_by_validation_accuracy(tmp_path: Path) -> None:
    # By test accuracy dense is the best of the two, which may be chance.
    add_run(tmp_path, [range(10)] * 3, search={"trials": (make_trial(0, 0.8), make_trial(1, 0.85))})
    add_run(tmp_path, [range(12)] * 3, spec={"family": "cnn"})
    add_reference(tmp_path, [range(60)] * 3)
    (table,) = leaderboard(tmp_path).tables
    (reference,) = table.references
    assert reference.versus_best is not None
    assert reference.versus_best.b == "cnn"


@pytest.mark.parametrize(
    ("parameters", "seeds", "selected"),
    [((9, 8, 9), (3, 2, 1), "b"), ((8, 8, 9), (3, 2, 1), "b"), ((8, 8, 8), (1, 1, 1), "a")],
)
def test_tuned_models_with_equal_validation_accuracy_are_chosen_as_trials_are(
    tmp_path: Path, parameters: tuple[int, ...], seeds: tuple[int, ...], selected: str
) -> None:
    # Fewer parameters, then the smaller seed, then the name: not the test accuracy, by which c is the best.
    for family, size, seed, wrong in zip("abc", parameters, seeds, (30, 20, 10), strict=True):
        refits = tuple(make_refit(number, parameters=size) for number in range(3))
        add_run(tmp_path, [range(wrong)] * 3, spec={"family": family, "seed": seed}, refits=refits)
    (table,) = leaderboard(tmp_path).tables
    assert table.selected_row is not None
    assert table.selected_row.label == selected


def test_reference_models_are_tested_against_every_tuned_model_as_one_family_of_tests(tmp_path: Path) -> None:
    add_run(tmp_path, [range(10)] * 3)
    add_worse_cnn(tmp_path)
    add_reference(tmp_path, [range(30)] * 3, spec={"model": "tutorial-cnn"})
    add_majority(tmp_path)
    (table,) = leaderboard(tmp_path).tables
    tutorial, majority = table.references
    assert (tutorial.better_than, majority.better_than) == (("cnn",), ())
    runs = [row.run for row in table.compared]
    p_values = compare_all([run.correctness for run in runs]).p_value[2:, :2]
    shown = [row.versus_best.p_adjusted for row in table.references if row.versus_best is not None]
    assert shown == holm(p_values)[:, 0].tolist()


def test_reference_models_are_in_every_table_of_the_same_data_only(tmp_path: Path) -> None:
    add_run(tmp_path)
    add_run(tmp_path, spec={"family": "cnn"}, dataset=make_dataset(checksum="6" * 64))
    add_run(tmp_path, spec={"family": "wide", "time_limit": 60})
    add_majority(tmp_path)
    references = {table.rows[0].label: len(table.references) for table in leaderboard(tmp_path).tables}
    assert references == {"dense": 1, "wide": 1, "cnn": 0}


def test_reference_models_alone_have_a_table(tmp_path: Path) -> None:
    add_majority(tmp_path)
    add_reference(tmp_path, [range(20)] * 2, spec={"model": "tutorial-cnn", "refit_seeds": 2})
    (table,) = leaderboard(tmp_path).tables
    assert (table.rows, [row.label for row in table.references]) == ((), ["tutorial-cnn", "baseline-majority"])
    assert "baseline-majority" in page(tmp_path, "leaderboard.md")
    assert re.search(r"\n- protocol: version \d+ \(reference models\)\n", page(tmp_path, "synthetic/README.md"))


def test_deterministic_model_has_an_interval_from_one_seed(tmp_path: Path) -> None:
    add_run(tmp_path)
    add_majority(tmp_path)
    (table,) = leaderboard(tmp_path).tables
    assert table.references[0].run.interval is not None
    text = page(tmp_path, "synthetic/baseline-majority.md")
    assert "Training is deterministic." in text
    assert "### Trials" not in text


def test_page_of_a_model_that_always_predicts_the_same_class_shows_no_errors(tmp_path: Path) -> None:
    # Every odd image is of the second class.
    dataset = make_dataset(class_names=("even", "odd"))
    spec = {"model": "baseline-majority", "refit_seeds": 1}
    add_reference(tmp_path, [range(1, 200, 2)], spec=spec, reference=DETERMINISTIC, dataset=dataset)
    text = page(tmp_path, "synthetic/baseline-majority.md")
    assert "It predicts the same class for every test image." in text
    assert "isclassif" not in text
    assert "confusion.png" not in text


def test_tutorials_are_compared_with_their_published_accuracy(tmp_path: Path) -> None:
    dataset = make_dataset(name="fashion_mnist")
    # Wrong at 19, 20 and 21 of 200: 90% with a deviation of 0.5 points. One more: 4.3027 x 0.5 x sqrt(4 / 3) = 2.48.
    wrong = [range(19), range(20), range(21)]
    for name, low in (("tutorial-cnn", 0.895), ("tutorial-linear", 0.93), ("tutorial-other", 0.86)):
        published = PublishedAccuracy(text=f"{low}", low=low, high=low + 0.01)
        spec = {"model": name, "dataset": "fashion_mnist"}
        add_reference(tmp_path, wrong, spec=spec, dataset=dataset, reference={"published": published})
    section = page(tmp_path, "tutorials.md").split("### Stated and measured accuracy")[1]
    assert "95% prediction interval of one training run (%): 87.52 to 92.48;" in section  # the same in every row
    cells = [[cell.strip() for cell in line.split("|")] for line in section.splitlines() if "tutorial-" in line]
    assert [row[4] for row in cells[:3]] == ["consistent", "above", "below"]


def test_signature_of_a_reference_model_names_its_recipe_and_seed(tmp_path: Path) -> None:
    record = add_reference(tmp_path, spec={"seed": 7})
    assert record.reference is not None
    recipe = record.reference.recipe
    assert f" recipe={shlex.quote(recipe)} seed=7 refit-seeds=3 " in signature_text(record)


@pytest.mark.parametrize(("cpus", "compared"), [(("One", "One"), True), (("One", "Two"), False)])
def test_times_of_tutorials_are_compared_on_one_machine_only(
    tmp_path: Path, cpus: tuple[str, str], compared: bool
) -> None:
    for name, cpu in zip(("tutorial-cnn", "tutorial-linear"), cpus, strict=True):
        add_reference(tmp_path, spec={"model": name}, environment=make_environment(cpu=cpu))
    text = page(tmp_path, "tutorials.md")
    assert ("training time per refit (s)" in text) == compared
    assert ("One and Two, so training times are not comparable" in text) != compared
