"""Arguments and tuners that cannot be honored: the message names the object and a remedy."""

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bench.errors import SpecError
from bench.own_tuner import requirements

X = np.zeros((100_000, 2))


def batches() -> Iterator[int]:
    yield 1


class Logger:
    def __init__(self) -> None:
        self.lock = threading.Lock()


def test_generator_is_an_error_but_its_function_is_not() -> None:
    with pytest.raises(SpecError, match=r"argument 1 is a generator.*pass the function"):
        requirements.check_arguments((batches(),), {})
    with pytest.raises(SpecError, match=r"validation_data is a generator"):
        requirements.check_arguments((X,), {"validation_data": batches()})
    requirements.check_arguments((batches,), {"validation_data": batches})


@pytest.mark.parametrize(
    ("arguments", "named", "label"),
    [
        ((X, Logger()), {}, "argument 2"),
        ((X,), {"validation_data": (X, Logger())}, r"validation_data\[1\]"),
        ((X,), {"callbacks": [Logger()]}, "the callback Logger"),
        ((X,), {"sample_weight": Logger()}, "sample_weight"),
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


def test_something_else_than_a_tuner_is_an_error() -> None:
    not_a_tuner: Any = "hyperband"
    with pytest.raises(SpecError, match=r"expected a Keras Tuner tuner.*got str"):
        requirements.check_tuner(not_a_tuner)
