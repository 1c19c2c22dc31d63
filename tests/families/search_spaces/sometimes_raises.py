"""A family with a bug: some candidates cannot be built."""

import keras
from keras import layers
from keras_tuner import HyperParameters

from search_spaces import Family


class SometimesRaises(Family):
    """Half of the ten candidates raise ValueError."""

    def architecture(self, hp: HyperParameters, images: keras.KerasTensor) -> keras.KerasTensor:
        """Map images (batch, *input_shape) to features (batch, units)."""
        units = hp.Choice("units", [8, 16])
        if units == 16:
            raise ValueError("this family cannot have 16 units")
        return layers.Dense(units, activation="relu")(layers.Flatten()(images))
