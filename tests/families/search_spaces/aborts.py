"""A family half of whose candidates crash their process, as a fault in native code does."""

import os

import keras
from keras_tuner import HyperParameters

from search_spaces import Family


class Aborts(Family):
    """One dense layer; `ends` decides what happens to the process that builds it."""

    def architecture(self, hp: HyperParameters, images: keras.KerasTensor) -> keras.KerasTensor:
        """Map images (batch, *input_shape) to features (batch, units), or end the process."""
        if hp.Choice("ends", ["well", "badly"]) == "badly":
            os.abort()
        return keras.layers.Dense(hp.Choice("units", [4, 8]))(keras.layers.Flatten()(images))
