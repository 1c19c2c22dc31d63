"""A family of which every other candidate takes its process down, as a fault in native code does."""

import os

import keras
from keras_tuner import HyperParameters

from search_spaces import Family


class Aborts(Family):
    """One dense layer; `ends` says what becomes of the process that builds it."""

    def architecture(self, hp: HyperParameters, images: keras.KerasTensor) -> keras.KerasTensor:
        """Features of images, or the end."""
        if hp.Choice("ends", ["well", "badly"]) == "badly":
            os.abort()
        return keras.layers.Dense(hp.Choice("units", [4, 8]))(keras.layers.Flatten()(images))
