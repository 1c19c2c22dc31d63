"""Blocks of convolutions, max pooling and batch normalization, then one fully connected layer."""

from collections.abc import Sequence

import keras
from keras import layers
from keras_tuner import HyperParameters

from search_spaces import Family
from search_spaces._recipe import NORMALIZATION_MOMENTUM

MAX_BLOCKS = 4
KERNEL = 3
FILTERS = (8, 12, 16, 24, 32, 48)
GROWTH = (3.0, 2.5, 2.0, 1.5, 1.25, 1.0)
# Multiply-adds of the largest candidate per image pixel, if no limit is given; 5.5 million for 28x28 images.
DEFAULT_MULTIPLY_ADDS_PER_PIXEL = 7_000


class CNN(Family):
    """Convolutional network of two to four blocks (fewer if the images are small) of one or two 3x3 convolutions.

    Hyperparameters: filters, number of blocks (the pooling depth), whether the first and the later blocks have a second
    convolution, units and dropout of the dense layer, random shifts by at most one pixel in training.

    `filters` is the number of filters in the first block. It grows from block to block by the largest factor in GROWTH
    that keeps the convolutions below the limit on multiply-adds, so that candidates differ in shape rather than in
    cost. If even blocks of equal width would exceed the limit, a second convolution is inactive.
    """

    def architecture(self, hp: HyperParameters, images: keras.KerasTensor) -> keras.KerasTensor:
        """Map images (batch, *input_shape), already scaled to [0, 1], to features (batch, dense units)."""
        # The last block must leave at least 2x2 positions; on a single one, its convolutions have nothing to compare.
        depths = [depth for depth in range(2, MAX_BLOCKS + 1) if min(self.input_shape[:2]) >= 2 ** (depth + 1)]
        depths = depths if len(depths) > 1 else [1, *depths]
        affordable = self._affordable(1, 1, depths[-1])
        if not affordable:
            raise ValueError(
                f"every number of filters exceeds the limit on multiply-adds for images of shape {self.input_shape}"
            )
        filters = hp.Choice("filters", affordable, default=min(16, affordable[-1]))
        blocks = hp.Int("blocks", depths[0], depths[-1], default=min(3, depths[-1]))
        first = later = 1
        if narrow := self._affordable(2, 1, depths[-1]):
            with hp.conditional_scope("filters", narrow):
                first += bool(hp.Boolean("second_convolution_first"))
        if narrow := self._affordable(2, 2, depths[-1]):
            with hp.conditional_scope("filters", narrow):
                later += bool(hp.Boolean("second_convolution_later"))
        units = hp.Choice("dense_units", [64, 128, 256, 512], default=128)
        dropout = hp.Choice("dropout", [0.0, 0.1, 0.2, 0.3, 0.4])

        features = self.shifted(hp, images)
        for block in self._widths(filters, [first, *[later] * (blocks - 1)]):
            for width in block:
                features = layers.Conv2D(width, KERNEL, padding="same", activation="relu")(features)
            features = layers.MaxPooling2D()(features)
            # After pooling, on a quarter of the pixels; before it, this would cost more than some convolutions.
            features = layers.BatchNormalization(momentum=NORMALIZATION_MOMENTUM)(features)
        features = layers.Dense(units, activation="relu")(layers.Flatten()(features))
        return layers.Dropout(dropout)(features) if dropout else features

    def _affordable(self, first: int, later: int, blocks: int) -> list[int]:
        """Numbers of filters for which blocks of equal width, with so many convolutions, stay below the limit."""
        convolutions = [first, *[later] * (blocks - 1)]
        return [filters for filters in FILTERS if self._is_affordable([[filters] * count for count in convolutions])]

    def _is_affordable(self, blocks: Sequence[Sequence[int]]) -> bool:
        height, width, _ = self.input_shape
        limit = self.multiply_adds or DEFAULT_MULTIPLY_ADDS_PER_PIXEL * height * width
        return convolutional_multiply_adds(self.input_shape, blocks) <= limit

    def _widths(self, filters: int, convolutions: Sequence[int]) -> list[list[int]]:
        """Filters of every convolution, by block."""
        for growth in GROWTH:
            widths = [[round(filters * growth**block)] * count for block, count in enumerate(convolutions)]
            if self._is_affordable(widths):
                break
        return widths


def convolutional_multiply_adds(input_shape: tuple[int, int, int], blocks: Sequence[Sequence[int]]) -> int:
    """Multiply-adds of the convolutions for one image of `input_shape` (height, width, channels)."""
    height, width, channels = input_shape
    total = 0
    for block in blocks:
        for filters in block:
            total += height * width * KERNEL**2 * channels * filters
            channels = filters
        height, width = height // 2, width // 2
    return total
