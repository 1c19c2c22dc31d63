"""One to three fully connected layers on the flattened image."""

import keras
from keras import layers
from keras_tuner import HyperParameters

from search_spaces import Family
from search_spaces._recipe import NORMALIZATION_MOMENTUM

MAX_LAYERS = 3


class Dense(Family):
    """Multilayer perceptron with batch normalization.

    Hyperparameters: number of layers, units of each, activation, dropout.
    """

    def architecture(self, hp: HyperParameters, images: keras.KerasTensor) -> keras.KerasTensor:
        """Map images (batch, *input_shape), already scaled to [0, 1], to features (batch, units of the last layer)."""
        depth = hp.Int("dense_layers", 1, MAX_LAYERS, default=2)
        activation = hp.Choice("activation", ["relu", "gelu", "tanh"])
        dropout = hp.Choice("dropout", [0.0, 0.1, 0.2, 0.3, 0.4])
        features = layers.Flatten()(images)
        for number in range(1, MAX_LAYERS + 1):
            # Conditional, so that records never list hyperparameters of layers that do not exist.
            with hp.conditional_scope("dense_layers", list(range(number, MAX_LAYERS + 1))):
                units = hp.Choice(f"units_{number}", [128, 256, 512, 1024], default=256)
            if number <= depth:
                features = layers.Dense(units, use_bias=False)(features)
                features = layers.Activation(activation)(
                    layers.BatchNormalization(momentum=NORMALIZATION_MOMENTUM)(features)
                )
                if dropout:
                    features = layers.Dropout(dropout)(features)
        return features
