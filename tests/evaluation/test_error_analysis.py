"""Errors compared between models, on a handful of images."""

import numpy as np

from bench.evaluation.error_analysis import ErrorChange, SharedError, error_changes, shared_errors

LABELS = np.array([0, 0, 1, 1, 2])


def test_shared_errors_are_images_that_every_refit_misclassifies() -> None:
    a = np.array([[1, 0, 1, 2, 0], [1, 1, 1, 2, 1]])
    b = np.array([[1, 0, 1, 2, 0]])
    # Image 0: all predict 1. Image 3: all predict 2. Image 4: two of three predict 0. Images 1, 2: some are correct.
    assert shared_errors([a, b], LABELS) == (
        SharedError(index=0, true=0, most_common_prediction=1, agreement=1.0),
        SharedError(index=3, true=1, most_common_prediction=2, agreement=1.0),
        SharedError(index=4, true=2, most_common_prediction=0, agreement=2 / 3),
    )


def test_error_changes_count_fixed_errors_and_regressions_by_pair_of_classes() -> None:
    baseline = np.array([[1, 1, 1, 1, 2]] * 3)  # predicts both images of class 0 as 1
    improved = np.array([[0, 0, 2, 1, 2]] * 3)  # fixes both, and predicts an image of class 1 as 2
    assert error_changes(baseline, improved, LABELS) == (
        ErrorChange(true=0, predicted=1, fixed=2, regressed=0),
        ErrorChange(true=1, predicted=2, fixed=0, regressed=1),
    )


def test_error_changes_use_the_majority_prediction_of_the_refits() -> None:
    baseline = np.array([[1, 0, 1, 1, 2], [1, 0, 1, 1, 2], [0, 0, 1, 1, 2]])
    improved = np.array([[0, 0, 1, 1, 2], [1, 0, 1, 1, 2], [0, 0, 1, 1, 2]])
    assert error_changes(baseline, improved, LABELS) == (ErrorChange(true=0, predicted=1, fixed=1, regressed=0),)


def test_equal_models_have_no_error_changes() -> None:
    predicted = np.array([[1, 0, 1, 1, 2]])
    assert error_changes(predicted, predicted, LABELS) == ()
