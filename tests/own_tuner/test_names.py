"""A misspelled or missing argument is an error before any trial starts."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import pytest

from bench.errors import SpecError
from bench.own_tuner.options import Options
from bench.own_tuner.requirements import check_data, check_names, check_options

pytestmark = pytest.mark.slow


class Model(keras.Sequential):  # type: ignore[misc]
    def fit(self, x: Any, *, pairs: int) -> Any:
        raise NotImplementedError


def model(_hp: Any) -> Any:
    return keras.Sequential([keras.Input((1,))])


def own_model(_hp: Any) -> Any:
    return Model([keras.Input((1,))])


class AnyFit(keras_tuner.HyperModel):  # type: ignore[misc]
    def build(self, hp: Any) -> Any:
        return model(hp)

    def fit(self, _hp: Any, model: Any, x: Any, *, schedule: str = "", **kwargs: Any) -> Any:
        raise NotImplementedError


class ClosedFit(keras_tuner.HyperModel):  # type: ignore[misc]
    def build(self, hp: Any) -> Any:
        return model(hp)

    def fit(self, _hp: Any, model: Any, x: Any, epochs: int, callbacks: Any) -> Any:
        raise NotImplementedError


class OwnTrial(keras_tuner.RandomSearch):  # type: ignore[misc]
    def run_trial(self, trial: Any, folds: int) -> Any:
        raise NotImplementedError


def check(folder: Path, hypermodel: Any, kind: Any = keras_tuner.RandomSearch, **named: Any) -> None:
    check_names(kind(hypermodel, "val_loss", max_trials=1, directory=str(folder)), named)


@pytest.mark.parametrize(
    ("hypermodel", "name", "message"),
    [
        (
            model,
            "worker",
            r"bench\.search has no option 'worker', and fit has no such argument: did you mean workers\?",
        ),
        (model, "time_limits", r"did you mean time_limit\?"),
        (model, "resumed", r"did you mean resume\?"),
        (model, "epoch", r"did you mean epochs\?"),
        (model, "use_multiprocessing", r"'use_multiprocessing', and fit .*: correct its name, or leave it out$"),
        (model, "max_trials", r"give it to the tuner when you create it$"),
        (AnyFit(), "worker", r"did you mean workers\? If fit uses it, add it to the parameters of fit"),
        (ClosedFit(), "epoch", r"did you mean epochs\?"),
        (own_model, "pair", r"did you mean pairs\?"),
    ],
)
def test_misspelled_name_is_an_error(hypermodel: Any, name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=message):
        check(tmp_path, hypermodel, **{name: 1})


def test_names_that_fit_may_use_are_accepted(tmp_path: Path) -> None:
    check(tmp_path, model, x=1, epochs=1, validation_split=0.1, verbose=0, callbacks=[])
    check(tmp_path, AnyFit(), x=1, epoch=1, class_weights={}, schedule="cosine")
    check(tmp_path, ClosedFit(), x=1, epochs=1, callbacks=[])
    check(tmp_path, own_model, x=1, pairs=2)
    check(tmp_path, None, OwnTrial, folds=3)
    with pytest.raises(SpecError, match=r"did you mean folds\?"):
        check(tmp_path, None, OwnTrial, fold=3)


class SeededTrial(keras_tuner.RandomSearch):  # type: ignore[misc]
    def run_trial(self, trial: Any, *, seed: int = 0) -> Any:
        raise NotImplementedError


def test_option_that_is_also_an_argument_of_a_trial_is_an_error(tmp_path: Path) -> None:
    tuner = SeededTrial(objective="val_loss", max_trials=1, directory=str(tmp_path))
    check_options(tuner, Options(workers=2))
    with pytest.raises(SpecError, match=r"^seed is an option of bench\.search, and an argument .*: rename"):
        check_options(tuner, Options(seed=3))


VALIDATION = r"^the objective val_loss needs validation_data or validation_split$"


class Logs(keras.callbacks.Callback):  # type: ignore[misc]
    pass


@pytest.mark.parametrize(
    ("hypermodel", "kind", "arguments", "named", "message"),
    [
        (ClosedFit(), keras_tuner.RandomSearch, (), {}, "^trials need x: pass"),
        (ClosedFit(), keras_tuner.Hyperband, (1,), {}, None),
        (ClosedFit(), keras_tuner.RandomSearch, (), {"x": 1}, None),
        (None, OwnTrial, (), {}, "^trials need folds: pass"),
        (None, OwnTrial, (2,), {}, None),
        (
            model,
            keras_tuner.RandomSearch,
            (),
            {"validation_split": 0.1},
            r"^no training data: .*bench\.search\(tuner, x_",
        ),
        (model, keras_tuner.RandomSearch, (1, 2), {}, VALIDATION),
        (model, keras_tuner.RandomSearch, (), {"x": 1, "validation_split": 0.0}, VALIDATION),
        (model, keras_tuner.RandomSearch, (1, 2), {"callbacks": [keras.callbacks.TerminateOnNaN()]}, VALIDATION),
        (model, keras_tuner.RandomSearch, (1, 2), {"callbacks": [Logs()]}, None),
        (model, keras_tuner.RandomSearch, (1, 2), {"callbacks": [keras.callbacks.LambdaCallback()]}, None),
        (model, keras_tuner.RandomSearch, (1, 2), {"validation_data": 3}, None),
        (own_model, keras_tuner.RandomSearch, (), {}, None),
        (AnyFit(), keras_tuner.RandomSearch, (1,), {}, None),
    ],
)
def test_missing_data_are_an_error_if_they_are_certainly_needed(
    hypermodel: Any, kind: Any, *, arguments: Any, named: Any, message: str | None, tmp_path: Path
) -> None:
    options = {} if kind is keras_tuner.Hyperband else {"max_trials": 1}
    tuner = kind(hypermodel, "val_loss", directory=str(tmp_path), **options)
    with nullcontext() if message is None else pytest.raises(SpecError, match=message):
        check_data(tuner, arguments, named)
