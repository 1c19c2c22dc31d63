"""Grid search: every candidate of a finite space, trained to full length."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import keras_tuner

from bench.errors import SearchError
from bench.records.spec import SearchSpec, Value
from bench.tuning.space import count_candidates, enumerate_candidates, parameters
from bench.tuning.trials import Plan
from bench.tuning.tuner import Tuner, settings


class GridSearch(Tuner):
    """Grid search in order of declaration; replaces any other tuner if the budget covers the whole space."""

    def oracle(self, spec: SearchSpec, hyperparameters: keras_tuner.HyperParameters) -> keras_tuner.Oracle:
        """An oracle over all candidates.

        Raises:
            SearchError: the space has more candidates than the budget has trials.
        """
        _require_covered(spec, hyperparameters)
        candidates = enumerate_candidates(parameters(hyperparameters))
        return _Enumeration(candidates=candidates, **settings(spec, hyperparameters))

    def plan(self, spec: SearchSpec, hyperparameters: keras_tuner.HyperParameters) -> Plan:
        """One full-length trial per candidate.

        Raises:
            SearchError: the space has more candidates than the budget has trials.
        """
        size = _require_covered(spec, hyperparameters)
        return Plan(candidates=size, trials=size, epochs=size * spec.budget.epochs)


class _Enumeration(keras_tuner.Oracle):  # type: ignore[misc]
    """Proposes a list of candidates; unlike Keras Tuner's grid oracle, it does not wait for results."""

    def __init__(self, candidates: Iterable[Mapping[str, Value]], **settings: Any) -> None:
        super().__init__(**settings)
        self._candidates: Iterator[Mapping[str, Value]] = iter(candidates)

    def populate_space(self, trial_id: str) -> dict[str, Any]:  # noqa: ARG002 - Keras Tuner's signature
        """The next candidate, in Keras Tuner's form."""
        values = next(self._candidates, None)
        return {"status": "STOPPED" if values is None else "RUNNING", "values": values}


def _require_covered(spec: SearchSpec, hyperparameters: keras_tuner.HyperParameters) -> int:
    size = count_candidates(parameters(hyperparameters))
    if size is None or size > spec.budget.trials:
        number = "infinitely many" if size is None else size
        raise SearchError(
            f"grid search needs one trial per candidate: {spec.family!r} has {number} candidates, "
            f"but the budget is {spec.budget.trials} trials; raise --trials or choose another --tuner"
        )
    return size


TUNER = GridSearch()
