"""Evaluate refits: predict the held-out test set and measure prediction time."""

import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

import search_spaces
from bench.data.held_out import HeldOutTestSet
from bench.records.predictions import Predictions
from bench.records.record import Latency
from bench.training.custom.interface import are_probabilities, last_layer, random_images
from bench.training.family import is_family_class
from bench.training.files import from_bytes, has_own_code
from search_spaces import FamilyLocation

if TYPE_CHECKING:
    from bench.baselines.classifiers import Predictor

BATCH_SIZE = 500
MIN_PROBABILITY = np.finfo(np.float32).tiny  # so that logarithms are finite
# The errors of a model with 90% accuracy on 10,000 images, so that the errors of models can be compared.
WRONG_IMAGES = 1_000
MAX_WRONG_BYTES = 2**23  # of large images fewer are kept, but at least as many as a page shows
MIN_WRONG_IMAGES = 25
LATENCY_BATCH_SIZE = 256
LATENCY_BATCHES = 10
LATENCY_REPEATS = 7


def evaluate(
    models: "Sequence[bytes | Predictor]",
    test_set: HeldOutTestSet,
    seeds: Sequence[int],
    family: FamilyLocation | None = None,
    source: str | None = None,
) -> tuple[Predictions, Latency]:
    """Open the test set and predict it with all models; latency is measured with the first model.

    Args:
        models: contents of .keras files, or functions from images to log-probabilities.
        test_set: a test set that has not been opened.
        seeds: seeds of the models, in the same order.
        family: of the models, whose code may define layers; None for reference models.
        source: code digest that the family must have; None if it is not checked.

    Raises:
        RuntimeError: the test set has been opened before.
        DataError: its files cannot be found or verified.
        SearchError: the code of the family has another digest.
        RecordError: a model predicts NaN.
    """
    predictors = [
        predictor(load_model(model, family, source)) if isinstance(model, bytes) else model for model in models
    ]
    test = test_set.open()
    # Rounded first, so that the misclassified images can be recomputed from the stored predictions.
    log_probabilities = np.stack([predict(test.images).astype(np.float16) for predict in predictors])
    wrong_indices = most_confidently_wrong(log_probabilities, test.labels, kept_wrong_images(test.image_shape))
    predictions = Predictions(
        log_probabilities=log_probabilities,
        labels=test.labels,
        seeds=np.array(seeds, dtype=np.int64),
        wrong_indices=wrong_indices,
        wrong_images=test.images[wrong_indices],
    )
    return predictions, _latency(predictors[0], test.images)


def kept_wrong_images(image_shape: tuple[int, int, int]) -> int:
    """How many misclassified images of a shape are kept at most: those of small images, or 8 MiB of large ones."""
    return max(MIN_WRONG_IMAGES, min(WRONG_IMAGES, MAX_WRONG_BYTES // math.prod(image_shape)))


def most_confidently_wrong(
    log_probabilities: NDArray[np.floating], labels: NDArray[np.int64], top: int
) -> NDArray[np.int64]:
    """Indices of up to `top` images misclassified by mean probability, most confident errors first.

    Args:
        log_probabilities: natural logarithms, shape (models, images, classes).
        labels: shape (images,).
        top: maximum number of images.
    """
    probabilities = np.exp(log_probabilities.astype(np.float64)).mean(axis=0)
    predicted = probabilities.argmax(axis=1)
    errors = np.flatnonzero(predicted != labels)
    confidence = probabilities[errors, predicted[errors]]
    most_confident: NDArray[np.int64] = errors[np.argsort(-confidence, kind="stable")][:top]
    return most_confident


def load_model(content: bytes, family: FamilyLocation | None, source: str | None = None) -> keras.Model:
    """Load a .keras file of a run without its final softmax, if any, since the logarithm of its output may be infinite.

    Args:
        content: the file.
        family: of the model, whose code is needed only if it defines layers; None for a reference model.
        source: code digest that the family must have; None if it is not checked.

    Raises:
        SearchError: the code of the family has another digest.
    """
    if family is not None and has_own_code(content) and not is_family_class(family, source):  # which imports it
        model = from_bytes(content, own_code=True, module=search_spaces.family_module(family))
    else:
        model = from_bytes(content)
    _remove_softmax(model)
    return model


def _remove_softmax(model: keras.Model) -> None:
    last = last_layer(model)
    if getattr(last, "activation", None) is keras.activations.softmax:
        last.activation = keras.activations.linear


def returns_probabilities(model: keras.Model) -> bool:
    """Whether a model that takes uint8 images returns probabilities, by a softmax inside it, rather than logits."""
    images = random_images(model.inputs[0].shape[1:])
    return are_probabilities(keras.ops.convert_to_numpy(model(keras.ops.convert_to_tensor(images), training=False)))


def predictor(model: keras.Model) -> "Predictor":
    """The function from uint8 images to log-probabilities of a model with logits or probabilities as output."""
    predict = tf.function(model)
    is_probability = returns_probabilities(model)

    def log_probabilities(images: NDArray[np.uint8]) -> NDArray[np.float64]:
        batches = [
            predict(tf.constant(images[start : start + BATCH_SIZE]), training=False).numpy()
            for start in range(0, len(images), BATCH_SIZE)
        ]
        logits = np.concatenate(batches).astype(np.float64)
        if is_probability:
            logits = np.log(np.maximum(logits, MIN_PROBABILITY))
        logits -= logits.max(axis=1, keepdims=True)
        log_softmax: NDArray[np.float64] = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return log_softmax

    return log_probabilities


def _latency(predict: "Predictor", images: NDArray[np.uint8]) -> Latency:
    size = min(LATENCY_BATCH_SIZE, len(images))
    batch = images[:size]
    predict(batch)
    seconds = []
    for _ in range(LATENCY_REPEATS):
        start = time.perf_counter()
        for _ in range(LATENCY_BATCHES):
            predict(batch)
        seconds.append(time.perf_counter() - start)
    return Latency(
        microseconds_per_image=float(np.median(seconds)) * 1e6 / (size * LATENCY_BATCHES),
        batch_size=size,
        images=size * LATENCY_BATCHES,
        repeats=LATENCY_REPEATS,
        threads=tf.config.threading.get_intra_op_parallelism_threads(),
    )
