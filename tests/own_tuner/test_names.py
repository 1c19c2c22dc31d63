"""Named arguments are those of bench.search or of fit: a misspelled one is an error before any trial starts."""

from pathlib import Path
from typing import Any

import keras
import keras_tuner
import pytest

from bench.errors import SpecError
from bench.own_tuner.requirements import check_names

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
