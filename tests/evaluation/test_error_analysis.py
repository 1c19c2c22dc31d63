"""What several models get wrong, on a handful of images."""

import numpy as np

from bench.evaluation.error_analysis import ErrorChange, SharedError, error_changes, shared_errors

LABELS = np.array([0, 0, 1, 1, 2])


def test_missed_by_all_are_the_images_that_nobody_gets_right() -> None:
    one = np.array([[1, 0, 1, 2, 0], [1, 1, 1, 2, 1]])
    other = np.array([[1, 0, 1, 2, 0]])
    # Image 0: all say 1. Image 3: all say 2. Image 4: two of three say 0. Images 1 and 2 somebody gets right.
    assert shared_errors([one, other], LABELS) == (
        SharedError(index=0, true=0, most_common_prediction=1, agreement=1.0),
        SharedError(index=3, true=1, most_common_prediction=2, agreement=1.0),
        SharedError(index=4, true=2, most_common_prediction=0, agreement=2 / 3),
    )


def test_mended_counts_by_what_was_said_and_what_is_new() -> None:
    worse = np.array([[1, 1, 1, 1, 2]] * 3)  # takes both 0 for 1
    better = np.array([[0, 0, 2, 1, 2]] * 3)  # mends both, and takes one 1 for 2
    assert error_changes(worse, better, LABELS) == (
        ErrorChange(true=0, predicted=1, fixed=2, regressed=0),
        ErrorChange(true=1, predicted=2, fixed=0, regressed=1),
    )


def test_most_trainings_decide_what_a_model_says() -> None:
    worse = np.array([[1, 0, 1, 1, 2], [1, 0, 1, 1, 2], [0, 0, 1, 1, 2]])
    better = np.array([[0, 0, 1, 1, 2], [1, 0, 1, 1, 2], [0, 0, 1, 1, 2]])
    assert error_changes(worse, better, LABELS) == (ErrorChange(true=0, predicted=1, fixed=1, regressed=0),)


def test_equal_models_mend_nothing() -> None:
    said = np.array([[1, 0, 1, 1, 2]])
    assert error_changes(said, said, LABELS) == ()
