"""An MLP-Mixer: fully connected layers across patches and across channels, in turn.

Source: Tolstikhin et al., MLP-Mixer: an all-MLP architecture for vision, 2021.
"""

import keras
from keras import layers
from keras_tuner import HyperParameters

from search_spaces import Family

MAX_BLOCKS = 4
PATCHES = (4, 7, 8)  # candidates for the side of a patch in pixels


class Mixer(Family):
    """MLP-Mixer on square patches that do not overlap.

    Hyperparameters: side of a patch, channels, number of blocks, hidden units as a multiple of the units of input and
    output, dropout, random shifts by at most one pixel in training.
    """

    def architecture(self, hp: HyperParameters, images: keras.KerasTensor) -> keras.KerasTensor:
        """Map images (batch, *input_shape), already scaled to [0, 1], to features (batch, channels)."""
        height, width, _ = self.input_shape
        sides = [side for side in PATCHES if height % side == width % side == 0 and min(height, width) > side] or [1]
        side = hp.Choice("patch", sides) if len(sides) > 1 else sides[0]
        channels = hp.Choice("channels", [32, 64, 128], default=64)
        blocks = hp.Int("blocks", 1, MAX_BLOCKS, default=2)
        expansion = hp.Choice("expansion", [1, 2, 4], default=2)
        dropout = hp.Choice("dropout", [0.0, 0.1, 0.2, 0.3])

        patches = layers.Conv2D(channels, side, strides=side)(self.shifted(hp, images))
        features = layers.Reshape((-1, channels))(patches)
        for _ in range(blocks):
            across_patches = layers.Permute((2, 1))(layers.LayerNormalization()(features))
            across_patches = _perceptron(across_patches, expansion, dropout)
            features = layers.Add()([features, layers.Permute((2, 1))(across_patches)])
            features = layers.Add()([features, _perceptron(layers.LayerNormalization()(features), expansion, dropout)])
        return layers.GlobalAveragePooling1D()(layers.LayerNormalization()(features))


def _perceptron(features: keras.KerasTensor, expansion: int, dropout: float) -> keras.KerasTensor:
    """Two fully connected layers along the last axis, whose length they keep."""
    units = features.shape[-1]
    hidden = layers.Dense(expansion * units, activation="gelu")(features)
    hidden = layers.Dropout(dropout)(hidden) if dropout else hidden
    return layers.Dense(units)(hidden)
