"""The published tutorials as Keras models: their layers, and equivalent forms."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from bench.baselines.tutorials import TUTORIALS, Tutorial
from bench.data import catalog
from bench.data.development import load_development

pytestmark = pytest.mark.slow

SHAPE = (28, 28, 1)


def test_parameters_are_those_of_the_published_layers() -> None:
    counts = {name: tutorial.build(SHAPE, 10).count_params() for name, tutorial in TUTORIALS.items()}
    # 784 x 10 + 10; 784 x 128 + 128 + 128 x 10 + 10; the same with 256; 320 + 18,496 + 1600 x 128 + 128 + 1290.
    assert counts == {
        "tutorial-linear": 7_850,
        "tutorial-dense-128": 101_770,
        "tutorial-dense-128-logits": 101_770,
        "tutorial-dense-256-dropout": 203_530,
        "tutorial-cnn": 225_034,
    }


# Equivalent forms


def weights(tutorial: Tutorial) -> list[NDArray[np.float32]]:
    """After two epochs on digits, with a fixed seed."""
    digits = load_development(catalog.locate("digits"))
    keras.utils.clear_session()
    keras.utils.set_random_seed(1)
    model = tutorial.build(digits.image_shape, 10)
    labels = np.eye(10, dtype=np.float32)[digits.labels] if tutorial.labels == "one-hot" else digits.labels
    model.fit(digits.images, labels, batch_size=tutorial.batch_size, epochs=2, verbose=0)
    trained: list[NDArray[np.float32]] = model.get_weights()
    return trained


def assert_close(first: list[NDArray[np.float32]], second: list[NDArray[np.float32]]) -> None:
    for one, other in zip(first, second, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_softmax_and_logits_train_alike() -> None:
    softmax, logits = TUTORIALS["tutorial-dense-128"], TUTORIALS["tutorial-dense-128-logits"]
    assert (softmax.output, logits.output) == ("softmax", "logits")
    assert_close(weights(softmax), weights(logits))


def test_integer_and_one_hot_labels_train_alike() -> None:
    assert TUTORIALS["tutorial-cnn"].labels == "one-hot"
    integers = TUTORIALS["tutorial-dense-256-dropout"]
    assert_close(weights(integers), weights(replace(integers, labels="one-hot")))
