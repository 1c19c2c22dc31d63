"""Two runs compared."""

from pathlib import Path

import pytest

from bench.errors import SpecError
from bench.records.spec import Budget
from bench.report.comparison import compare_runs, comparison_json, comparison_text
from builders import NAMES, add_reference, add_run, make_dataset, make_environment
from command_line import call


def test_images_are_listed_that_most_refits_of_only_one_model_classify_correctly(tmp_path: Path) -> None:
    # Image 0 is wrong in all refits of both, 1 in one of dense and all of cnn, 2 in all of dense, 3 in one of dense.
    add_run(tmp_path, [[0, 1, 2], [0, 2], [0, 2, 3]])
    add_run(tmp_path, [[0, 1]] * 3, spec={"family": "cnn"})
    comparison = compare_runs(tmp_path, "dense", "cnn")
    (first,), (second,) = comparison.only_a_correct.itertuples(), comparison.only_b_correct.itertuples()
    assert (first.image, second.image) == (1, 2)
    assert first.correct_a == pytest.approx(2 / 3)
    assert first.correct_b == 0
    assert (second.correct_a, second.correct_b) == (0, 1)
    # The label of image i is class i; a refit that is wrong predicts the next class.
    assert [str(value) for value in (first.true, first.predicted_a, first.predicted_b)] == [*NAMES[1:2], *NAMES[1:3]]
    assert [str(value) for value in (second.true, second.predicted_a, second.predicted_b)] == [
        NAMES[2],
        NAMES[3],
        NAMES[2],
    ]
    text = " ".join(comparison_text(comparison).split())
    assert "1 test image is classified correctly by most refits of dense and misclassified by most of cnn: " in text
    assert "prediction" in text


def test_images_that_only_one_run_gets_right_are_drawn(tmp_path: Path) -> None:
    add_run(tmp_path / "results", [[0, 2]] * 3)
    add_run(tmp_path / "results", [[0, 1]] * 3, spec={"family": "cnn"})
    done = call("compare", "dense", "cnn", "--pictures", "changed", cwd=tmp_path)
    paths = ["changed/dense-correct-cnn-misclassified.png", "changed/cnn-correct-dense-misclassified.png"]
    assert done.stderr.splitlines() == [f"Pictures: {path}" for path in paths]
    assert all((tmp_path / path).read_bytes()[1:4] == b"PNG" for path in paths)


def test_no_picture_is_drawn_if_both_classify_all_images_alike(tmp_path: Path) -> None:
    add_run(tmp_path / "results", [[0]] * 3)
    add_run(tmp_path / "results", [[0]] * 3, spec={"family": "cnn"})
    done = call("compare", "dense", "cnn", "--pictures", "changed", cwd=tmp_path)
    assert done.stderr.startswith("No pictures: ")
    assert not (tmp_path / "changed").exists()


def test_single_refits_are_compared_by_mcnemars_test_only(tmp_path: Path) -> None:
    # 5 images that only cnn gets right, none that only dense does: 2 / 2^5.
    add_run(tmp_path, [range(5)], spec={"refit_seeds": 1})
    add_run(tmp_path, [[]], spec={"family": "cnn", "refit_seeds": 1})
    comparison = compare_runs(tmp_path, "dense", "cnn")
    assert comparison.test.verdict == "unknown"
    assert comparison.mcnemar == pytest.approx(0.0625)
    assert "p = 0.0625. It does not account for the variance across seeds" in " ".join(
        comparison_text(comparison).split()
    )


def test_several_refits_are_not_compared_by_mcnemars_test(tmp_path: Path) -> None:
    add_run(tmp_path, [range(40)] * 3)
    add_run(tmp_path, [range(3)] * 3, spec={"family": "cnn"})
    comparison = compare_runs(tmp_path, "dense", "cnn")
    assert comparison.mcnemar is None
    assert "dense is 18.50 points worse than cnn" in comparison_text(comparison)
    assert comparison_json(comparison)["verdict"] == "worse"


def test_a_run_can_be_named_by_its_id(tmp_path: Path) -> None:
    first = add_run(tmp_path)
    second = add_run(tmp_path, spec={"seed": 7})
    assert compare_runs(tmp_path, first.run_id, second.run_id).b.record.run_id == second.run_id


def test_times_of_different_machines_are_not_compared(tmp_path: Path) -> None:
    add_run(tmp_path)
    add_run(tmp_path, spec={"family": "cnn"}, environment=make_environment(cpu="Another"))
    lines = comparison_text(compare_runs(tmp_path, "dense", "cnn")).splitlines()
    times = [line.split("  ")[0] for line in lines if line.count("other machine") == 2]
    assert times == ["core-seconds", "search time (s)", "training time per refit (s)", "prediction time (µs/image)"]


def test_an_unknown_run_is_an_error_that_lists_the_model_names(tmp_path: Path) -> None:
    add_run(tmp_path)
    with pytest.raises(SpecError, match="no finished run 'cnn'; model names: dense"):
        compare_runs(tmp_path, "dense", "cnn")


def test_runs_on_different_data_are_an_error_that_names_the_difference(tmp_path: Path) -> None:
    add_run(tmp_path)
    add_run(tmp_path, spec={"family": "cnn"}, dataset=make_dataset(checksum="6" * 64))
    with pytest.raises(SpecError, match="differ in dataset checksum"):
        compare_runs(tmp_path, "dense", "cnn")


def test_names_mean_the_runs_on_the_same_data(tmp_path: Path) -> None:
    for family in ("dense", "cnn"):
        for seed in (0, 1):
            add_run(tmp_path, spec={"family": family, "seed": seed})
    add_run(tmp_path, spec={"family": "cnn", "dataset": "other"})
    comparison = compare_runs(tmp_path, "cnn", "dense")
    assert [(run.label, run.record.dataset.name) for run in (comparison.a, comparison.b)] == [
        ("cnn-seed0", "synthetic"),
        ("dense-seed0", "synthetic"),
    ]


def test_a_name_that_means_searches_on_several_datasets_is_an_error(tmp_path: Path) -> None:
    for dataset in ("synthetic", "other"):
        for seed in (0, 1):
            add_run(tmp_path, spec={"dataset": dataset, "seed": seed})
    with pytest.raises(SpecError, match="several runs are called 'dense': use a run id"):
        compare_runs(tmp_path, "dense", "dense-seed1")


def test_a_run_is_not_compared_with_itself(tmp_path: Path) -> None:
    first = add_run(tmp_path)
    with pytest.raises(SpecError, match="are the same run: name two"):
        compare_runs(tmp_path, "dense", first.run_id)


def test_train_test_gap_of_a_model_trained_elsewhere_is_unknown(tmp_path: Path) -> None:
    add_run(tmp_path)
    add_reference(tmp_path, spec={"model": "mine"}, reference={"group": "external"})
    metrics = comparison_json(compare_runs(tmp_path, "dense", "mine"))["metrics"]
    assert [value is None for value in metrics["train_test_gap"]] == [False, True]


def test_different_budgets_are_named(tmp_path: Path) -> None:
    add_run(tmp_path)
    add_run(tmp_path, spec={"family": "cnn", "budget": Budget(trials=8, epochs=3)})
    comparison = compare_runs(tmp_path, "dense", "cnn")
    text = " ".join(comparison_text(comparison).split())
    assert "Not ranked together: budget is 12 epochs (equivalent to 4 trials of 3 epochs) for dense and 24 ep" in text
    assert comparison_json(comparison)["different_conditions"] == ["budget"]


def test_a_mistyped_name_gets_a_suggestion(tmp_path: Path) -> None:
    add_run(tmp_path)
    with pytest.raises(SpecError, match="Did you mean dense"):
        compare_runs(tmp_path, "dens", "cnn")
