"""What a model takes and returns: shape, type and range of its inputs, encoding of its labels."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from bench.compat.tensorflow import graph_calls
from bench.machine import silence_stderr
from bench.records.choices import PixelRange
from bench.training.custom import UnsuitableModelError, one_line
from bench.training.custom.labels import Encoding, encoding_of, expects_logits, expects_probabilities

ADVICE = "move preprocessing, such as resizing, reshaping or scaling, into the model"
Shape = tuple[int, ...]
MAX_RESCALED = 16.0  # of rescaled or standardized pixels
MIN_SUBTRACTED = 2.0  # a mean of pixels in [0, 255], not in [0, 1]
MIN_MULTIPLIED = 100.0  # a factor that brings pixels from [0, 1] to [0, 255], or about
KEEP_RANGE = (  # besides those whose names start with Random
    *(keras.layers.CenterCrop, keras.layers.Concatenate, keras.layers.Cropping2D, keras.layers.Flatten),
    *(keras.layers.Identity, keras.layers.Permute, keras.layers.Reshape, keras.layers.Resizing),
    *(keras.layers.UpSampling2D, keras.layers.ZeroPadding2D),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelInput:
    """What one model receives for an image."""

    shape: Shape  # of one image
    dtype: Literal["float32", "uint8"]  # "uint8" for all integers
    scale: float  # factor of the pixels, 1 or 1/255
    reason: str  # for the range of the pixels

    @property
    def text(self) -> str:
        """For readers."""
        if self.dtype == "uint8":
            return f"uint8 pixels, shape {self.shape}, since {self.reason}"
        return f"float32 pixels in [0, {'1' if self.scale < 1 else '255'}], shape {self.shape}, since {self.reason}"

    def arrays(self, images: NDArray[np.uint8]) -> NDArray[Any]:
        """Convert images (n, height, width, channels)."""
        reshaped = images.reshape(len(images), *self.shape)
        return reshaped if self.dtype == "uint8" else reshaped.astype(np.float32) * np.float32(self.scale)

    def tensors(self, images: tf.Tensor) -> tf.Tensor:
        """The same in a tf.data pipeline."""
        reshaped = tf.reshape(images, (-1, *self.shape))
        return reshaped if self.dtype == "uint8" else tf.cast(reshaped, tf.float32) * np.float32(self.scale)

    def keras_tensor(self, pixels: keras.KerasTensor) -> keras.KerasTensor:
        """The same for a symbolic input, by layers of Keras."""
        if self.dtype == "uint8":
            return keras.layers.Reshape(self.shape, name="image")(pixels)
        # float32 whatever the dtype policy, which a model may set, so that no pixel is rounded.
        scaled = keras.layers.Rescaling(self.scale, dtype="float32", name="scale")(pixels)
        return keras.layers.Reshape(self.shape, dtype="float32", name="image")(scaled)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface(PixelInput):
    """The inputs and labels of one model."""

    labels: Encoding


def has_inputs(model: keras.Model) -> bool:
    """Whether a model knows its inputs; a Sequential model does only once it has been built."""
    try:
        return bool(model.inputs)
    except (AttributeError, ValueError):  # which one depends on the version of Keras
        return False


def possible_shapes(image_shape: tuple[int, int, int]) -> list[Shape]:
    """Shapes in which a model may receive an image, in the order in which a model without a fixed shape is tried."""
    height, width, channels = image_shape
    without_channel = [(height, width)] if channels == 1 else []
    return [image_shape, *without_channel, (height * width * channels,)]


def fixed_input(model: keras.Model) -> Any:
    """The symbolic input of a model; None if it is built when it is first called.

    Raises:
        UnsuitableModelError: it has several inputs.
    """
    if not has_inputs(model):
        return None
    if len(model.inputs) > 1:
        raise UnsuitableModelError(f"expected a model with one input, found {len(model.inputs)}")
    return model.inputs[0]


def matching_shape(model: keras.Model, image_shape: tuple[int, int, int]) -> Shape | None:
    """The shape in which a model receives an image; None if it is built when it is first called.

    Raises:
        UnsuitableModelError: it takes images of another shape, or has several outputs.
    """
    symbolic = fixed_input(model)
    if symbolic is None:
        return None
    if len(model.outputs) > 1:
        raise UnsuitableModelError(
            f"expected a model with one output, found {len(model.outputs)}: return only that of the classes"
        )
    expected = tuple(symbolic.shape[1:])
    for shape in possible_shapes(image_shape):
        if len(shape) == len(expected) and all(b in (a, None) for a, b in zip(shape, expected, strict=True)):
            return shape
    hint = ""
    if expected[-1:] == (3,) and image_shape[-1] == 1:
        hint = f"; for color, start with x = keras.Input({image_shape}) and keras.layers.Concatenate()([x, x, x])"
    raise UnsuitableModelError(
        f"the model takes inputs of shape {expected}, the images have {image_shape}: {ADVICE}{hint}"
    )


def pixel_input(model: keras.Model, shape: Shape, pixel_range: PixelRange | None) -> PixelInput:
    """What a built model receives for images in `shape`.

    Raises:
        UnsuitableModelError: its inputs are of an unknown kind.
    """
    symbolic = fixed_input(model)
    dtype = "float32" if symbolic is None else str(symbolic.dtype)
    if dtype.startswith(("uint", "int")):
        return PixelInput(shape=shape, dtype="uint8", scale=1.0, reason=f"its input is {dtype}")
    if not dtype.startswith(("float", "bfloat")):
        raise UnsuitableModelError(f"expected a model whose input is a float or an integer, found {dtype}")
    scale, reason = _range(model, shape, pixel_range)
    return PixelInput(shape=shape, dtype="float32", scale=scale, reason=reason)


def interface_of(model: keras.Model, shape: Shape, classes: int, pixel_range: PixelRange | None) -> Interface:
    """The interface of a built and compiled model that receives images in `shape`.

    Raises:
        UnsuitableModelError: its inputs or its loss are of an unknown kind.
    """
    found = pixel_input(model, shape, pixel_range)
    labels = encoding_of(model, classes)
    return Interface(shape=found.shape, dtype=found.dtype, scale=found.scale, reason=found.reason, labels=labels)


def check_outputs(
    model: keras.Model, interface: Interface, image_shape: tuple[int, int, int], classes: int
) -> NDArray[Any]:
    """Check on random images that a model returns probabilities or logits, as its loss expects; returns its outputs.

    Raises:
        UnsuitableModelError: it does not.
    """
    images = interface.arrays(random_images(image_shape))
    outputs: NDArray[Any] = keras.ops.convert_to_numpy(model(keras.ops.convert_to_tensor(images), training=False))
    check_output_shape(outputs, classes)
    if expects_probabilities(model.loss) and not are_probabilities(outputs):
        raise UnsuitableModelError(
            "the loss expects probabilities, but the outputs do not sum to 1: end with "
            f'Dense({classes}, activation="softmax"), or use the loss with from_logits=True'
        )
    if getattr(getattr(last_layer(model), "activation", None), "__name__", "") == "sigmoid":
        raise UnsuitableModelError(
            f'its outputs do not sum to 1, since it ends with sigmoid: end with Dense({classes}, activation="softmax")'
        )
    return outputs


def warn_of_softmax(model: keras.Model, outputs: NDArray[Any]) -> None:
    """Warn if the loss of a model expects logits, but its outputs are probabilities."""
    if expects_logits(model.loss) and are_probabilities(outputs):
        warnings.warn(
            "the loss of the model has from_logits=True, but its outputs are probabilities: end without softmax, or "
            "use the loss with from_logits=False",
            stacklevel=2,
        )


def warn_of_same_weights(model: keras.Model, other: keras.Model) -> None:
    """Warn if two candidates that were built with different seeds have the same initial weights."""
    pairs = zip(model.trainable_variables, other.trainable_variables, strict=False)
    if all(np.array_equal(*map(keras.ops.convert_to_numpy, pair)) for pair in pairs):
        warnings.warn(
            "the model has the same initial weights for every seed, so that its confidence interval does not cover "
            "their randomness: remove seeds from build_model and from initializers, unless this is intended",
            stacklevel=2,
        )


def last_layer(model: keras.Model) -> Any:
    """The last layer or operation of a model, also inside the last one.

    None for a subclass of keras.Model, whose layers may be in any order.
    """
    if not has_inputs(model):
        return None
    # Operations of keras.ops, which may follow the last layer, are not among the layers.
    last = (model.operations if hasattr(model, "operations") else model.layers)[-1]
    return last_layer(last) if isinstance(last, keras.Model) else last


def check_loss(
    model: keras.Model, interface: Interface, image_shape: tuple[int, int, int], labels: NDArray[Any]
) -> None:
    """Check that the loss can be computed, as for the validation images, for random images with encoded `labels`.

    Raises:
        UnsuitableModelError: it cannot.
    """
    inputs = keras.ops.convert_to_tensor(interface.arrays(random_images(image_shape, len(labels))))
    try:
        with silence_stderr(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.compute_loss(x=inputs, y=keras.ops.convert_to_tensor(labels), y_pred=model(inputs, training=False))
    except Exception as error:
        raise UnsuitableModelError(f"its loss on validation images cannot be computed: {one_line(error)}") from error


def check_metrics(model: keras.Model, labels: NDArray[Any], classes: int) -> None:
    """Check that the metrics of a model accept encoded labels (n,) or (n, classes); n should not be `classes`.

    Raises:
        UnsuitableModelError: they do not.
    """
    if labels.ndim > 2:
        raise UnsuitableModelError(
            f"expected a fit that passes on the one-hot labels, as its loss needs them, but it passes on some of shape "
            f"{labels.shape}: use the labels that it is given"
        )
    outputs = np.full((len(labels), classes), 1 / classes, dtype=np.float32)
    try:
        with silence_stderr():  # TensorFlow logs some errors, too
            model.compute_metrics(None, *map(keras.ops.convert_to_tensor, (labels, outputs)))
    except Exception as error:
        given, loss, other = (
            ("integer", "categorical_crossentropy", "one-hot")
            if labels.ndim == 1
            else ("one-hot", "sparse_categorical_crossentropy", "integers")
        )
        raise UnsuitableModelError(
            f"its metrics do not accept {given} labels: {one_line(error)}. "
            f"Compile with {loss}, so that labels are {other}, or with other metrics"
        ) from error


def check_output_shape(outputs: Any, classes: int) -> None:
    """Check the outputs for a batch.

    Raises:
        UnsuitableModelError: their shape is not (batch, classes).
    """
    shape = getattr(outputs, "shape", None)
    if shape is not None and len(shape) == 2 and shape[1] == 1:
        raise UnsuitableModelError(
            "its single output is one probability, which cannot be compared with models that have one for each class: "
            f'end with Dense({classes}, activation="softmax") instead of Dense(1, activation="sigmoid"), and replace '
            "the loss binary_crossentropy by sparse_categorical_crossentropy"
        )
    if shape is None or len(shape) != 2 or shape[1] != classes:
        found = type(outputs).__name__ if shape is None else tuple(shape)
        raise UnsuitableModelError(
            f"expected one output of shape (batch, {classes}), one for each class, found {found}: end with "
            f"Dense({classes})"
        )


def are_probabilities(outputs: NDArray[Any]) -> bool:
    """Whether every row of outputs (n, classes) sums to 1."""
    tolerance = 1e-3 if outputs.dtype.itemsize >= 4 else 5e-3  # bfloat16 has 8 significant bits
    return bool((outputs >= 0).all() and np.allclose(outputs.astype(np.float64).sum(axis=1), 1, atol=tolerance))


def random_images(image_shape: tuple[int, ...], n: int = 4) -> NDArray[np.uint8]:
    """Images (n, *image_shape) to try a model with, always the same."""
    return np.random.default_rng(0).integers(0, 256, (n, *image_shape), dtype=np.uint8)


def _range(model: keras.Model, shape: Shape, pixel_range: PixelRange | None) -> tuple[float, str]:
    """The factor of the pixels, and why."""
    if pixel_range is not None:
        return 1 / 255 if pixel_range == "0-1" else 1.0, f"--pixel-range is {pixel_range}"
    # Operations come first: `x * 255` may precede a model that rescales, `x / 255` a Normalization of fractions.
    found = _range_of_operations(model, shape) or _range_of_layers(model)
    return found or (1 / 255, "it does not rescale them itself")


def _range_of_layers(model: keras.Model) -> tuple[float, str] | None:
    """By the first layer that rescales or normalizes pixels, or by random brightness; None without these."""
    for layer in all_layers(model):
        if isinstance(layer, keras.layers.Rescaling):
            scale = np.abs(np.asarray(layer.scale))
            if np.all(scale < 0.5):
                return 1.0, "it has a Rescaling layer"
            if np.all(scale > MIN_MULTIPLIED):  # for what follows, such as a model that divides them again
                return 1 / 255, "its first Rescaling layer multiplies them"
        if isinstance(layer, keras.layers.Normalization):
            return _range_of_normalization(layer)
    brightness = (each for each in all_layers(model) if isinstance(each, keras.layers.RandomBrightness))
    if any(max(each.get_config()["value_range"]) > 1 for each in brightness):
        # It adds a fraction of this range, so that images with pixels in [0, 1] would become black or far too bright.
        return 1.0, "the value_range of its RandomBrightness layer exceeds 1"
    return None


def _range_of_operations(model: keras.Model, shape: Shape) -> tuple[float, str] | None:
    """By operations on the input, such as `x / 255` or `preprocess_input`; None if they fit either range.

    They end at the first layer that may change the range of the pixels.
    """
    if not has_inputs(model):
        return None
    pixels = last = model.inputs[0]
    reached = {id(pixels)}
    for each in getattr(model, "operations", model.layers):
        if isinstance(each, keras.Layer) and not _is_preprocessing(each):
            continue
        for inputs, outputs in graph_calls(each):
            if all(id(tensor) in reached for tensor in inputs):
                last = outputs[0]
                reached.update(map(id, outputs))
    if last is pixels:
        return None
    operations = keras.Model(pixels, last)
    black, dark, white = (
        keras.ops.convert_to_numpy(operations(np.full((1, *shape), value, np.float32), training=False)).astype(float)
        for value in (0, 1, 255)
    )
    if np.abs(dark - black).max() > MIN_MULTIPLIED:
        return 1 / 255, "operations on its input multiply them"
    # Equal if they clip pixels to [0, 1], or work on differences between pixels.
    is_rescaled = max(np.abs(black).max(), np.abs(white).max()) <= MAX_RESCALED and not np.array_equal(dark, white)
    if is_rescaled or np.abs(black).max() >= MIN_SUBTRACTED:
        return 1.0, "operations on its input rescale pixels up to 255"
    return None


def _is_preprocessing(layer: keras.Layer) -> bool:
    """Whether a layer applies an operation, or its outputs are in the range of its inputs."""
    if isinstance(layer, keras.Sequential):
        return all(map(_is_preprocessing, layer.layers))
    return isinstance(layer, (*KEEP_RANGE, keras.layers.Lambda)) or type(layer).__name__.startswith("Random")


def _range_of_normalization(layer: keras.layers.Normalization) -> tuple[float, str]:
    """By the mean, since a layer may have been adapted to pixels in [0, 1]."""
    mean = getattr(layer, "mean", None)
    if mean is not None and 0 < float(np.max(keras.ops.convert_to_numpy(mean))) <= 1:
        return 1 / 255, "its Normalization layer has a mean of at most 1"
    return 1.0, "it has a Normalization layer"


def all_layers(model: keras.Model) -> Iterator[keras.Layer]:
    """The layers of a model and of the models in it."""
    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from all_layers(layer)
