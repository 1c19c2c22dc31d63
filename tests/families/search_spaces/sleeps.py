"""A family whose training sleeps, so that trials overlap on any number of cores."""

import os
import time
import uuid
from pathlib import Path

import keras
from keras import layers
from keras_tuner import HyperParameters

from search_spaces import Family

WAIT_SECONDS = 90  # for other trials; if they run one after another, the first waits this long
SLEEP_SECONDS = 1


class Sleeps(Family):
    """One narrow dense layer; 64 widths times the five learning rates of the recipe."""

    def architecture(self, hp: HyperParameters, images: keras.KerasTensor) -> keras.KerasTensor:
        """Map images (batch, *input_shape) to features (batch, units)."""
        if self.training_steps is not None:  # not when the space is declared
            _sleep()
        return layers.Dense(hp.Int("units", 1, 64), activation="relu")(layers.Flatten()(images))


def _sleep() -> None:
    """Wait until $SLEEPERS trainings have started in the folder $SLEEPERS_FOLDER, then sleep.

    Workers import TensorFlow at different speeds; without the wait, the first ones could end before the last ones
    start.
    """
    folder, sleepers = Path(os.environ["SLEEPERS_FOLDER"]), int(os.environ["SLEEPERS"])
    (folder / uuid.uuid4().hex).touch()
    until = time.monotonic() + WAIT_SECONDS
    while len(list(folder.iterdir())) < sleepers and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(SLEEP_SECONDS)
