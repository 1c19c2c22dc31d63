"""A family of which every other candidate takes more memory than there is for a worker."""

import keras
import numpy as np
from keras_tuner import HyperParameters

from search_spaces import Family


class Allocates(Family):
    """One dense layer; `ends` says what becomes of the process that builds it."""

    def architecture(self, hp: HyperParameters, images: keras.KerasTensor) -> keras.KerasTensor:
        """Features of images, or the end."""
        if hp.Choice("ends", ["well", "badly"]) == "badly":
            hoard = []
            while True:
                hoard.append(np.ones(2**25))  # 256 MiB, each byte of it touched
        return keras.layers.Dense(hp.Choice("units", [4, 8]))(keras.layers.Flatten()(images))
