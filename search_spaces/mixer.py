"""An MLP-Mixer: fully connected layers across patches and across channels, in turn.

Source: Tolstikhin et al., MLP-Mixer: an all-MLP architecture for vision, 2021.
"""

from math import ceil

import keras
from keras import layers
from keras_tuner import HyperParameters

from search_spaces import Family

MAX_BLOCKS = 4
EXPANSIONS = (1, 2, 4)
PATCHES = (2, 4, 7, 8, 16)  # candidates for the side of a patch in pixels
CHANNEL_STEP = 8
# Multiply-adds of a candidate per image pixel, if no limit is given; 3.9 million for 28x28 images.
DEFAULT_MULTIPLY_ADDS_PER_PIXEL = 5_000


class Mixer(Family):
    """MLP-Mixer on square patches that do not overlap.

    Hyperparameters: side of a patch, number of blocks, hidden units as a multiple of the units of input and output,
    dropout, random shifts by at most one pixel in training.

    The number of channels is the largest that keeps the multiply-adds below the limit, so that candidates differ in
    shape rather than in cost.
    """

    def architecture(self, hp: HyperParameters, images: keras.KerasTensor) -> keras.KerasTensor:
        """Map images (batch, *input_shape), already scaled to [0, 1], to features (batch, channels)."""
        sides = self._sides()
        side = hp.Choice("patch", sides) if len(sides) > 1 else sides[0]
        blocks = hp.Int("blocks", 1, MAX_BLOCKS, default=2)
        expansion = hp.Choice("expansion", list(EXPANSIONS), default=2)
        dropout = hp.Choice("dropout", [0.0, 0.1, 0.2, 0.3])

        channels = self._channels(side, blocks, expansion)
        patches = layers.Conv2D(channels, side, strides=side, padding="same")(self.shifted(hp, images))
        features = layers.Reshape((-1, channels))(patches)
        for _ in range(blocks):
            across_patches = layers.Permute((2, 1))(layers.LayerNormalization()(features))
            across_patches = _perceptron(across_patches, expansion, dropout)
            features = layers.Add()([features, layers.Permute((2, 1))(across_patches)])
            features = layers.Add()([features, _perceptron(layers.LayerNormalization()(features), expansion, dropout)])
        return layers.GlobalAveragePooling1D()(layers.LayerNormalization()(features))

    def _sides(self) -> list[int]:
        """Sides of patches with which every candidate is below the limit; those that divide the images, if any do."""
        height, width, _ = self.input_shape
        sides = [
            side
            for side in PATCHES
            if min(height, width) >= 3 * side and self._channels(side, MAX_BLOCKS, max(EXPANSIONS))
        ]
        if not sides:
            raise ValueError(
                f"the limit on multiply-adds allows no size of patches for images of shape {self.input_shape}"
            )
        return [side for side in sides if height % side == width % side == 0] or sides

    def _channels(self, side: int, blocks: int, expansion: int) -> int:
        """The largest number of channels below the limit, or 0."""
        height, width, _ = self.input_shape
        limit = self.multiply_adds or DEFAULT_MULTIPLY_ADDS_PER_PIXEL * height * width
        channels = 0
        while self._multiply_adds(channels + CHANNEL_STEP, side, blocks, expansion) <= limit:
            channels += CHANNEL_STEP
        return channels

    def _multiply_adds(self, channels: int, side: int, blocks: int, expansion: int) -> int:
        """Multiply-adds for one image, without the logits."""
        height, width, colors = self.input_shape
        patches = ceil(height / side) * ceil(width / side)
        embedding = patches * side**2 * colors * channels
        # Two layers on each channel, whose inputs are the patches, and two on each patch.
        block = 2 * expansion * (channels * patches**2 + patches * channels**2)
        return embedding + blocks * block


def _perceptron(features: keras.KerasTensor, expansion: int, dropout: float) -> keras.KerasTensor:
    """Two fully connected layers along the last axis, whose length they keep."""
    units = features.shape[-1]
    hidden = layers.Dense(expansion * units, activation="gelu")(features)
    hidden = layers.Dropout(dropout)(hidden) if dropout else hidden
    return layers.Dense(units)(hidden)
