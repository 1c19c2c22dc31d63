"""Metrics on arrays small enough to check by hand."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as sk

from bench.errors import MetricError
from bench.evaluation.scores import (
    ConfusedPair,
    Scores,
    class_report,
    confused_pairs,
    confusion,
    log_loss,
    misclassifications,
    probabilities,
    score,
)
from bench.records.predictions import Predictions
from builders import NAMES, make_predictions

LABELS = np.array([0, 0, 1, 1])
# Seed 0 predicts 0 0 1 0 (3 of 4 correct), seed 1 predicts 1 1 1 1 (2 of 4 correct).
PREDICTED = np.array([[0, 0, 1, 0], [1, 1, 1, 1]])


def test_probabilities_sum_to_one_after_float16() -> None:
    rounded = np.log(np.array([[[0.9, 0.1], [1 - 1e-4, 1e-4]]])).astype(np.float16)
    result = probabilities(rounded)
    assert result.dtype == np.float64
    np.testing.assert_allclose(result.sum(axis=-1), 1.0, atol=1e-15)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_non_finite_log_probabilities_are_rejected(value: float) -> None:
    with pytest.raises(MetricError, match="non-finite"):
        probabilities(np.array([[[value, 0.0]]], dtype=np.float16))


def test_log_loss_is_the_mean_negative_log_probability_of_the_true_class() -> None:
    probability = np.array([[[0.5, 0.5], [0.25, 0.75]]])
    # -(ln 0.5 + ln 0.75) / 2 = (0.693147 + 0.287682) / 2
    np.testing.assert_allclose(log_loss(probability, np.array([0, 1])), [0.490415], atol=1e-6)


def test_log_loss_preserves_a_confident_error() -> None:
    # The logarithm of 1e-9 is -20.72; float16 probabilities would give 3.5.
    stored = np.log(np.array([[[1 - 1e-9, 1e-9]]])).astype(np.float16)
    np.testing.assert_allclose(log_loss(probabilities(stored), np.array([1])), [20.72], atol=0.02)


def test_class_report_is_the_mean_over_seeds() -> None:
    report = class_report(confusion(PREDICTED, LABELS, 2), ["a", "b"])
    # Class a: precision 2/3 and 0 (never predicted), recall 1 and 0, F1 0.8 and 0.
    # Class b: precision 1 and 1/2, recall 1/2 and 1, F1 2/3 and 2/3.
    np.testing.assert_allclose(report.precision[:2], [1 / 3, 0.75])
    np.testing.assert_allclose(report.recall[:2], [0.5, 0.75])
    np.testing.assert_allclose(report.f1[:2], [0.4, 2 / 3])
    assert report.support.tolist() == [2, 2, 4, 4]


def test_macro_average_weights_classes_equally_and_weighted_average_by_support() -> None:
    # Labels a a a b, all predicted as a: F1 of a 6/7, of b 0. Macro 3/7, weighted 3/4 x 6/7 = 9/14.
    report = class_report(np.array([[[3, 0], [1, 0]]]), ["a", "b"])
    assert report.names == ("a", "b", "macro average", "weighted average")
    np.testing.assert_allclose(report.f1, [6 / 7, 0, 3 / 7, 9 / 14])


def test_scores_equal_those_of_scikit_learn() -> None:
    random = np.random.default_rng(1)
    labels, classes = random.integers(0, 11, 500), [f"class {number}" for number in range(12)]  # one of them is absent
    logits = random.normal(size=(3, 500, 12)) + 2 * np.eye(12)[labels]
    probability = probabilities(logits.astype(np.float16))
    predicted = probability.argmax(axis=-1)
    result = class_report(confusion(predicted, labels, 12), classes)
    expected = [
        sk.classification_report(
            labels, each, labels=range(12), target_names=classes, output_dict=True, zero_division=0.0
        )
        for each in predicted
    ]
    for number, name in enumerate([*classes, "macro avg", "weighted avg"]):
        for ours, theirs in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
            assert getattr(result, ours)[number] == pytest.approx(np.mean([each[name][theirs] for each in expected]))
        assert result.support[number] == expected[0][name]["support"]
    by_seed = [sk.log_loss(labels, each, labels=range(12)) for each in probability]
    np.testing.assert_allclose(log_loss(probability, labels), by_seed)


def test_log_loss_of_probability_zero_is_finite() -> None:
    impossible = np.array([[[1.0, 0.0]]])
    # scikit-learn clips at the distance from 1 to the next larger float64, 2^-52.
    np.testing.assert_allclose(log_loss(impossible, np.array([1])), 52 * np.log(2))
    np.testing.assert_allclose(log_loss(impossible, np.array([1])), sk.log_loss([1], impossible[0], labels=[0, 1]))


def test_confusion_has_a_matrix_per_seed() -> None:
    # Row a: seed 0 predicts a a, seed 1 b b. Row b: seed 0 predicts b a, seed 1 b b.
    assert confusion(PREDICTED, LABELS, 2).tolist() == [[[2, 0], [1, 1]], [[0, 2], [0, 2]]]


def test_confused_pairs_count_both_directions() -> None:
    result = confused_pairs(np.array([[9, 1, 0], [4, 5, 0], [0, 5, 5]]), ["a", "b", "c"], top=5)
    # Ten errors: five between b and c (all c predicted as b), five between a and b (four b as a, one a as b).
    assert result == (
        ConfusedPair(a="b", b="a", a_as_b=4, b_as_a=1, share=0.5),
        ConfusedPair(a="c", b="b", a_as_b=5, b_as_a=0, share=0.5),
    )
    assert [pair.a_as_b + pair.b_as_a for pair in result] == [5, 5]


def test_confused_pairs_are_limited_to_top() -> None:
    assert len(confused_pairs(np.ones((4, 4), dtype=np.int64), NAMES, top=2)) == 2


def test_model_without_errors_has_no_confused_pairs() -> None:
    assert confused_pairs(np.eye(4, dtype=np.int64), NAMES, top=5) == ()


def test_confusion_matrix_of_another_size_is_rejected() -> None:
    with pytest.raises(MetricError, match=r"\(4, 4\)"):
        confused_pairs(np.eye(3, dtype=np.int64), NAMES, top=5)


def test_misclassification_has_the_mean_probability_over_seeds() -> None:
    probability = np.array([[[0.9, 0.1], [0.5, 0.5]], [[0.6, 0.4], [0.5, 0.5]]])
    (result,) = misclassifications(probability, np.array([1, 0]), np.array([0]))
    assert (result.index, result.true, result.predicted, result.wrong_seeds) == (0, 1, 0, 2)
    assert result.probability == pytest.approx(0.75)


def score_all(predictions: Predictions, names: Sequence[str] = NAMES) -> Scores:
    return score(predictions, probabilities(predictions.log_probabilities), names)


def test_score_computes_all_metrics() -> None:
    # 200 images; seed 0 wrong at 0 and 1, seed 1 at 1 only: accuracy (0.990 + 0.995) / 2.
    result = score_all(make_predictions([[0, 1], [1]]))
    assert result.accuracy == pytest.approx(0.9925)
    assert result.confusion.sum() == 400
    assert [each.index for each in result.misclassifications] == [1]
    # The true class has probability 0.7 if correct, 0.1 if wrong: (397 ln 0.7 + 3 ln 0.1) / -400.
    assert result.log_loss == pytest.approx(0.371264, abs=1e-3)


def test_wrong_number_of_class_names_is_rejected() -> None:
    with pytest.raises(MetricError, match="3 classes"):
        score_all(make_predictions(), NAMES[:3])


def test_labels_out_of_range_are_rejected() -> None:
    predictions = make_predictions()
    with pytest.raises(MetricError, match="0 to 3"):
        score_all(replace(predictions, labels=predictions.labels + 1))
