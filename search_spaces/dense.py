"""One to three fully connected layers on the flattened image."""

import keras
from keras import layers
from keras_tuner import HyperParameters

from search_spaces import Family

MAX_LAYERS = 3


class Dense(Family):
    """Multilayer perceptron: number of layers; units, activation and dropout of each; optional batch normalization."""

    def architecture(self, hp: HyperParameters, images: keras.KerasTensor) -> keras.KerasTensor:
        """Map images (batch, *input_shape), already scaled to [0, 1], to features (batch, units of the last layer)."""
        depth = hp.Int("dense_layers", 1, MAX_LAYERS, default=2)
        normalized = hp.Boolean("batch_normalization")
        features = layers.Flatten()(images)
        for number in range(1, MAX_LAYERS + 1):
            # Conditional, so that records never list hyperparameters of layers that do not exist.
            with hp.conditional_scope("dense_layers", list(range(number, MAX_LAYERS + 1))):
                units = hp.Choice(f"units_{number}", [64, 128, 256, 512], default=128)
                activation = hp.Choice(f"activation_{number}", ["relu", "gelu", "tanh"])
                dropout = hp.Choice(f"dropout_{number}", [0.0, 0.1, 0.2, 0.3, 0.4])
            if number <= depth:
                features = layers.Dense(units, use_bias=not normalized)(features)
                if normalized:
                    features = layers.BatchNormalization()(features)
                features = layers.Activation(activation)(features)
                if dropout:
                    features = layers.Dropout(dropout)(features)
        return features
