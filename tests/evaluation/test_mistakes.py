"""What several models get wrong, on a handful of images."""

import numpy as np

from bench.evaluation.mistakes import ErrorChange, SharedError, mended, shared_errors

LABELS = np.array([0, 0, 1, 1, 2])


def test_missed_by_all_are_the_images_that_nobody_gets_right() -> None:
    one = np.array([[1, 0, 1, 2, 0], [1, 1, 1, 2, 1]])
    other = np.array([[1, 0, 1, 2, 0]])
    # Image 0: all say 1. Image 3: all say 2. Image 4: two of three say 0. Images 1 and 2 somebody gets right.
    assert shared_errors([one, other], LABELS) == (
        SharedError(index=0, true=0, answer=1, agreement=1.0),
        SharedError(index=3, true=1, answer=2, agreement=1.0),
        SharedError(index=4, true=2, answer=0, agreement=2 / 3),
    )


def test_mended_counts_by_what_was_said_and_what_is_new() -> None:
    worse = np.array([[1, 1, 1, 1, 2]] * 3)  # takes both 0 for 1
    better = np.array([[0, 0, 2, 1, 2]] * 3)  # mends both, and takes one 1 for 2
    assert mended(worse, better, LABELS) == (
        ErrorChange(true=0, taken_for=1, mended=2, broken=0),
        ErrorChange(true=1, taken_for=2, mended=0, broken=1),
    )


def test_most_trainings_decide_what_a_model_says() -> None:
    worse = np.array([[1, 0, 1, 1, 2], [1, 0, 1, 1, 2], [0, 0, 1, 1, 2]])
    better = np.array([[0, 0, 1, 1, 2], [1, 0, 1, 1, 2], [0, 0, 1, 1, 2]])
    assert mended(worse, better, LABELS) == (ErrorChange(true=0, taken_for=1, mended=1, broken=0),)


def test_equal_models_mend_nothing() -> None:
    said = np.array([[1, 0, 1, 1, 2]])
    assert mended(said, said, LABELS) == ()
