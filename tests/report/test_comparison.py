"""Two runs side by side."""

from pathlib import Path

import pytest

from bench.errors import SpecError
from bench.records.spec import Budget
from bench.report.pair import pair, pair_data, pair_text
from builders import add_run, make_dataset, make_environment


def test_images_that_flip_are_those_that_most_refits_of_one_get_right_and_of_the_other_wrong(tmp_path: Path) -> None:
    # Image 0 is wrong in all refits of both, 1 in one of dense and all of cnn, 2 in all of dense, 3 in one of dense.
    add_run(tmp_path, [[0, 1, 2], [0, 2], [0, 2, 3]])
    add_run(tmp_path, [[0, 1]] * 3, spec={"family": "cnn"})
    found = pair(tmp_path, "dense", "cnn")
    (first,), (second,) = found.only_a, found.only_b
    assert (first.image, second.image) == (1, 2)
    assert first.right_a == pytest.approx(2 / 3)
    assert first.right_b == 0
    assert (second.right_a, second.right_b) == (0, 1)


def test_single_fitted_models_are_compared_by_mcnemar_only(tmp_path: Path) -> None:
    # 5 images that only cnn gets right, none that only dense does: 2 / 2^5.
    add_run(tmp_path, [range(5)], spec={"seeds": 1})
    add_run(tmp_path, [[]], spec={"family": "cnn", "seeds": 1})
    found = pair(tmp_path, "dense", "cnn")
    assert found.verdict.word == "unknown"
    assert found.mcnemar == pytest.approx(0.0625)
    assert "p = 0.0625. It knows nothing of other seeds" in pair_text(found)


def test_models_of_several_seeds_are_not_compared_by_mcnemar(tmp_path: Path) -> None:
    add_run(tmp_path, [range(40)] * 3)
    add_run(tmp_path, [range(3)] * 3, spec={"family": "cnn"})
    found = pair(tmp_path, "dense", "cnn")
    assert found.mcnemar is None
    assert "The dense found here loses to the cnn found here by 18.50 points" in pair_text(found)
    assert pair_data(found)["verdict"] == "worse"


def test_run_may_be_named_by_its_folder(tmp_path: Path) -> None:
    first = add_run(tmp_path)
    second = add_run(tmp_path, spec={"seed": 7})
    assert pair(tmp_path, first.run_id, second.run_id).b.record.run_id == second.run_id


def test_seconds_of_other_machines_are_not_compared(tmp_path: Path) -> None:
    add_run(tmp_path)
    add_run(tmp_path, spec={"family": "cnn"}, environment=make_environment(cpu="Another"))
    assert "other machine" in pair_text(pair(tmp_path, "dense", "cnn"))


def test_unknown_run_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    add_run(tmp_path)
    with pytest.raises(SpecError, match="no finished run 'cnn'; rows: dense"):
        pair(tmp_path, "dense", "cnn")


def test_runs_on_other_data_are_refused_with_what_differs(tmp_path: Path) -> None:
    add_run(tmp_path)
    add_run(tmp_path, spec={"family": "cnn"}, dataset=make_dataset(checksum="6" * 64))
    with pytest.raises(SpecError, match="differ in dataset checksum"):
        pair(tmp_path, "dense", "cnn")


def test_a_run_is_not_compared_with_itself(tmp_path: Path) -> None:
    first = add_run(tmp_path)
    with pytest.raises(SpecError, match="are the same run: name two"):
        pair(tmp_path, "dense", first.run_id)


def test_other_budgets_are_named(tmp_path: Path) -> None:
    add_run(tmp_path)
    add_run(tmp_path, spec={"family": "cnn", "budget": Budget(trials=8, epochs=3)})
    found = pair(tmp_path, "dense", "cnn")
    assert "Not ranked together: budget is 4 trials x 3 epochs and 8 trials x 3 epochs." in pair_text(found)
    assert pair_data(found)["not_ranked_together_for"] == ["budget"]


def test_a_mistyped_name_is_answered_with_the_nearest(tmp_path: Path) -> None:
    add_run(tmp_path)
    with pytest.raises(SpecError, match="Did you mean dense"):
        pair(tmp_path, "dens", "cnn")
