"""What a search sends to its workers once."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import FunctionType, MethodType
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A tuner and the arguments of its search."""

    tuner: Any  # without its oracle
    objective: Any  # of the oracle
    arguments: tuple[Any, ...]
    named: Mapping[str, Any]
    cwd: str  # folder in which relative paths are meant


DATA = ("x", "validation_data")  # arguments of `fit` that may be functions which make the data


def made(position: int | str, value: Any) -> Any:
    """The data that a function makes, which is given in place of data that cannot be sent to a worker.

    Args:
        position: of the argument, from 0, or its name.
        value: the argument.
    """
    return value() if is_maker(position, value) else value


def is_maker(position: int | str, value: Any) -> bool:
    """Whether an argument is a function that makes data."""
    return (position == 0 or position in DATA) and isinstance(value, FunctionType | MethodType | partial)
