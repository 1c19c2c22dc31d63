"""A family with a bug: the loss of some candidates is NaN."""

import keras
from keras import layers
from keras_tuner import HyperParameters

from search_spaces import Family


class SometimesNan(Family):
    """Half of the ten candidates give NaN logits."""

    def architecture(self, hp: HyperParameters, images: keras.KerasTensor) -> keras.KerasTensor:
        """Map images (batch, *input_shape) to features (batch, units)."""
        units = hp.Choice("units", [8, 16])
        scale = float("nan") if units == 16 else 1.0
        return layers.Rescaling(scale)(layers.Dense(units, activation="relu")(layers.Flatten()(images)))
