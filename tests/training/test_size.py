"""Multiply-adds of models as users write them; those of families are tested with their spaces."""

import keras
import pytest
from keras import layers

from bench.training.size import multiply_adds

pytestmark = pytest.mark.slow


def test_layer_that_also_returns_its_state_counts_at_the_positions_of_its_first_output() -> None:
    inputs = keras.Input((5, 3))
    outputs, *_ = layers.LSTM(4, return_sequences=True, return_state=True)(inputs)
    model = keras.Model(inputs, layers.Dense(10)(layers.Flatten()(outputs)))
    # Kernels of 3 x 16 and 4 x 16 at 5 positions, then 20 x 10.
    assert multiply_adds(model) == 5 * (48 + 64) + 200
