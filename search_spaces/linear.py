"""One linear layer on the pixels: multinomial logistic regression, trained with the recipe of all families."""

import keras
from keras import layers
from keras_tuner import HyperParameters

from search_spaces import Family
from search_spaces._recipe import NORMALIZATION_MOMENTUM


class Linear(Family):
    """Logits are linear in the pixels.

    Hyperparameters: dropout of pixels, batch normalization of pixels.
    """

    def architecture(self, hp: HyperParameters, images: keras.KerasTensor) -> keras.KerasTensor:
        """Map images (batch, *input_shape), already scaled to [0, 1], to features (batch, pixels)."""
        dropout = hp.Choice("dropout", [0.0, 0.05, 0.1, 0.2])
        features = layers.Flatten()(images)
        if hp.Boolean("normalization"):
            features = layers.BatchNormalization(momentum=NORMALIZATION_MOMENTUM)(features)
        return layers.Dropout(dropout)(features) if dropout else features
