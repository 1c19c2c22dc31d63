"""One narrow dense layer: ten candidates that train in milliseconds."""

import keras
from keras import layers
from keras_tuner import HyperParameters

from search_spaces import Family


class Tiny(Family):
    """A family that works; two widths times the five learning rates of the recipe."""

    def architecture(self, hp: HyperParameters, images: keras.KerasTensor) -> keras.KerasTensor:
        """Map images (batch, *input_shape) to features (batch, units)."""
        units = hp.Choice("units", [8, 16])
        return layers.Dense(units, activation="relu")(layers.Flatten()(images))
