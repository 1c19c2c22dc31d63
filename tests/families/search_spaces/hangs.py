"""A family half of whose candidates hang."""

import time

import keras
from keras_tuner import HyperParameters

from search_spaces import Family


class Hangs(Family):
    """One dense layer; `ends` decides whether it can be built."""

    def architecture(self, hp: HyperParameters, images: keras.KerasTensor) -> keras.KerasTensor:
        """Map images (batch, *input_shape) to features (batch, units), or hang."""
        if hp.Choice("ends", ["well", "badly"]) == "badly":
            time.sleep(3600)
        return keras.layers.Dense(hp.Choice("units", [4, 8]))(keras.layers.Flatten()(images))
