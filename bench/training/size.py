"""How much a model computes: multiply-adds, counted from its weights and the shapes of its layers' outputs."""

from math import prod

import keras


def multiply_adds(model: keras.Model) -> int:
    """Multiply-adds of matrix products and convolutions for one image, in the forward pass.

    Each weight matrix or kernel is applied once per output position: exact for dense and convolutional layers, an
    estimate for others. Additions, activations and normalization are not counted.
    """
    return sum(_multiply_adds(layer) for layer in model.layers)


def _multiply_adds(layer: keras.Layer) -> int:
    if isinstance(layer, keras.Model):
        return multiply_adds(layer)
    output = getattr(layer, "output", None)
    if isinstance(output, list):  # of a layer that also returns its state, such as an LSTM
        output = output[0]
    positions = prod(side or 1 for side in getattr(output, "shape", ())[1:-1])
    return sum(positions * prod(weight.shape) for weight in layer.trainable_weights if len(weight.shape) > 1)
