"""The models of a trial: variables that exist before `fit` change nothing but the number of traces."""

from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest
from keras import layers

from bench.compat.tensorflow import without_autotune
from bench.seeds import derive_seed
from bench.training.own_tuner.exchange import TrialTask
from bench.training.own_tuner.executions import Executions

pytestmark = pytest.mark.slow

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(64, 5)).astype("float32")
CLASSES = RANDOM.integers(3, size=64)
ONE_HOT = np.eye(3)[CLASSES]
NUMBERS = RANDOM.normal(size=64)
CASES: dict[str, tuple[int, str, Any, Any]] = {
    "classes": (3, "sparse_categorical_crossentropy", "accuracy", CLASSES),
    "one-hot classes": (3, "categorical_crossentropy", "f1_score", ONE_HOT),
    "numbers": (1, "mean_squared_error", "mean_absolute_error", NUMBERS),
}


@pytest.mark.parametrize(("units", "loss", "metric", "labels"), CASES.values(), ids=CASES)
def test_training_step_is_traced_once_and_results_are_those_of_keras(
    units: int, loss: str, metric: str, labels: Any, tmp_path: Path
) -> None:
    traces = list[None]()

    def build(hp: keras_tuner.HyperParameters) -> keras.Model:
        del hp
        model = keras.Sequential([keras.Input((5,)), layers.Dense(4, "relu"), layers.Dropout(0.5), layers.Dense(units)])
        model.compile("adam", loss, metrics=[metric])
        compute_loss = model.compute_loss

        def counted(*arguments: Any, **named: Any) -> Any:
            traces.append(None)
            return compute_loss(*arguments, **named)

        model.compute_loss = counted
        return model

    tuner = keras_tuner.RandomSearch(build, "val_loss", max_trials=1, directory=tmp_path)
    task = TrialTask(payload=str(tmp_path), trial_id="0", run=1, trials=(), seed=0, precision="float32")
    Executions(tuner, task, tuner.oracle.objective, lambda *_: None)
    hp = keras_tuner.HyperParameters()
    with without_autotune():
        fitted = tuner.hypermodel.fit(hp, tuner.hypermodel.build(hp), X, labels, epochs=2, verbose=0)
    with_variables = len(traces)
    keras.utils.set_random_seed(derive_seed(0, "trial", "0", 1, 0))
    expected = build(hp).fit(X, labels, epochs=2, verbose=0)
    np.testing.assert_equal(fitted.history, expected.history)
    assert (with_variables, len(traces) - with_variables) == (1, 2)
