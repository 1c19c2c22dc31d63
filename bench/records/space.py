"""A search space, as a record stores it."""

from collections.abc import Mapping
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

    def is_active(self, values: Mapping[str, Value]) -> bool:
        """Whether all its conditions hold, given the values of those declared before it."""
        return all(parent.name in values and values[parent.name] in parent.values for parent in self.conditions)

    def value_in(self, values: Mapping[str, Value]) -> Value | None:
        """Its value; None if it is inactive, also if one with the same name and other conditions has a value."""
        return values.get(self.name) if self.is_active(values) else None
