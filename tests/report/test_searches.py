"""Several searches of a family: rows, labels, and what is said of the family as such."""

from pathlib import Path

import numpy as np

from bench.evaluation.comparison import Difference
from bench.report.dataset_page import section
from bench.report.leaderboard import Table, Verdict, leaderboard
from bench.report.styles import styles
from bench.report.verdicts import family_sentences, sentence
from builders import add_run


def searched(results: Path, **errors: list[int]) -> Table:
    """The table of a search for each number of errors of each family, three refits each."""
    random = np.random.default_rng(0)
    for family, counts in errors.items():
        for seed, count in enumerate(counts):
            wrong = [random.choice(200, count, replace=False).tolist() for _ in range(3)]
            add_run(results, wrong, spec={"family": family, "seed": seed})
    (table,) = leaderboard(results).tables
    return table


def test_searches_that_differ_in_their_seed_are_called_by_it(tmp_path: Path) -> None:
    table = searched(tmp_path, cnn=[10, 11], dense=[40])
    assert {row.label for row in table.rows} == {"cnn-seed0", "cnn-seed1", "dense"}


def test_families_are_compared_over_their_searches(tmp_path: Path) -> None:
    table = searched(tmp_path, cnn=[10, 11, 12], dense=[40, 42, 44])
    assert [(family.name, len(family.searches)) for family in table.families] == [("cnn", 3), ("dense", 3)]
    (sentence,) = family_sentences(table)
    # 11 and 42 of 200 images are wrong.
    assert sentence.startswith("The family cnn beats the family dense by 15.50 points (95 % interval")
    assert sentence.endswith("over 3 and 3 searches).")
    assert "Families" not in section(table, styles(leaderboard(tmp_path))).summary[0]


def test_the_spread_of_searches_makes_a_tie(tmp_path: Path) -> None:
    table = searched(tmp_path, cnn=[10, 30, 50], dense=[20, 42, 64])
    (sentence,) = family_sentences(table)
    assert "cannot be told apart" in sentence


def test_two_searches_are_too_few_to_speak_of_a_family(tmp_path: Path) -> None:
    table = searched(tmp_path, cnn=[10, 11], dense=[40, 42])
    assert (table.families, table.family_verdicts) == ((), ())


def test_a_tie_that_only_the_correction_makes_is_said_to_be_one() -> None:
    apart = Difference(mean=0.01, low=0.001, high=0.019, p_value=0.03)
    text = sentence(Verdict(a="a", b="b", difference=apart, p_holm=0.3), 200)
    assert "cannot be told apart" in text
    assert text.endswith(", which among so many comparisons is no more than chance.")
