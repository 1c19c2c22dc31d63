"""Multiply-adds of models: which layers and weights count."""

import keras
import pytest
from keras import layers

from bench.training.size import multiply_adds

pytestmark = pytest.mark.slow


def test_frozen_layers_count_like_others() -> None:
    frozen = layers.Conv2D(2, 3, padding="same", trainable=False)
    model = keras.Sequential([keras.Input((4, 4, 1)), frozen, layers.Flatten(), layers.Dense(3)])
    # 16 positions of a kernel of 3 x 3 x 1 x 2, then 32 x 3.
    assert multiply_adds(model) == 16 * 18 + 96


def test_layer_with_several_outputs_has_the_positions_of_the_first() -> None:
    inputs = keras.Input((5, 4))
    output, *_ = layers.LSTM(2, return_sequences=True, return_state=True)(inputs)
    # Five positions of the kernels of 4 x 8 and 2 x 8.
    assert multiply_adds(keras.Model(inputs, output)) == 5 * (32 + 16)


def test_normalization_is_not_counted() -> None:
    by_pixel = layers.Normalization(axis=(1, 2, 3))  # means of shape (4, 4, 1)
    model = keras.Sequential([keras.Input((4, 4, 1)), by_pixel, layers.Flatten(), layers.Dense(3)])
    assert multiply_adds(model) == 48
