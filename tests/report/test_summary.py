"""The summary at the top of a page, for each kind of result."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bench.report.board import Table
from bench.report.ranking import leaderboard
from bench.report.tables.scores import families_table
from bench.report.text.findings import findings
from bench.report.text.statements import summary
from builders import add_reference, add_run, make_failed_trial, make_trial

EVEN = [list(range(20)), list(range(1, 21)), list(range(2, 22))]  # of 200 images, slightly different for each seed
WORSE = [list(range(60)), list(range(1, 61)), list(range(2, 62))]


def table(results: Path, *wrong: tuple[str, Sequence[Sequence[int]]], **changes: Any) -> Table:
    """A table with one run per family and the images that each of its seeds misclassifies."""
    for family, images in wrong:
        add_run(results, images, spec={"family": family, "refit_seeds": len(images)}, **changes)
    (only,) = leaderboard(results).tables
    return only


def test_the_best_model_is_significantly_better(tmp_path: Path) -> None:
    one, two, three = summary(table(tmp_path, ("cnn", EVEN), ("dense", WORSE)))
    assert one.startswith("The best tuned model is cnn with 90.00% test accuracy (95% CI ")
    assert one.endswith("; mean of 3 refits, 200 test images).")
    assert two == "It is 20.00 points better than dense, a statistically significant difference."
    assert three.startswith("Its lowest recall is 90.00%, in 4 classes; ")


def test_the_model_selected_on_validation_images_is_summarized_even_if_another_is_better_on_the_test_images(
    tmp_path: Path,
) -> None:
    add_run(tmp_path, WORSE, spec={"family": "dense"}, search={"trials": (make_trial(1, 0.9),)})
    one, two, _ = summary(table(tmp_path, ("cnn", EVEN), search={"trials": (make_trial(1, 0.8),)}))
    assert one.startswith("The tuned model with the best validation accuracy is dense with 70.00% test accuracy (95% ")
    assert two == "It is 20.00 points worse than cnn, a statistically significant difference."


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ([0, 4, 1], "Its hardest class is Circle, with a recall of 96.00%."),
        ([0, 4, 1, 5, 2], "Its hardest classes are Circle and Square, with a recall of 96.00% each."),
    ],
)
def test_all_of_the_hardest_classes_are_named(wrong: list[int], expected: str, tmp_path: Path) -> None:
    # 2 of the 50 images of a class are misclassified.
    *_, three = summary(table(tmp_path, ("cnn", [wrong] * 3), search={"trials": (make_trial(1, 0.9),)}))
    assert three == expected


def test_a_difference_that_is_not_significant(tmp_path: Path) -> None:
    other = [list(range(100, 121)), list(range(101, 122)), list(range(102, 123))]
    _, two, _ = summary(table(tmp_path, ("cnn", EVEN), ("dense", other)))
    assert two == "It is not significantly different from dense (difference 0.50 points)."


def test_a_single_model_is_not_compared(tmp_path: Path) -> None:
    _, two, _ = summary(table(tmp_path, ("cnn", EVEN)))
    assert two == "There is no other model to compare it with."


def test_reference_models_without_tuned_models_are_not_compared(tmp_path: Path) -> None:
    for model, images in (("tutorial-cnn", EVEN), ("tutorial-linear", WORSE)):
        add_reference(tmp_path, images, spec={"model": model})
    one, two, _ = summary(table(tmp_path))
    assert one.startswith("The best reference model is tutorial-cnn with 90.00% test accuracy")
    assert two == "There is no tuned model to compare it with; reference models are not compared with each other."


def test_a_single_seed_gives_no_variance_estimate(tmp_path: Path) -> None:
    one, two, _ = summary(table(tmp_path, ("cnn", EVEN[:1]), ("dense", WORSE[:1])))
    assert one.endswith("; a single seed gives no variance estimate.")
    assert "CI" not in one
    assert two == "It is not compared with dense: a single seed gives no variance estimate."


def test_failed_trials_are_counted(tmp_path: Path) -> None:
    trials = (make_trial(0, 0.8), make_trial(1, 0.9), make_failed_trial(2, "no"), make_failed_trial(3, "no"))
    _, _, three = summary(table(tmp_path, ("cnn", EVEN), search={"trials": trials}))
    assert three.endswith("; 2 of the 4 trials of its search failed.")


def test_reference_models_that_are_better_than_tuned_models_are_named(tmp_path: Path) -> None:
    add_reference(tmp_path, [[]] * 3, spec={"model": "tutorial-cnn"})
    add_reference(tmp_path, [range(25)] * 3, spec={"model": "tutorial-linear"})
    both = table(tmp_path, ("cnn", EVEN), ("dense", WORSE))
    _, two, three, _ = summary(both)
    assert two == "It is 20.00 points better than dense, a statistically significant difference."
    assert three == "The reference model tutorial-cnn is significantly better than cnn and dense."
    assert findings(both)[0].endswith(f" {three}")


def test_a_reference_model_that_is_better_than_one_of_two_tuned_models_is_named(tmp_path: Path) -> None:
    add_reference(tmp_path, [range(25)] * 3, spec={"model": "tutorial-linear"})
    *_, three, _ = summary(table(tmp_path, ("cnn", EVEN), ("dense", WORSE)))
    assert three == "The reference model tutorial-linear is significantly better than dense."


def test_a_model_without_errors_has_no_hardest_class(tmp_path: Path) -> None:
    _, _, three = summary(table(tmp_path, ("cnn", [[]] * 3)))
    assert three.startswith("It classifies every test image correctly")


def test_several_searches_of_a_family_are_summarized_by_their_mean(tmp_path: Path) -> None:
    for seed, images in enumerate((range(10), range(20), range(30))):
        add_run(tmp_path, [images] * 3, spec={"family": "cnn", "seed": seed})
    one, two, _ = summary(table(tmp_path))
    assert one.startswith("The best family is cnn: its searches reach 90.00% test accuracy on average (95% CI ")
    assert one.endswith("; 3 searches, 200 test images).")
    assert two == "No other family has 3 searches to compare it with."


def test_the_best_family_has_the_best_mean_even_if_another_has_the_most_accurate_search(tmp_path: Path) -> None:
    for family, counts in (("cnn", (4, 30, 32)), ("dense", (10, 11, 12))):
        for seed, count in enumerate(counts):
            add_run(tmp_path, [range(count)] * 3, spec={"family": family, "seed": seed})
    one, two, _ = summary(table(tmp_path))
    # 33 of 600 images are misclassified on average over the searches of dense, 66 over those of cnn.
    assert one.startswith("The best of the 2 families with several searches is dense: its searches reach 94.50% test ")
    assert "the family cnn" in two


def test_families_table_separates_the_variance_across_searches(tmp_path: Path) -> None:
    for seed, images in enumerate((range(10), range(20), range(30))):
        add_run(tmp_path, [images] * 3, spec={"family": "cnn", "seed": seed})
    (row,) = families_table(table(tmp_path)).to_dict("records")
    assert (row["searches"], row["refits per search"]) == ("3", "3")
    # Accuracies of 95, 90 and 85%: S = 0.05^2 / 3 = 0.000833 and t = 4.303 give 0.01543, z^2 C at most 0.09 / 200 z^2.
    assert 90 <= int(row["variance across searches (% of squared half-width)"]) <= 99
