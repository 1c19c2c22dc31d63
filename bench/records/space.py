"""A search space, as a record stores it."""

from dataclasses import dataclass

from bench.records.spec import Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A condition under which a hyperparameter is active: its parent `name` has one of `values`."""

    name: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One hyperparameter of a search space."""

    name: str
    kind: str  # Keras Tuner's class: Int, Float, Choice, Boolean, Fixed
    values: tuple[Value, ...]  # all values; (minimum, maximum) if `finite` is False
    finite: bool
    conditions: tuple[Condition, ...]  # all must hold
