"""Metrics on arrays small enough to check by hand."""

from dataclasses import replace

import numpy as np
import pytest

from bench.errors import MetricError
from bench.evaluation.metrics import class_report, confused_pairs, confusion, log_loss, mistakes, probabilities, score
from builders import NAMES, make_predictions

LABELS = np.array([0, 0, 1, 1])
# Seed 0 says 0 0 1 0 (3 of 4 right), seed 1 says 1 1 1 1 (2 of 4 right).
PREDICTED = np.array([[0, 0, 1, 0], [1, 1, 1, 1]])


def test_probabilities_sum_to_one_after_float16() -> None:
    rounded = np.log(np.array([[[0.9, 0.1], [1 - 1e-4, 1e-4]]])).astype(np.float16)
    found = probabilities(rounded)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found.sum(axis=-1), 1.0, atol=1e-15)


def test_probabilities_refuse_what_is_not_a_number() -> None:
    with pytest.raises(MetricError, match="not numbers"):
        probabilities(np.array([[[np.nan, 0.0]]], dtype=np.float16))


def test_log_loss_is_the_mean_negative_logarithm_of_the_true_class() -> None:
    probability = np.array([[[0.5, 0.5], [0.25, 0.75]]])
    # -(ln 0.5 + ln 0.75) / 2 = (0.693147 + 0.287682) / 2
    np.testing.assert_allclose(log_loss(probability, np.array([0, 1])), [0.490415], atol=1e-6)


def test_log_loss_keeps_a_confident_mistake() -> None:
    # float16 probabilities would make 3.5 of it; the logarithm of 1e-9 is -20.72.
    stored = np.log(np.array([[[1 - 1e-9, 1e-9]]])).astype(np.float16)
    np.testing.assert_allclose(log_loss(probabilities(stored), np.array([1])), [20.72], atol=0.02)


def test_class_report_is_the_mean_over_seeds() -> None:
    report = class_report(PREDICTED, LABELS, ["a", "b"])
    # Class a: precision 2/3 and 0 (never said), recall 1 and 0, F1 0.8 and 0.
    # Class b: precision 1 and 1/2, recall 1/2 and 1, F1 2/3 and 2/3.
    np.testing.assert_allclose(report.loc["a", ["precision", "recall", "f1"]].astype(float), [1 / 3, 0.5, 0.4])
    np.testing.assert_allclose(report.loc["b", ["precision", "recall", "f1"]].astype(float), [0.75, 0.75, 2 / 3])
    assert list(report["support"]) == [2, 2, 4, 4]


def test_macro_average_counts_classes_and_weighted_average_counts_images() -> None:
    # Labels a a a b, all called a: F1 of a 6/7, of b 0. Macro 3/7, weighted 3/4 x 6/7 = 9/14.
    report = class_report(np.zeros((1, 4), dtype=np.int64), np.array([0, 0, 0, 1]), ["a", "b"])
    assert report.loc["macro average", "f1"] == pytest.approx(3 / 7)
    assert report.loc["weighted average", "f1"] == pytest.approx(9 / 14)


def test_confusion_sums_over_seeds() -> None:
    # Row a: seed 0 says a a, seed 1 says b b. Row b: seed 0 says b a, seed 1 says b b.
    assert confusion(PREDICTED, LABELS, 2).tolist() == [[2, 2], [1, 3]]


def test_confused_pairs_count_both_directions_and_share_all_errors() -> None:
    found = confused_pairs(np.array([[9, 1, 0], [4, 5, 0], [0, 5, 5]]), ["a", "b", "c"], top=5)
    # Ten errors: five between b and c (all c called b), five between a and b (four b called a, one a called b).
    assert found.to_dict("records") == [
        {"a": "b", "b": "a", "a_as_b": 4, "b_as_a": 1, "errors": 5, "share": 0.5},
        {"a": "c", "b": "b", "a_as_b": 5, "b_as_a": 0, "errors": 5, "share": 0.5},
    ]


def test_confused_pairs_are_cut_at_top() -> None:
    assert len(confused_pairs(np.ones((4, 4), dtype=np.int64), NAMES, top=2)) == 2


def test_confused_pairs_of_a_faultless_model_are_none() -> None:
    assert confused_pairs(np.eye(4, dtype=np.int64), NAMES, top=5).empty


def test_confused_pairs_refuse_a_matrix_of_another_size() -> None:
    with pytest.raises(MetricError, match=r"\(4, 4\)"):
        confused_pairs(np.eye(3, dtype=np.int64), NAMES, top=5)


def test_a_mistake_is_described_by_the_mean_over_seeds() -> None:
    probability = np.array([[[0.9, 0.1], [0.5, 0.5]], [[0.6, 0.4], [0.5, 0.5]]])
    (found,) = mistakes(probability, np.array([1, 0]), np.array([0]))
    assert (found.index, found.true, found.predicted, found.wrong_seeds) == (0, 1, 0, 2)
    assert found.probability == pytest.approx(0.75)


def test_score_gathers_all_of_them() -> None:
    # 200 images; seed 0 wrong at 0 and 1, seed 1 at 1 only: accuracy (0.990 + 0.995) / 2.
    found = score(make_predictions([[0, 1], [1]]), NAMES)
    assert found.accuracy == pytest.approx(0.9925)
    assert found.confusion.sum() == 400
    assert [mistake.index for mistake in found.mistakes] == [1]
    # Right with probability 0.7, wrong with 0.1 for the true class: (397 ln 0.7 + 3 ln 0.1) / -400.
    assert found.log_loss == pytest.approx(0.371264, abs=1e-3)


def test_score_refuses_class_names_that_do_not_fit() -> None:
    with pytest.raises(MetricError, match="3 classes"):
        score(make_predictions(), NAMES[:3])


def test_score_refuses_labels_out_of_range() -> None:
    predictions = make_predictions()
    with pytest.raises(MetricError, match="0 to 3"):
        score(replace(predictions, labels=predictions.labels + 1), NAMES)
