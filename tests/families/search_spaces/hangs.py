"""A family of which every other candidate hangs."""

import time

import keras
from keras_tuner import HyperParameters

from search_spaces import Family


class Hangs(Family):
    """One dense layer; `ends` says what becomes of building it."""

    def architecture(self, hp: HyperParameters, images: keras.KerasTensor) -> keras.KerasTensor:
        """Features of images, or nothing, ever."""
        if hp.Choice("ends", ["well", "badly"]) == "badly":
            time.sleep(3600)
        return keras.layers.Dense(hp.Choice("units", [4, 8]))(keras.layers.Flatten()(images))
