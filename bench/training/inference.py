"""Probabilities of images outside the datasets, predicted by saved models."""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from bench.errors import ModelError
from bench.training.precision import prepare_process
from bench.training.predict import load_model, predictor
from search_spaces import FamilyLocation


def class_probabilities(
    files: Sequence[Path], images: NDArray[np.uint8], family: FamilyLocation | None = None
) -> NDArray[np.float64]:
    """Predict images with each model, in float32 and with one thread, as in the evaluation of a run.

    Args:
        files: .keras files.
        images: (n, height, width, channels).
        family: of the models, if its code may define layers.

    Returns:
        Shape (models, n, classes).

    Raises:
        ModelError: a file cannot be loaded.
        SearchError: TensorFlow was already started with more than one thread.
    """
    prepare_process("float32")
    return np.exp(np.stack([predictor(open_model(file, family))(images) for file in files]))


def open_model(file: Path, family: FamilyLocation | None = None) -> keras.Model:
    """The model of a .keras file, with logits or probabilities as output.

    Args:
        file: the file.
        family: of the model, if its code may define layers.

    Raises:
        ModelError: the file cannot be loaded.
    """
    try:
        return load_model(file.read_bytes(), family)
    except Exception as error:  # Keras raises many types for a damaged file
        raise ModelError(f"{file}: cannot be loaded as a Keras model: {error}") from error
