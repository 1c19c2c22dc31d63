"""A family with a bug: its space can be declared, but no candidate can be trained."""

import keras
from keras import layers
from keras_tuner import HyperParameters

from search_spaces import Family


class AlwaysRaises(Family):
    """Each of the ten candidates raises RuntimeError when it is trained."""

    def architecture(self, hp: HyperParameters, images: keras.KerasTensor) -> keras.KerasTensor:
        """Map images (batch, *input_shape) to features (batch, units)."""
        units = hp.Choice("units", [8, 16])
        if self.training_steps is not None:
            raise RuntimeError("this family cannot be trained")
        return layers.Dense(units, activation="relu")(layers.Flatten()(images))
