"""A family half of whose candidates need more memory than a worker has."""

import keras
import numpy as np
from keras_tuner import HyperParameters

from search_spaces import Family


class Allocates(Family):
    """One dense layer; `ends` decides what happens to the process that builds it."""

    def architecture(self, hp: HyperParameters, images: keras.KerasTensor) -> keras.KerasTensor:
        """Map images (batch, *input_shape) to features (batch, units), or end the process."""
        if hp.Choice("ends", ["well", "badly"]) == "badly":
            hoard = []
            while True:
                hoard.append(np.ones(2**25))  # 256 MiB, each byte of it touched
        return keras.layers.Dense(hp.Choice("units", [4, 8]))(keras.layers.Flatten()(images))
