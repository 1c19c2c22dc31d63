"""A small residual network: a convolution and pooling, stages of residual blocks, global average pooling.

Source: He et al., Identity mappings in deep residual networks, 2016, for the order of layers in a block.
"""

from math import ceil

import keras
from keras import layers
from keras_tuner import HyperParameters

from search_spaces import Family
from search_spaces._recipe import NORMALIZATION_MOMENTUM

MAX_STAGES = 3
KERNEL = 3
WIDTH_STEP = 4
# Multiply-adds of the convolutions per image pixel, if no limit is given; 5.5 million for 28x28 images.
DEFAULT_MULTIPLY_ADDS_PER_PIXEL = 7_000


class ResNet(Family):
    """Residual network of one to three stages; each stage after the first halves height and width.

    Hyperparameters: number of stages, blocks per stage, growth of the number of filters from stage to stage,
    activation, dropout before the logits, random shifts by at most one pixel in training.

    The number of filters is the largest that keeps the convolutions below the limit on multiply-adds, so that
    candidates differ in shape rather than in cost.
    """

    def architecture(self, hp: HyperParameters, images: keras.KerasTensor) -> keras.KerasTensor:
        """Map images (batch, *input_shape), already scaled to [0, 1], to features (batch, filters)."""
        # The last stage must have at least 2x2 positions.
        most = max((n for n in range(1, MAX_STAGES + 1) if min(self.input_shape[:2]) >= 2 ** (n + 1)), default=1)
        stages = hp.Int("stages", 2, most, default=most) if most > 2 else most
        blocks = hp.Int("blocks_per_stage", 1, 3, default=1)
        growth = hp.Choice("growth", [1.0, 1.5, 2.0], default=1.5)
        activation = hp.Choice("activation", ["relu", "gelu"])
        dropout = hp.Choice("dropout", [0.0, 0.1, 0.2, 0.3, 0.4, 0.5])

        widths = self._widths(stages, blocks, growth)
        features = _convolution(self.shifted(hp, images), widths[0])
        features = layers.MaxPooling2D(padding="same")(features)
        for stage, width in enumerate(widths):
            for block in range(blocks):
                stride = 2 if stage > 0 and block == 0 else 1
                features = _block(features, width, stride, activation)
        features = layers.GlobalAveragePooling2D()(_activated(features, activation))
        return layers.Dropout(dropout)(features) if dropout else features

    def _widths(self, stages: int, blocks: int, growth: float) -> list[int]:
        """Filters of each stage."""
        height, width, _ = self.input_shape
        limit = self.multiply_adds or DEFAULT_MULTIPLY_ADDS_PER_PIXEL * height * width
        widths = _grown(WIDTH_STEP, stages, growth)
        if self._multiply_adds(widths, blocks) > limit:
            raise ValueError(
                f"the smallest network exceeds the limit on multiply-adds for images of {self.input_shape}"
            )
        first = WIDTH_STEP
        while self._multiply_adds(wider := _grown(first + WIDTH_STEP, stages, growth), blocks) <= limit:
            first, widths = first + WIDTH_STEP, wider
        return widths

    def _multiply_adds(self, widths: list[int], blocks: int) -> int:
        """Multiply-adds of the convolutions for one image."""
        height, width, channels = self.input_shape
        total = height * width * KERNEL**2 * channels * widths[0]
        before = widths[0]
        for stage, filters in enumerate(widths):
            height, width = ceil(height / 2), ceil(width / 2)  # by pooling, then by strides
            shortcut = before * filters if stage > 0 else 0
            kernels = KERNEL**2 * (before * filters + (2 * blocks - 1) * filters**2)
            total += height * width * (kernels + shortcut)
            before = filters
        return total


def _grown(first: int, stages: int, growth: float) -> list[int]:
    return [round(first * growth**stage) for stage in range(stages)]


def _block(features: keras.KerasTensor, width: int, stride: int, activation: str) -> keras.KerasTensor:
    activated = _activated(features, activation)
    residual = _convolution(activated, width, stride)
    residual = _convolution(_activated(residual, activation), width)
    if stride > 1:
        features = layers.Conv2D(width, 1, strides=stride, use_bias=False)(activated)
    return layers.Add()([features, residual])


def _activated(features: keras.KerasTensor, activation: str) -> keras.KerasTensor:
    return layers.Activation(activation)(layers.BatchNormalization(momentum=NORMALIZATION_MOMENTUM)(features))


def _convolution(features: keras.KerasTensor, width: int, stride: int = 1) -> keras.KerasTensor:
    return layers.Conv2D(width, KERNEL, strides=stride, padding="same", use_bias=False)(features)
