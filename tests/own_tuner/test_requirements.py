"""Arguments and tuners that cannot be honored: the message names the object and a remedy."""

import threading
from collections.abc import Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bench.errors import SpecError
from bench.own_tuner import requirements
from bench.own_tuner.options import Options
from bench.training.own_tuner.content import KerasSettings, data_factories

X = np.zeros((100_000, 2))


def batches() -> Iterator[int]:
    yield 1


class Logger:
    def __init__(self) -> None:
        self.lock = threading.Lock()


LOGGER = Logger()


def test_generator_is_an_error_but_its_function_is_not() -> None:
    with pytest.raises(SpecError, match=r"argument 1 is a generator.*pass the function"):
        requirements.check_arguments((batches(),), {})
    with pytest.raises(SpecError, match=r"validation_data is a generator"):
        requirements.check_arguments((X,), {"validation_data": batches()})
    requirements.check_arguments((batches,), {"validation_data": batches})


def batches_of(size: int, start: int = 0) -> Iterator[int]:
    yield size + start


def test_functions_that_make_data_need_no_arguments() -> None:
    made = partial(batches_of, 3)
    assert data_factories((made, batches), {"validation_data": batches, "callbacks": batches}) == [made, batches]
    assert data_factories((batches_of,), {"x": X}) == []


class BackupAndRestore:
    pass


class OwnBackup(BackupAndRestore):
    pass


def test_backups_of_all_trials_in_the_same_folder_are_an_error() -> None:
    with pytest.raises(SpecError, match=r"OwnBackup would restore the model of another trial.*leave it out"):
        requirements.check_arguments((X,), {"callbacks": [Logger(), OwnBackup()]})
    requirements.check_arguments((X,), {"callbacks": None})


@pytest.mark.parametrize(
    ("arguments", "named", "label"),
    [
        ((X, Logger()), {}, "argument 2"),
        ((X,), {"validation_data": (X, Logger())}, r"validation_data\[1\]"),
        ((X,), {"callbacks": [Logger()]}, "the callback Logger"),
        ((X,), {"sample_weight": Logger()}, "sample_weight"),
        ((lambda: LOGGER.lock,), {}, "argument 1"),
        ((X,), {"validation_data": lambda: LOGGER.lock}, "validation_data"),
    ],
)
def test_object_that_cannot_be_pickled_is_named(arguments: Any, named: Any, label: str) -> None:
    tuner: Any = SimpleNamespace(hypermodel=None)
    with pytest.raises(SpecError, match=rf"^{label} cannot be sent to worker processes.*lock.*create such objects"):
        requirements.check_objects(tuner, arguments, named)


def test_hypermodel_that_cannot_be_pickled_is_named() -> None:
    lock = threading.Lock()
    tuner: Any = SimpleNamespace(hypermodel=lambda hp: lock)
    with pytest.raises(SpecError, match=r"^the hypermodel cannot be sent"):
        requirements.check_objects(tuner, (X,), {})


class Tuner:
    oracle = None

    def search(self) -> None:
        raise NotImplementedError


def build_model(_hp: object) -> None:
    raise NotImplementedError


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("hyperband", r"expected a Keras Tuner tuner as the first argument, such as .*\(\.\.\.\), got str$"),
        (build_model, r"such as keras_tuner\.Hyperband\(build_model, \.\.\.\), got build_model$"),
        (Tuner().search, r"expected a tuner, got its method search: call bench\.search\(tuner, \.\.\.\)"),
    ],
)
def test_something_else_than_a_tuner_is_an_error(argument: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        requirements.check_tuner(argument)


def test_callback_outside_of_a_list_is_an_error() -> None:
    with pytest.raises(SpecError, match=r"callbacks must be a list, .*got OwnBackup"):
        requirements.check_arguments((X,), {"callbacks": OwnBackup()})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"backend": "jax"}, r"Keras runs on jax.*KERAS_BACKEND=tensorflow"),
        ({"dtype_policy": "mixed_float16"}, r"dtype policy of Keras is mixed_float16.*precision="),
    ],
)
def test_global_setting_that_workers_cannot_follow_is_an_error(changed: dict[str, str], message: str) -> None:
    settings = {"backend": "tensorflow", "dtype_policy": "float32", "image_data_format": "channels_first"}
    settings["floatx"] = "float32"
    tuner: Any = SimpleNamespace(hypermodel=None)
    requirements.check_keras(tuner, KerasSettings(**settings))
    with pytest.raises(SpecError, match=message):
        requirements.check_keras(tuner, KerasSettings(**settings | changed))


class StockTuner:
    __module__ = "keras_tuner.tuners"
    hypermodel = build_model

    def run_trial(self) -> None:
        raise NotImplementedError


class OwnTuner(StockTuner):
    def run_trial(self) -> None:
        raise NotImplementedError


def test_build_may_set_the_dtype_policy_but_then_run_trial_may_not_expect_it() -> None:
    settings = KerasSettings(
        backend="tensorflow", dtype_policy="mixed_bfloat16", image_data_format="channels_last", floatx="float32"
    )
    requirements.check_keras(StockTuner(), settings)
    with pytest.raises(SpecError, match=r"set the policy inside run_trial"):
        requirements.check_keras(OwnTuner(), settings)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"workers": 0}, r"workers must be a whole number from 1 to 1024, got 0"),
        ({"workers": 1.5}, r"workers must be a whole number"),
        ({"workers": 2.0}, r"workers must be a whole number from 1 to 1024, got 2\.0"),
        ({"workers": True}, r"workers must be a whole number from 1 to 1024, got True"),
        ({"max_pending": 0}, r"max_pending must be a whole number from 1 to 1000, got 0"),
        ({"max_pending": "4"}, r"max_pending must be a whole number from 1 to 1000, got '4'"),
        ({"time_limit": "10m"}, r"time_limit must be a positive number of seconds, got '10m'"),
        ({"seed": "1"}, r"seed must be a whole number from 0 to 2147483647, got '1'"),
        ({"seed": True}, r"seed must be a whole number from 0 to 2147483647, got True"),
        ({"scheduler": "here"}, r"scheduler must be an address such as tcp://127\.0\.0\.1:8786, got 'here'"),
        ({"trial_timeout": -1}, r"trial_timeout must be a positive number of seconds, got -1"),
        (
            {"precision": "float16"},
            r"unknown precision 'float16': valid names are .*bfloat16\. For another one, set the dtype policy",
        ),
    ],
)
def test_invalid_option_is_an_error(option: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        Options(**option)
