"""The progress of a search: best score by epochs and seconds."""

import re
from pathlib import Path

import numpy as np
import pytest

from bench.report.ranking import leaderboard
from bench.report.tables.search import SearchProgress, crossover_sentences, search_progress
from builders import add_reference, add_run, make_failed_trial, make_trial


def progress_of_best(results: Path) -> SearchProgress:
    (table,) = leaderboard(results).tables
    progress = search_progress(table.rows[0])
    assert progress is not None
    return progress


def test_progress_counts_the_epochs_of_all_trials_and_scores_full_length_ones(tmp_path: Path) -> None:
    trials = (
        make_trial(0, 0.95, epochs=1),  # the best, but not full-length
        make_trial(1, 0.91),
        make_failed_trial(2, "no"),
        make_trial(3, 0.85),
        make_trial(4, 0.93, initial_epoch=1, parent="0000"),
    )
    add_run(tmp_path, spec={"tuner": "hyperband"}, search={"trials": trials})
    progress = progress_of_best(tmp_path)
    assert list(progress.epochs) == [4, 7, 9]
    assert list(progress.seconds) == [24.0, 48.0, 60.0]
    assert list(progress.best) == [0.91, 0.91, 0.93]


def test_progress_of_a_random_search_is_its_expectation(tmp_path: Path) -> None:
    trials = tuple(make_trial(number, score) for number, score in enumerate((0.9, 0.91, 0.5)))
    add_run(tmp_path, search={"trials": trials})
    # The mean; then the mean of the best of each pair; then the best.
    assert progress_of_best(tmp_path).best == pytest.approx((0.77, (0.91 + 0.91 + 0.9) / 3, 0.91))


def test_number_of_trials_from_which_another_search_is_better_is_stated(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for family, mean, deviation in (("cnn", 0.8, 0.01), ("dense", 0.6, 0.1)):
        scores = np.clip(mean + deviation * random.standard_normal(200), 0, 1)
        trials = tuple(make_trial(number, round(float(score), 4)) for number, score in enumerate(scores))
        add_run(tmp_path, spec={"family": family}, search={"trials": trials})
    (sentence,) = crossover_sentences(leaderboard(tmp_path).tables[0].rows)
    assert re.fullmatch(
        r"From \d+ random trials on \(95% CI \d+ to \d+\) the expected best validation accuracy of dense is higher "
        r"than that of cnn; just before that it is lower\.",
        sentence,
    )


def test_a_reference_model_has_no_progress(tmp_path: Path) -> None:
    add_reference(tmp_path)
    (table,) = leaderboard(tmp_path).tables
    assert search_progress(table.references[0]) is None
