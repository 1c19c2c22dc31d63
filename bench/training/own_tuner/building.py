"""Build a model of a user's hypermodel without training it."""

from contextlib import suppress
from functools import cache
from pathlib import Path

import keras

from bench.compat import own_tuner as compat
from bench.training.own_tuner.content import load
from bench.training.own_tuner.exchange import Config


def space_after_build(folder: Path, hyperparameters: Config) -> Config:
    """The hyperparameters that a model declares while it is built, with the given values; others get their defaults.

    Args:
        folder: of the payload.
        hyperparameters: of a trial.
    """
    found = compat.hyperparameters_of(hyperparameters)
    with suppress(Exception):  # it will be raised again in the trial
        keras.utils.clear_session()
        _loaded(folder).tuner.hypermodel.build(found)
    return compat.space_config(found)


_loaded = cache(load)
