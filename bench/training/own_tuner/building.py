"""Build a model of a user's hypermodel without training it."""

from contextlib import suppress
from functools import cache
from pathlib import Path

import keras

from bench import compat
from bench.training.own_tuner import payload
from bench.training.own_tuner.content import Content
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
        _content(folder).tuner.hypermodel.build(found)
    return compat.space_config(found)


@cache
def _content(folder: Path) -> Content:
    content: Content = payload.read(folder)
    return content
