"""The three sentences on top of a page, for each kind of result that they must not lie about."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.records.record import Reference
from bench.report.leaderboard import Table, leaderboard
from bench.report.summary import summary
from builders import add_run, make_failed_trial, make_trial

EVEN = [list(range(20)), list(range(1, 21)), list(range(2, 22))]  # of 200 images, a little different for each seed
WORSE = [list(range(60)), list(range(1, 61)), list(range(2, 62))]


def table(results: Path, *wrong: tuple[str, Sequence[Sequence[int]]], **changes: Any) -> Table:
    """The table of one run for each family with the images that each of its seeds gets wrong."""
    for family, images in wrong:
        add_run(results, images, spec={"family": family, "seeds": len(images)}, **changes)
    (found,) = leaderboard(results).tables
    return found


def test_the_best_is_better_than_the_next(tmp_path: Path) -> None:
    one, two, three = summary(table(tmp_path, ("cnn", EVEN), ("dense", WORSE)))
    assert one.startswith(
        "Here the best cnn that a search found names 90.00 % of 200 test images rightly, which may as well be "
    )
    assert one.endswith("(mean of 3 trainings).")
    assert two == "It is 20.00 points better than dense, which is more than chance can explain."
    assert three.startswith("It has most trouble with ")


def test_a_tie_is_no_victory(tmp_path: Path) -> None:
    other = [list(range(100, 121)), list(range(101, 122)), list(range(102, 123))]
    _, two, _ = summary(table(tmp_path, ("cnn", EVEN), ("dense", other)))
    assert two.startswith("It cannot be told from dense: they are 0.50 points apart")
    assert "better than" not in two


def test_one_model_alone_beats_nobody(tmp_path: Path) -> None:
    _, two, _ = summary(table(tmp_path, ("cnn", EVEN)))
    assert two == "No other model was searched here, so there is nothing to compare it with yet."


def test_a_single_training_may_be_luck(tmp_path: Path) -> None:
    one, two, _ = summary(table(tmp_path, ("cnn", EVEN[:1]), ("dense", WORSE[:1])))
    assert "trained only once" in one
    assert "may as well" not in one
    assert two == "Whether it is better than dense is not known, since one of them or both were trained only once."


def test_failed_trials_are_told_of(tmp_path: Path) -> None:
    trials = (make_trial(0, 0.8), make_trial(1, 0.9), make_failed_trial(2, "no"), make_failed_trial(3, "no"))
    _, _, three = summary(table(tmp_path, ("cnn", EVEN), trials=trials))
    assert three.endswith("; 2 of the 4 trials of its search failed and could not win.")


def test_what_was_given_and_is_better_all_the_same_is_told_of(tmp_path: Path) -> None:
    reference = Reference(kind="tutorial", recipe="as published", deterministic=False, published=None)
    given: Any = {"winner": None, "trials": (), "space": (), "reference": reference}
    add_run(tmp_path, [[]] * 3, spec={"family": "tutorial-cnn", "tuner": "fixed"}, **given)
    _, two, _ = summary(table(tmp_path, ("cnn", EVEN), ("dense", WORSE)))
    assert two == "It is 10.00 points worse than tutorial-cnn, which is more than chance can explain."


def test_a_model_without_a_mistake_has_no_trouble(tmp_path: Path) -> None:
    _, _, three = summary(table(tmp_path, ("cnn", [[]] * 3)))
    assert three.startswith("It made no mistake on these images")


def test_of_many_searches_the_mean_is_told_and_not_the_luckiest(tmp_path: Path) -> None:
    for seed, images in enumerate((range(10), range(20), range(30))):
        add_run(tmp_path, [images] * 3, spec={"family": "cnn", "seed": seed})
    one, two, _ = summary(table(tmp_path))
    assert one.startswith("Here what a search of cnn finds names 90.00 % of 200 test images rightly, which may as well")
    assert one.endswith("(mean of 3 searches).")
    assert two == "No other family was searched 3 times, so there is none to compare it with yet."
