"""A family whose candidates crash their process, as a fault in native code does, hang, or exhaust the memory."""

import os
import time

import keras
import numpy as np
from keras_tuner import HyperParameters

from search_spaces import Family


class Faulty(Family):
    """One dense layer; `ends` decides what happens to the process that builds it."""

    def architecture(self, hp: HyperParameters, images: keras.KerasTensor) -> keras.KerasTensor:
        """Map images (batch, *input_shape) to features (batch, 4), unless the process ends before."""
        ends = hp.Choice("ends", ["well", "aborts", "hangs", "allocates"])
        if ends == "aborts":
            os.abort()
        if ends == "hangs":
            time.sleep(3600)
        hoard = []
        while ends == "allocates":
            hoard.append(np.ones(2**25))  # 256 MiB, each byte of it touched
        return keras.layers.Dense(4)(keras.layers.Flatten()(images))
