"""Search spaces declared by Keras Tuner HyperParameters: parameters, size, enumeration."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from bench.records.space import Condition, Parameter
from bench.records.spec import Value

if TYPE_CHECKING:
    import keras_tuner

MAX_VALUES = 10_000  # of an integer that are listed; of more, only the bounds


def parameters(hyperparameters: "keras_tuner.HyperParameters") -> tuple[Parameter, ...]:
    """The declared parameters, in order of declaration: parents before dependents."""
    return tuple(
        Parameter(
            name=hp.name,
            kind=type(hp).__name__,
            values=_values(hp) if _is_finite(hp) else (hp.min_value, hp.max_value),
            finite=_is_finite(hp),
            conditions=tuple(Condition(name=parent.name, values=tuple(parent.values)) for parent in hp.conditions),
        )
        for hp in hyperparameters.space
    )


def _is_finite(hp: Any) -> bool:
    sampling = getattr(hp, "sampling", None)
    if type(hp).__name__ == "Int" and sampling == "linear":
        return len(range(hp.min_value, hp.max_value + 1, hp.step or 1)) <= MAX_VALUES
    return sampling is None or hp.step is not None


def _values(hp: Any) -> tuple[Value, ...]:
    # With logarithmic steps Keras Tuner lists the values of an Int as floats, although it proposes integers.
    return tuple(map(int, hp.values)) if type(hp).__name__ == "Int" else tuple(hp.values)


def count_candidates(space: Sequence[Parameter]) -> int | None:
    """Number of candidates in the space; None if a parameter is continuous or has very many values."""
    if not all(parameter.finite for parameter in space):
        return None
    # By the values of the parents of later parameters only, or there would be almost as many as candidates.
    counts: Counter[tuple[tuple[str, Value], ...]] = Counter({(): 1})
    for number, parameter in enumerate(space, 1):
        parents = {condition.name for later in space[number:] for condition in later.conditions}
        extended: Counter[tuple[tuple[str, Value], ...]] = Counter()
        for chosen, count in counts.items():
            kept = tuple(pair for pair in chosen if pair[0] in parents)
            if not parameter.is_active(dict(chosen)):
                extended[kept] += count
            elif parameter.name not in parents:
                extended[kept] += count * len(parameter.values)
            else:
                for value in parameter.values:
                    extended[*kept, (parameter.name, value)] += count
        counts = extended
    return counts.total()


def enumerate_candidates(space: Sequence[Parameter]) -> Iterator[dict[str, Value]]:
    """Every candidate of a finite space, active parameters only; the last declared parameter varies fastest."""

    def extend(index: int, chosen: dict[str, Value]) -> Iterator[dict[str, Value]]:
        if index == len(space):
            yield dict(chosen)
        elif not space[index].is_active(chosen):
            yield from extend(index + 1, chosen)
        else:
            for value in space[index].values:
                yield from extend(index + 1, {**chosen, space[index].name: value})

    return extend(0, {})
