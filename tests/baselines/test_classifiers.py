"""scikit-learn classifiers on digits."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.baselines import classifiers
from bench.baselines.catalog import CLASSIFIERS
from bench.baselines.script import classifier_script
from bench.data import catalog
from bench.data.dataset import Dataset
from bench.data.development import facts, load_development
from held_out import open_test_set


@pytest.fixture(scope="module")
def development() -> Dataset:
    return load_development(catalog.locate("digits"))


def test_every_name_has_a_model() -> None:
    assert set(classifiers.MODELS) == set(CLASSIFIERS)


def test_majority_class_predicts_class_shares(development: Dataset) -> None:
    predict, record = classifiers.fit("baseline-majority", seed=1, number=0, data=development)
    shares = np.bincount(development.labels) / len(development)
    assert np.allclose(np.exp(predict(development.images[:2])), shares)
    assert record.train_accuracy == shares.max()
    assert (record.epochs, record.parameters, record.seed, record.number) == (0, 10, 1, 0)


@pytest.mark.parametrize("name", ["baseline-logistic-regression", "baseline-random-forest"])
def test_predictions_are_accurate_finite_and_repeatable(name: str, development: Dataset, tmp_path: Path) -> None:
    test = open_test_set("digits", tmp_path)
    first, second = (classifiers.fit(name, 1, 0, development)[0](test.images) for _ in range(2))
    assert np.array_equal(first, second)
    assert np.isfinite(first).all()
    assert (first.argmax(axis=1) == test.labels).mean() > 0.9


def test_only_the_forest_depends_on_its_seed(development: Dataset) -> None:
    for name, classifier in CLASSIFIERS.items():
        first, second = (classifiers.fit(name, seed, 0, development)[0](development.images[:50]) for seed in (1, 2))
        assert np.array_equal(first, second) == classifier.deterministic, name


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_script_fits_the_same_classifier(name: str, development: Dataset, tmp_path: Path) -> None:
    test = open_test_set("digits", tmp_path)
    plain = classifier_script(name, 2**32 + 1, facts(catalog.locate("digits"), development))
    names: dict[str, Any] = {"x_train": development.images, "y_train": development.labels}
    exec(plain.code, names)
    predict, _ = classifiers.fit(name, 2**32 + 1, 0, development)
    pixels = test.images.reshape(len(test.images), -1).astype("float32") / 255
    with np.errstate(divide="ignore"):
        expected = np.maximum(names["model"].predict_log_proba(pixels), np.log(classifiers.MIN_PROBABILITY))
    assert np.allclose(predict(test.images), expected)


def test_script_for_images_that_keras_downloads_is_complete(development: Dataset) -> None:
    known = replace(facts(catalog.locate("digits"), development), name="fashion_mnist", title="Fashion-MNIST")
    code = classifier_script("baseline-random-forest", 1, known).code
    assert code.startswith("import keras\nfrom sklearn.ensemble import RandomForestClassifier\n")
    assert code.endswith(
        "model = RandomForestClassifier(random_state=1)\n"
        "model.fit(x_train, y_train)\n"
        "print(model.score(x_test, y_test))\n"
    )
