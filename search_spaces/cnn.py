"""One to three blocks of convolutions and max pooling, then one fully connected layer."""

from collections.abc import Sequence

import keras
from keras import layers
from keras_tuner import HyperParameters

from search_spaces import Family

MAX_BLOCKS = 3
MAX_CONVOLUTIONS = 2
KERNELS = (3, 5)
FILTERS = (8, 12, 16, 24, 32)
GROWTH = (2.0, 1.5, 1.0)
# Maximum multiply-adds of all convolutions per image pixel. It limits the cost of a candidate, so that no candidate
# exhausts the budget and even the most expensive one can be refit within it. For 28x28 images it allows 2.5 million;
# two blocks of 32 and 64 filters, 3x3 without padding, need 2.4 million.
MAX_MULTIPLY_ADDS_PER_PIXEL = 3_200


class CNN(Family):
    """Convolutional network of one to three blocks: convolutions, max pooling and optional batch normalization.

    Hyperparameters: filters, number of blocks (`pooling_depth`), convolutions per block, kernel size, padding, batch
    normalization, dropout, and units of the dense layer.

    `filters` is the number of filters in the first block. It grows from block to block by the largest factor in GROWTH
    that keeps the model under the cap on multiply-adds. If even blocks of equal width would exceed the cap,
    `convolutions` or `kernel_size` is inactive; if convolutions without padding could leave no pixels, `padding` is.
    """

    def architecture(self, hp: HyperParameters, images: keras.KerasTensor) -> keras.KerasTensor:
        """Map images (batch, *input_shape), already scaled to [0, 1], to features (batch, dense units)."""
        depths = [depth for depth in range(1, MAX_BLOCKS + 1) if min(self.input_shape[:2]) >= 2**depth]
        affordable = self._affordable(1, KERNELS[0])
        if not affordable:
            raise ValueError(
                f"every number of filters exceeds the cap on multiply-adds for images of shape {self.input_shape}"
            )
        filters = hp.Choice("filters", affordable, default=min(16, affordable[-1]))
        depth = hp.Int("pooling_depth", 1, depths[-1], default=min(2, depths[-1]))
        convolutions, kernel, padding = 1, KERNELS[0], "same"
        if narrow := self._affordable(MAX_CONVOLUTIONS, KERNELS[0]):
            with hp.conditional_scope("filters", narrow):
                convolutions = hp.Int("convolutions", 1, MAX_CONVOLUTIONS) or 1
        if narrow := self._affordable(MAX_CONVOLUTIONS, KERNELS[-1]):
            with hp.conditional_scope("filters", narrow):
                kernel = hp.Choice("kernel_size", list(KERNELS)) or KERNELS[0]
        if roomy := [depth for depth in depths if self._has_room(depth)]:
            with hp.conditional_scope("pooling_depth", roomy):
                padding = hp.Choice("padding", ["same", "valid"]) or "same"
        normalized = hp.Boolean("batch_normalization")
        units = hp.Choice("dense_units", [64, 128, 256], default=128)
        dropout = hp.Choice("dropout", [0.0, 0.1, 0.3, 0.5])

        features = images
        for width in self._widths(filters, depth, convolutions, kernel, padding):
            for _ in range(convolutions):
                features = layers.Conv2D(width, kernel, padding=padding, activation="relu")(features)
            features = layers.MaxPooling2D()(features)
            if normalized:
                # After pooling, on a quarter of the pixels; before it, this would cost more than the convolutions.
                features = layers.BatchNormalization()(features)
        features = layers.Dense(units, activation="relu")(layers.Flatten()(features))
        return layers.Dropout(dropout)(features) if dropout else features

    def _affordable(self, convolutions: int, kernel: int) -> list[int]:
        """Numbers of filters for which blocks of equal width stay within the cap at every depth."""
        deepest = [(filters, [filters] * MAX_BLOCKS) for filters in FILTERS]
        return [filters for filters, widths in deepest if self._within_cap(widths, convolutions, kernel, "same")]

    def _within_cap(self, widths: Sequence[int], convolutions: int, kernel: int, padding: str) -> bool:
        height, width, _ = self.input_shape
        cost = multiply_adds(self.input_shape, widths, convolutions, kernel, padding)
        return cost <= MAX_MULTIPLY_ADDS_PER_PIXEL * height * width

    def _has_room(self, depth: int) -> bool:
        """Whether `depth` blocks without padding always leave at least one pixel."""
        side = min(self.input_shape[:2])
        for _ in range(depth):
            side = (side - MAX_CONVOLUTIONS * (KERNELS[-1] - 1)) // 2
        return side >= 1

    def _widths(self, filters: int, depth: int, convolutions: int, kernel: int, padding: str) -> list[int]:
        """Number of filters of each block."""
        for growth in GROWTH:
            widths = [round(filters * growth**block) for block in range(depth)]
            if self._within_cap(widths, convolutions, kernel, padding):
                break
        return widths


def multiply_adds(
    input_shape: tuple[int, int, int], widths: Sequence[int], convolutions: int, kernel: int, padding: str
) -> int:
    """Multiply-adds of the convolutions for one image of `input_shape` (height, width, channels)."""
    height, width, channels = input_shape
    lost = kernel - 1 if padding == "valid" else 0
    total = 0
    for filters in widths:
        for _ in range(convolutions):
            height, width = height - lost, width - lost
            total += height * width * kernel**2 * channels * filters
            channels = filters
        height, width = height // 2, width // 2
    return total
