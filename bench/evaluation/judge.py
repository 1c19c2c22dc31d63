"""Predict the sealed test part with the refitted models: the only reader of `sealed_test`."""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from bench.data.sealed_test import sealed_test
from bench.record import Latency

BATCH_SIZE = 500
WRONG_IMAGES = 25
LATENCY_BATCH_SIZE = 256
LATENCY_BATCHES = 10
LATENCY_REPEATS = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What the models say of the test part."""

    log_probabilities: NDArray[np.float16]  # (models, n_test, classes)
    labels: NDArray[np.int64]  # (n_test,)
    wrong_indices: NDArray[np.int64]  # (m,), most confident mistake of the mean probabilities first
    wrong_images: NDArray[np.uint8]  # (m, height, width, channels)
    latency: Latency  # of the first model


def judge(models: Sequence[bytes], dataset: str, data_dir: Path | None) -> Judgement:
    """Read the test part once and let each of `models`, the content of .keras files, predict it."""
    test = sealed_test(dataset, data_dir)
    loaded = [_load(content) for content in models]
    # What is kept decides which images are wrong, so that anyone finds the same ones.
    log_probabilities = np.stack([_log_probabilities(model, test.images) for model in loaded]).astype(np.float16)
    wrong = most_confidently_wrong(log_probabilities, test.labels, WRONG_IMAGES)
    return Judgement(
        log_probabilities=log_probabilities,
        labels=test.labels,
        wrong_indices=wrong,
        wrong_images=test.images[wrong],
        latency=_latency(loaded[0], test.images),
    )


def most_confidently_wrong(
    log_probabilities: NDArray[np.floating], labels: NDArray[np.int64], top: int
) -> NDArray[np.int64]:
    """Indices of at most `top` images whose class by mean probability is wrong, highest probability first."""
    probabilities = np.exp(log_probabilities.astype(np.float64)).mean(axis=0)
    predicted = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    confidence = probabilities[wrong, predicted[wrong]]
    found: NDArray[np.int64] = wrong[np.argsort(-confidence, kind="stable")][:top]
    return found


def _load(content: bytes) -> keras.Model:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        path.write_bytes(content)
        return keras.models.load_model(path, compile=False)


def _log_probabilities(model: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.float64]:
    predict = tf.function(model)
    batches = [
        predict(tf.constant(images[start : start + BATCH_SIZE]), training=False).numpy()
        for start in range(0, len(images), BATCH_SIZE)
    ]
    logits = np.concatenate(batches).astype(np.float64)
    logits -= logits.max(axis=1, keepdims=True)
    normalised: NDArray[np.float64] = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return normalised


def _latency(model: keras.Model, images: NDArray[np.uint8]) -> Latency:
    predict = tf.function(model)
    size = min(LATENCY_BATCH_SIZE, len(images))
    batch = tf.constant(images[:size])
    predict(batch, training=False)
    seconds = []
    for _ in range(LATENCY_REPEATS):
        begun = time.perf_counter()
        for _ in range(LATENCY_BATCHES):
            predict(batch, training=False).numpy()
        seconds.append(time.perf_counter() - begun)
    return Latency(
        microseconds_per_image=float(np.median(seconds)) * 1e6 / (size * LATENCY_BATCHES),
        batch_size=size,
        images=size * LATENCY_BATCHES,
        repeats=LATENCY_REPEATS,
        threads=tf.config.threading.get_intra_op_parallelism_threads(),
    )
