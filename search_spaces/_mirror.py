"""Layers that average predictions over an image and its mirror image, as part of the model."""

import keras
from keras import ops


class AppendMirrorImages(keras.layers.Layer):  # type: ignore[misc]
    """Append the mirror image of every image to the batch (batch, height, width, channels), except in training."""

    def call(self, images: keras.KerasTensor, training: bool = False) -> keras.KerasTensor:
        """Images (batch or 2 * batch, height, width, channels)."""
        return images if training else _append_mirror_images(images)


class AverageMirrorImages(keras.layers.Layer):  # type: ignore[misc]
    """Average the features (2 * batch, n) of images and their mirror images, except in training."""

    def call(self, features: keras.KerasTensor, training: bool = False) -> keras.KerasTensor:
        """Features (batch, n)."""
        return features if training else _average_mirror_images(features)


def portable(model: keras.Model) -> keras.Model:
    """`model` for inference, uncompiled, with the same weights.

    It has built-in layers only, so that a saved model loads without this package.
    """
    uncompiled = keras.Model(model.inputs, model.outputs, name=model.name)
    copy = keras.models.clone_model(uncompiled, clone_function=_portable_layer)
    copy.set_weights(model.get_weights())
    return copy


def _portable_layer(layer: keras.Layer) -> keras.Layer:
    functions = {AppendMirrorImages: _append_mirror_images, AverageMirrorImages: _average_mirror_images}
    if type(layer) not in functions:
        return type(layer).from_config(layer.get_config())
    inputs = keras.Input(layer.input.shape[1:], dtype=layer.input.dtype)
    return keras.Model(inputs, functions[type(layer)](inputs), name=layer.name)


def _append_mirror_images(images: keras.KerasTensor) -> keras.KerasTensor:
    return ops.concatenate([images, ops.flip(images, axis=2)])


def _average_mirror_images(features: keras.KerasTensor) -> keras.KerasTensor:
    return ops.mean(ops.reshape(features, (2, -1, features.shape[-1])), axis=0)
