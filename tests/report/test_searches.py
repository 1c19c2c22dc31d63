"""Several searches of a family: rows, labels, and comparisons of families."""

from pathlib import Path

import numpy as np

from bench.evaluation.comparison import Difference
from bench.records.spec import Budget
from bench.report.board import PairTest, Table
from bench.report.ranking import leaderboard
from bench.report.text.findings import findings
from bench.report.text.signature import signature_text
from bench.report.text.statements import family_sentences, pair_sentence
from builders import add_run, page


def table_of(results: Path, **errors: list[int]) -> Table:
    """A table with one search for each number of errors of each family, three refits each."""
    random = np.random.default_rng(0)
    for family, counts in errors.items():
        for seed, count in enumerate(counts):
            wrong = [random.choice(200, count, replace=False).tolist() for _ in range(3)]
            add_run(results, wrong, spec={"family": family, "seed": seed, "split": seed})
    (table,) = leaderboard(results).tables
    return table


def test_searches_that_differ_in_their_seed_only_are_labeled_with_it(tmp_path: Path) -> None:
    table = table_of(tmp_path, cnn=[10, 11], dense=[40])
    assert {row.label for row in table.rows} == {"cnn-seed0", "cnn-seed1", "dense"}


def test_families_are_compared_over_their_searches(tmp_path: Path) -> None:
    table = table_of(tmp_path, cnn=[10, 11, 12], dense=[40, 42, 44])
    assert [(family.name, len(family.searches)) for family in table.families] == [("cnn", 3), ("dense", 3)]
    (sentence,) = family_sentences(table)
    # 11 and 42 of 200 images are wrong.
    assert sentence.startswith("Family cnn, as tuned here, is 15.50 points better than family dense (95% CI")
    assert "; 3 searches each with 3 refits; 200 test images, paired; p < 0.001; the variance " in sentence
    assert sentence.endswith(" degrees of freedom).")
    # On the leaderboard, it also says what the interval is based on.
    finding = findings(table)[0]
    assert finding.startswith(sentence)
    assert "The interval covers splits, searches" in finding


def test_searches_on_one_split_are_not_said_to_cover_splits(tmp_path: Path) -> None:
    # As by three commands with --seed 0, 1 and 2 instead of one with --searches 3.
    for family, count in (("cnn", 10), ("dense", 40)):
        for seed in range(3):
            add_run(tmp_path, [range(count + seed)] * 3, spec={"family": family, "seed": seed, "split": 0})
    (table,) = leaderboard(tmp_path).tables
    assert [family.splits for family in table.families] == [1, 1]
    assert "The interval covers searches, refits and test images, but not other splits" in findings(table)[0]
    text = page(tmp_path, "synthetic/README.md")
    assert "searches that differ only in their seeds, each" in text
    assert "includes refits but not splits, since searches of a family share one, and for the finite test set" in text


def test_number_of_comparisons_of_families_is_stated(tmp_path: Path) -> None:
    table = table_of(tmp_path, cnn=[10, 11, 12], dense=[40, 42, 44], linear=[60, 61, 62])
    assert all(" after Holm's correction for 3 pairs of families; " in each for each in family_sentences(table))


def test_variance_across_searches_makes_a_difference_not_significant(tmp_path: Path) -> None:
    table = table_of(tmp_path, cnn=[10, 30, 50], dense=[20, 42, 64])
    (sentence,) = family_sentences(table)
    assert "not significantly different" in sentence


def test_two_searches_are_too_few_for_a_family(tmp_path: Path) -> None:
    table = table_of(tmp_path, cnn=[10, 11], dense=[40, 42])
    assert (table.families, table.family_tests) == ((), ())


def test_a_difference_that_only_the_correction_makes_insignificant_is_marked() -> None:
    difference = Difference(mean=0.01, low=0.001, high=0.019, p_value=0.03, degrees_of_freedom=4.0)
    text = pair_sentence(PairTest(a="a", b="b", difference=difference, p_adjusted=0.3), 200)
    assert text.startswith("a and b are not significantly different after Holm's correction: a minus b is +1.00 points")


def test_searches_with_other_limits_have_other_signatures(tmp_path: Path) -> None:
    limited = Budget(trials=4, epochs=3, multiply_adds=1_300_000)
    records = [add_run(tmp_path, spec=spec) for spec in ({}, {"budget": limited}, {"max_pending": 2})]
    signatures = [signature_text(record) for record in records]
    assert len(set(signatures)) == 3
    assert " max-multiply-adds=1300000 " in signatures[1]
