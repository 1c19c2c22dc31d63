"""scikit-learn classifiers on raw pixels, as baselines.

They are fitted on all development images, with one feature per pixel and channel, divided by 255.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from bench.baselines.catalog import FOREST_TREES, LOGISTIC_C
from bench.data.dataset import Dataset
from bench.records.record import Curve, RefitRecord

MIN_PROBABILITY = np.finfo(np.float32).tiny  # lower bound of probabilities, so that logarithms are finite

# Images (n, height, width, channels) uint8 to natural logarithms of probabilities (n, classes).
Predictor = Callable[[NDArray[np.uint8]], NDArray[np.float64]]

MODELS: dict[str, Callable[[int], ClassifierMixin]] = {  # by name, from a seed
    "baseline-majority": lambda _: DummyClassifier(strategy="prior"),
    "baseline-logistic-regression": lambda _: LogisticRegression(C=LOGISTIC_C, max_iter=1000, tol=0.001),
    "baseline-random-forest": lambda seed: RandomForestClassifier(FOREST_TREES, random_state=seed % 2**32),
}


def fit(name: str, seed: int, number: int, data: Dataset) -> tuple[Predictor, RefitRecord]:
    """Fit the classifier `name` on `data`.

    Args:
        name: one of MODELS.
        seed: seed of its random generator.
        number: number of the seed, from 0.
        data: the development images.
    """
    pixels = _pixels(data.images)
    model: Any = MODELS[name](seed)
    start = time.perf_counter()
    model.fit(pixels, data.labels)
    seconds = time.perf_counter() - start
    record = RefitRecord(
        number=number,
        seed=seed,
        epochs=0,
        curve=Curve(),
        train_accuracy=float(model.score(pixels, data.labels)),
        parameters=_parameters(model),
        summary=repr(model),
        weights_sha256="",
        fit_seconds=seconds,
        task_seconds=seconds,
    )
    return lambda images: np.log(np.maximum(model.predict_proba(_pixels(images)), MIN_PROBABILITY)), record


def _pixels(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    return images.reshape(len(images), -1).astype(np.float32) / np.float32(255)


def _parameters(model: Any) -> int:
    """Number of fitted values: coefficients, tree nodes, or class frequencies."""
    if hasattr(model, "coef_"):
        return int(model.coef_.size + model.intercept_.size)
    if hasattr(model, "estimators_"):
        return sum(tree.tree_.node_count for tree in model.estimators_)
    return len(model.class_prior_)
