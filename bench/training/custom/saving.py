"""Save a model so that it takes uint8 images and, unless it has layers of its own, loads without any other code."""

import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

from bench.training.custom import UnsuitableModelError
from bench.training.custom.interface import Interface

TOLERANCE = 1e-4


def self_contained(model: keras.Model, interface: Interface, image_shape: tuple[int, int, int]) -> keras.Model:
    """An uncompiled copy of `model` that takes uint8 images (batch, *image_shape) and converts them itself."""
    pixels = keras.Input(image_shape, dtype="uint8", name="pixels")
    images = pixels
    for layer in interface.layers():
        images = layer(images)
    copied = _copy(model)
    outputs = copied(images)
    if copied is not model:
        copied.set_weights(model.get_weights())
    return keras.Model(pixels, outputs, name=f"{model.name}_with_pixels")


def saved(model: keras.Model, interface: Interface, image_shape: tuple[int, int, int]) -> bytes:
    """The content of a .keras file with the `self_contained` model.

    Raises:
        UnsuitableModelError: it cannot be saved and loaded, or then predicts something else.
    """
    images = np.random.default_rng(0).integers(0, 256, (4, *image_shape), dtype=np.uint8)
    expected = _outputs(model, interface.arrays(images))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        try:
            self_contained(model, interface, image_shape).save(path)
            loaded = load(path)
            outputs = _outputs(loaded, images)
        except Exception as error:
            problem = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            raise UnsuitableModelError(
                f"the model cannot be saved and loaded: {problem}. Layers and models of your own need get_config"
            ) from error
        if not np.allclose(outputs, expected, rtol=TOLERANCE, atol=TOLERANCE):
            raise UnsuitableModelError("the model predicts something else after it was saved and loaded")
        return path.read_bytes()


def load(path: Path) -> keras.Model:
    """Load a model of the user's own code, whose module has been imported."""
    return keras.models.load_model(path, compile=False, safe_mode=False)


def _copy(model: keras.Model) -> keras.Model:
    """A copy without optimizer and loss, with new weights; the model itself if it cannot be copied."""
    try:
        return keras.models.clone_model(model)
    except Exception:  # noqa: BLE001 - a user's code may raise anything
        try:
            return type(model).from_config(model.get_config())
        except Exception:  # noqa: BLE001 - a user's code may raise anything
            return model


def _outputs(model: keras.Model, inputs: Any) -> Any:
    return keras.ops.convert_to_numpy(model(keras.ops.convert_to_tensor(inputs), training=False))
