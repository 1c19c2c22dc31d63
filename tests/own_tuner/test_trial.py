"""A trial as a worker runs it, in this process: what Keras Tuner trains succeeds here, too."""

from copy import copy
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest
from keras import layers

from bench.training.own_tuner import payload, trial
from bench.training.own_tuner.content import Content, custom_objects, keras_settings
from bench.training.own_tuner.exchange import FatalFailure, TrialRun, TrialTask

pytestmark = pytest.mark.slow

X = np.random.default_rng(0).normal(size=(64, 5)).astype("float32")
Y = np.arange(64) % 3


def build(hp: Any, metric: Any = "accuracy", **options: Any) -> Any:
    model = keras.Sequential([keras.Input((5,)), layers.Dense(hp.Int("units", 3, 3), "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=[metric], **options)
    return model


def run(tuner: Any, *arguments: Any, **named: Any) -> Any:
    """Run the first trial of `tuner`."""
    folder, sent = Path(tuner.project_dir, "payload"), copy(tuner)
    del sent.oracle
    content = Content(
        custom_objects=custom_objects(),
        tuner=sent,
        objective=tuner.oracle.objective,
        arguments=arguments,
        named=named,
        cwd=str(Path.cwd()),
        settings=keras_settings(),
    )
    payload.write(folder, content)
    state = tuner.oracle.create_trial("tuner0").get_state()
    task = TrialTask(
        payload=str(folder), trial_id=state["trial_id"], run=1, trials=(state,), seed=0, precision="float32"
    )
    return trial.run(task, lambda *_: None)


def completed(tuner: Any, *arguments: Any, **named: Any) -> TrialRun:
    ended: TrialRun = run(tuner, *arguments, **named)
    assert ended.status == "COMPLETED", ended.message
    return ended


class Reporting(keras_tuner.RandomSearch):  # type: ignore[misc]
    def run_trial(self, trial: Any, offset: float) -> None:
        for step in range(2):
            self.oracle.update_trial(trial.trial_id, {"value": offset + step}, step=step)


@pytest.mark.filterwarnings("ignore:The use case of calling:DeprecationWarning")
def test_run_trial_may_report_metrics_itself(tmp_path: Path) -> None:
    tuner = Reporting(objective=keras_tuner.Objective("value", "min"), max_trials=1, directory=tmp_path)
    ended = completed(tuner, 0.5)
    assert [update.metrics["value"] for update in ended.updates] == [0.5, 1.5]
    assert [execution.metrics["value"] for execution in ended.executions] == [1.5]


@pytest.mark.parametrize("arguments", [(X, Y, 32, 2), (X, Y, 32, 2, 0)])
def test_arguments_of_fit_may_be_positional(arguments: tuple[Any, ...], tmp_path: Path) -> None:
    tuner = keras_tuner.RandomSearch(build, "accuracy", max_trials=1, directory=tmp_path)
    assert completed(tuner, *arguments).executions[0].epochs == 2


def share(y_true: Any, y_pred: Any) -> Any:
    return float(np.mean(y_true.numpy() == y_pred.numpy().argmax(axis=1)))


def test_metric_may_need_tensors(tmp_path: Path) -> None:
    def build_eager(hp: Any) -> Any:
        return build(hp, share, run_eagerly=True)

    tuner = keras_tuner.RandomSearch(build_eager, "loss", max_trials=1, directory=tmp_path)
    assert "share" in completed(tuner, X, Y).executions[0].metrics


class ItemSize(keras_tuner.HyperModel):  # type: ignore[misc]
    def build(self, hp: Any) -> Any:
        return build(hp)

    def fit(self, _hp: Any, model: Any, *_arguments: Any, **_named: Any) -> float:
        return float(model.weights[0].numpy().itemsize)


def test_models_have_the_precision_that_the_script_has_set(tmp_path: Path) -> None:
    keras.config.set_floatx("float64")
    try:
        tuner = keras_tuner.RandomSearch(ItemSize(), max_trials=1, directory=tmp_path)
        assert completed(tuner, X, Y).updates[0].metrics == {"default_objective": 8}
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")


class Halved(keras.Sequential):  # type: ignore[misc]
    def fit(self, x: Any, y: Any, callbacks: Any = None) -> Any:
        return super().fit(x[::2], y[::2], callbacks=callbacks, verbose=0)


def test_fit_of_a_model_may_have_few_arguments(tmp_path: Path) -> None:
    def build_halved(hp: Any) -> Any:
        model = Halved([keras.Input((5,)), layers.Dense(hp.Int("units", 3, 3), "softmax")])
        model.compile("adam", "sparse_categorical_crossentropy")
        return model

    completed(keras_tuner.RandomSearch(build_halved, "loss", max_trials=1, directory=tmp_path), X, Y)


class Folds(keras_tuner.RandomSearch):  # type: ignore[misc]
    def run_trial(self, trial: Any, *arguments: Any, callbacks: Any) -> Any:
        hp, best = trial.hyperparameters, keras.callbacks.ModelCheckpoint(Path(self.project_dir, "best.keras"))
        for chosen in ([*callbacks, best], [best], None):
            history = self.hypermodel.fit(hp, self.hypermodel.build(hp), *arguments, verbose=0, callbacks=chosen)
        return history


def test_models_of_a_trial_may_share_callbacks(tmp_path: Path) -> None:
    completed(Folds(build, "accuracy", max_trials=1, directory=tmp_path), X, Y, callbacks=[])


def test_fatal_error_that_cannot_be_unpickled_keeps_its_text(tmp_path: Path) -> None:
    # Not at the top: Dask lets the errors that exist when it is imported be unpickled.
    class TooLargeError(keras_tuner.errors.FatalError):  # type: ignore[misc]
        def __init__(self, units: int, *, maximum: int) -> None:
            super().__init__(f"{units} > {maximum}")

    def build_fatal(hp: Any) -> Any:
        if hp.values:
            raise TooLargeError(3, maximum=2)
        return build(hp)

    failure = run(keras_tuner.RandomSearch(build_fatal, "loss", max_trials=1, directory=tmp_path), X, Y)
    assert isinstance(failure, FatalFailure)
    assert type(failure.error) is keras_tuner.errors.FatalError
    assert str(failure.error) == "TooLargeError: 3 > 2"


def test_conditions_alone_are_no_new_space(tmp_path: Path) -> None:
    def conditional(hp: Any) -> Any:
        hp.Choice("kind", ["a"])
        with hp.conditional_scope("kind", ["a"]):
            return build(hp)

    tuner = keras_tuner.RandomSearch(conditional, "accuracy", max_trials=1, directory=tmp_path)
    assert completed(tuner, X, Y).space is None
