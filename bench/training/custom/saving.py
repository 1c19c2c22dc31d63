"""Save a model so that it takes uint8 images and, unless it has layers of its own, loads without any other code."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import keras
import numpy as np

from bench.training.custom import UnsuitableModelError, one_line
from bench.training.custom.interface import PixelInput, all_layers, random_images
from bench.training.files import from_bytes, to_bytes

TOLERANCE = 1e-4
LAMBDA_ADVICE = (
    "A lambda in a Lambda layer cannot use names such as tf or keras once it is loaded: define a function at the top "
    "of a file, and pass that to the layer. "
)


def self_contained_bytes(
    model: keras.Model, inputs: PixelInput, image_shape: tuple[int, int, int], module: ModuleType | None = None
) -> bytes:
    """The content of a .keras file with a copy of `model` that takes uint8 images (batch, *image_shape).

    It converts them itself, and is not compiled. `module` defines the family of the model.

    Raises:
        UnsuitableModelError: it cannot be saved and loaded, or then predicts something else.
    """
    images = random_images(image_shape)
    expected = _outputs(model, inputs.arrays(images))
    try:
        with _without_compilation(model):
            content = to_bytes(_self_contained(model, inputs, image_shape))
        outputs = _outputs(from_bytes(content, own_code=True, module=module), images)
    except Exception as error:
        has_lambda = any(
            getattr(getattr(each, "function", None), "__name__", "") == "<lambda>" for each in all_layers(model)
        )
        raise UnsuitableModelError(
            f"the model cannot be saved and loaded: {one_line(_innermost(error), 300)}. "
            f"{LAMBDA_ADVICE if has_lambda else ''}Layers and models of your own need get_config, and must be defined "
            "in a file, not in a notebook"
        ) from error
    if not np.allclose(outputs, expected, rtol=TOLERANCE, atol=TOLERANCE):
        raise UnsuitableModelError("the model predicts something else after it was saved and loaded")
    return content


def _innermost(error: BaseException) -> BaseException:
    """The first of the errors that Keras raised one after the other: the last does not name the layer or function."""
    inner = error.__cause__ or error.__context__
    return error if inner is None else _innermost(inner)


def own_parts(model: keras.Model) -> set[Any]:
    """Names of the classes, and code of the functions, outside Keras that a model and its layers are made of."""
    parts = set()
    for layer in (model, *all_layers(model)):
        for part in (type(layer), getattr(layer, "activation", None), getattr(layer, "function", None)):
            module = getattr(part, "__module__", None) or "keras"  # None for what is no class and no function
            if module.partition(".")[0] != "keras":
                parts.add(getattr(part, "__code__", None) or (module, type(part), getattr(part, "__qualname__", "")))
    return parts


@contextmanager
def _without_compilation(model: keras.Model) -> Iterator[None]:
    """Copy and save a model without its optimizer and loss, which may be of the user's own."""
    compiled = model.compiled
    model.compiled = False
    try:
        yield
    finally:
        model.compiled = compiled


def _self_contained(model: keras.Model, inputs: PixelInput, image_shape: tuple[int, int, int]) -> keras.Model:
    pixels = keras.Input(image_shape, dtype="uint8", name="pixels")
    copied = _copy(model)
    outputs = copied(inputs.keras_tensor(pixels))
    if copied is not model:
        copied.set_weights(model.get_weights())
    return keras.Model(pixels, outputs, name=f"{model.name}_with_pixels")


def _copy(model: keras.Model) -> keras.Model:
    """A copy with new weights; the model itself if it cannot be copied."""
    try:
        return keras.models.clone_model(model)
    except Exception:  # noqa: BLE001 - a user's code may raise anything
        try:
            return type(model).from_config(model.get_config())
        except Exception:  # noqa: BLE001 - a user's code may raise anything
            return model


def _outputs(model: keras.Model, inputs: Any) -> Any:
    return keras.ops.convert_to_numpy(model(keras.ops.convert_to_tensor(inputs), training=False))
