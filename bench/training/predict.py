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

from bench.baselines.classifiers import Predictor
from bench.data.held_out import sealed_test
from bench.records.record import Latency

BATCH_SIZE = 500
WRONG_IMAGES = 1_000  # as many as a fair model of 10,000 images gets wrong: reports compare what models get wrong
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
    return judge_predictors([_predictor(_load(content)) for content in models], dataset, data_dir)


def judge_predictors(predictors: Sequence[Predictor], dataset: str, data_dir: Path | None) -> Judgement:
    """Read the test part once and let each of `predictors` predict it."""
    test = sealed_test(dataset, data_dir)
    # What is kept decides which images are wrong, so that anyone finds the same ones.
    log_probabilities = np.stack([predict(test.images) for predict in predictors]).astype(np.float16)
    wrong = most_confidently_wrong(log_probabilities, test.labels, WRONG_IMAGES)
    return Judgement(
        log_probabilities=log_probabilities,
        labels=test.labels,
        wrong_indices=wrong,
        wrong_images=test.images[wrong],
        latency=_latency(predictors[0], test.images),
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
    """A model to logits: where it ends in a softmax, that is taken off, since its logarithm may be infinite."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        path.write_bytes(content)
        model = keras.models.load_model(path, compile=False)
    if model.layers[-1].activation is keras.activations.softmax:
        model.layers[-1].activation = keras.activations.linear
    return model


def _predictor(model: keras.Model) -> Predictor:
    predict = tf.function(model)

    def log_probabilities(images: NDArray[np.uint8]) -> NDArray[np.float64]:
        batches = [
            predict(tf.constant(images[start : start + BATCH_SIZE]), training=False).numpy()
            for start in range(0, len(images), BATCH_SIZE)
        ]
        logits = np.concatenate(batches).astype(np.float64)
        logits -= logits.max(axis=1, keepdims=True)
        normalised: NDArray[np.float64] = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return normalised

    return log_probabilities


def _latency(predict: Predictor, images: NDArray[np.uint8]) -> Latency:
    size = min(LATENCY_BATCH_SIZE, len(images))
    batch = images[:size]
    predict(batch)
    seconds = []
    for _ in range(LATENCY_REPEATS):
        begun = time.perf_counter()
        for _ in range(LATENCY_BATCHES):
            predict(batch)
        seconds.append(time.perf_counter() - begun)
    return Latency(
        microseconds_per_image=float(np.median(seconds)) * 1e6 / (size * LATENCY_BATCHES),
        batch_size=size,
        images=size * LATENCY_BATCHES,
        repeats=LATENCY_REPEATS,
        threads=tf.config.threading.get_intra_op_parallelism_threads(),
    )
