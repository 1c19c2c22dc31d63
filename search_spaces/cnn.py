"""One to three blocks of convolutions and max pooling, then one fully connected layer."""

import keras
from keras import layers
from keras_tuner import HyperParameters

from search_spaces._family import Family

MAX_BLOCKS = 3
FILTERS = (8, 16, 24, 32)
GROWTH = (2.0, 1.5, 1.0)
# Multiply-adds of all convolutions for one image. Two blocks of 32 and 64 filters, 3x3, on 28x28 need 3.8 million;
# no candidate may cost more, so that the most expensive one can still be refitted within the default budget.
MAX_MULTIPLY_ADDS = 4_000_000


class CNN(Family):
    """Convolutional network of one to three blocks, each convolutions, max pooling and perhaps batch normalisation.

    Searched are filters, pooling depth, convolutions per block, kernel size, batch normalisation, dropout, and the
    units of the dense layer.

    `filters` are those of the first block. From block to block they grow by the largest factor of GROWTH that keeps
    the model within MAX_MULTIPLY_ADDS; wider first blocks that would exceed it even without growth have no choice of
    more convolutions or a larger kernel.
    """

    def architecture(self, hp: HyperParameters, images: keras.KerasTensor) -> keras.KerasTensor:
        """Map images (batch, *input_shape), already scaled to [0, 1], to features (batch, dense units)."""
        side = min(self.input_shape[:2])
        depths = [depth for depth in range(1, MAX_BLOCKS + 1) if side >= 2**depth]
        filters = hp.Choice("filters", list(FILTERS), default=16)
        depth = hp.Int("pooling_depth", 1, depths[-1], default=min(2, depths[-1]))
        with hp.conditional_scope("filters", self._affordable(convolutions=2, kernel=3)):
            convolutions = hp.Int("convolutions", 1, 2) or 1
        with hp.conditional_scope("filters", self._affordable(convolutions=2, kernel=5)):
            kernel = hp.Choice("kernel_size", [3, 5]) or 3
        normalised = hp.Boolean("batch_normalization")
        units = hp.Choice("dense_units", [64, 128, 256], default=128)
        dropout = hp.Choice("dropout", [0.0, 0.1, 0.3, 0.5])

        features = images
        for width in self._widths(filters, depth, convolutions, kernel):
            for _ in range(convolutions):
                features = layers.Conv2D(width, kernel, padding="same", activation="relu")(features)
            features = layers.MaxPooling2D()(features)
            if normalised:
                # Behind the pooling, on a quarter of the pixels: before it, it costs more than the convolutions.
                features = layers.BatchNormalization()(features)
        features = layers.Dense(units, activation="relu")(layers.Flatten()(features))
        return layers.Dropout(dropout)(features) if dropout else features

    def _affordable(self, convolutions: int, kernel: int) -> list[int]:
        """First-block filters that stay within the cap at every depth, growing or not."""
        return [
            filters
            for filters in FILTERS
            if multiply_adds(self.input_shape, [filters] * MAX_BLOCKS, convolutions, kernel) <= MAX_MULTIPLY_ADDS
        ]

    def _widths(self, filters: int, depth: int, convolutions: int, kernel: int) -> list[int]:
        """Filters of each block."""
        for growth in GROWTH:
            widths = [round(filters * growth**block) for block in range(depth)]
            if multiply_adds(self.input_shape, widths, convolutions, kernel) <= MAX_MULTIPLY_ADDS:
                break
        return widths


def multiply_adds(input_shape: tuple[int, int, int], widths: list[int], convolutions: int, kernel: int) -> int:
    """Multiply-adds of the convolutions for one image of `input_shape` (height, width, channels)."""
    height, width, channels = input_shape
    total = 0
    for filters in widths:
        per_pixel = kernel**2 * (channels * filters + (convolutions - 1) * filters**2)
        total += height * width * per_pixel
        height, width, channels = height // 2, width // 2, filters
    return total
