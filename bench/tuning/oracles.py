"""Keras Tuner's oracles, deterministic and without files: who proposes the next candidate."""

import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import cache
from itertools import pairwise
from typing import Any

import keras_tuner
from keras_tuner.engine.base_tuner import BaseTuner

from bench.errors import SearchError
from bench.records.record import Condition, Parameter
from bench.records.spec import Budget, RunSpec, Value
from bench.seeds import derive_seed

OBJECTIVE = "val_accuracy"
HYPERBAND_FACTOR = 3
# Keras Tuner stops a search after a few failures in a row; here only the budget does.
NEVER = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a tuner makes of a budget."""

    candidates: int  # different hyperparameter values
    tasks: int  # trainings, those that continue an earlier one included
    epochs: int  # trained in all


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One trial as the oracle asks for it."""

    trial_id: str
    values: Mapping[str, Value]
    initial_epoch: int
    epochs: int
    parent: str | None


class Answer(Enum):
    """Why an oracle has no proposal."""

    WAIT = "IDLE"  # it must be told more first
    END = "STOPPED"  # the search is over


class Oracle:
    """One search's oracle behind three verbs; every call in the same order gives the same proposals."""

    def __init__(self, oracle: keras_tuner.Oracle, epochs: int) -> None:
        """Drive `oracle`; `epochs` is what a trial of full length trains."""
        self._oracle = oracle
        self._oracle.verbose = 0
        self._epochs = epochs
        self._folder = tempfile.TemporaryDirectory(prefix="bench-oracle-")
        # The public way to give an oracle the folder that it insists on.
        BaseTuner(oracle=oracle, directory=self._folder.name, project_name="oracle")
        self._asked = 0

    def ask(self) -> Proposal | Answer:
        """The next proposal, or why there is none."""
        with warnings.catch_warnings():
            # scikit-learn's Gaussian process tells of every bound that it touches.
            warnings.filterwarnings("ignore", module="sklearn")
            trial = self._oracle.create_trial(f"slot{self._asked}")
        if trial.status in ("STOPPED", "IDLE"):
            return Answer(trial.status)
        self._asked += 1
        return self._proposal(trial)

    def overrule(self, trial_id: str, values: Mapping[str, Value]) -> Proposal:
        """Replace what was proposed by what the ledger says was asked, and give that back."""
        trial = self._oracle.get_trial(trial_id)
        trial.hyperparameters.values = dict(values)
        return self._proposal(trial)

    def tell(self, trial_id: str, score: float | None, error: str | None = None) -> None:
        """The score of a trial, validation accuracy in [0, 1]; None where it failed."""
        trial = self._oracle.get_trial(trial_id)
        if score is None:
            trial.status, trial.message = "FAILED", error
        else:
            self._oracle.update_trial(trial_id, {OBJECTIVE: score})
            trial.status = "COMPLETED"
        self._oracle.end_trial(trial)

    def promotable(self) -> set[str]:
        """Trials that may still be promoted, under way or ended; others' states are of no use."""
        return self._oracle.promotable() if isinstance(self._oracle, _Hyperband) else set()

    def close(self) -> None:
        """Remove the oracle's folder."""
        self._folder.cleanup()

    def _proposal(self, trial: Any) -> Proposal:
        values = dict(trial.hyperparameters.values)
        return Proposal(
            trial_id=trial.trial_id,
            values=values,
            initial_epoch=int(values.get("tuner/initial_epoch", 0)),
            epochs=int(values.get("tuner/epochs", self._epochs)),
            parent=values.get("tuner/trial_id"),
        )


def make(spec: RunSpec, hyperparameters: keras_tuner.HyperParameters) -> Oracle:
    """A new oracle for `spec` over the space that `hyperparameters` declare.

    Raises:
        SearchError: the space does not fit the tuner and the budget.
    """
    space = parameters(hyperparameters)
    size = count(space)
    common: dict[str, Any] = {
        "objective": keras_tuner.Objective(OBJECTIVE, "max"),
        "hyperparameters": hyperparameters,
        "allow_new_entries": False,
        "seed": derive_seed(spec.seed, "oracle"),
        "max_consecutive_failed_trials": NEVER,
    }
    trials = spec.budget.trials
    if size is not None and size <= trials:
        # Also for the other tuners: random search gives up early in a small space, after 20 repeated proposals.
        return Oracle(_Grid(space=space, **common), spec.budget.epochs)
    if spec.tuner == "grid":
        raise SearchError(
            f"grid search would train all {'infinitely many' if size is None else size} candidates of "
            f"{spec.family!r}, the budget is {trials} trials: raise --trials or choose another --tuner"
        )
    if spec.tuner == "random":
        return Oracle(_Random(max_trials=trials, **common), spec.budget.epochs)
    if spec.tuner == "bayesian":
        initial = max(spec.lookahead, trials // 3)
        return Oracle(_Bayesian(max_trials=trials, num_initial_points=initial, **common), spec.budget.epochs)
    return _hyperband(spec, size, common)


def make_random(spec: RunSpec, hyperparameters: keras_tuner.HyperParameters, trials: int) -> Oracle:
    """An oracle that proposes `trials` candidates of the space by chance, fewer where it has not so many."""
    budget = Budget(trials=trials, epochs=spec.budget.epochs)
    return make(replace(spec, tuner="random", budget=budget), hyperparameters)


def plan(spec: RunSpec, hyperparameters: keras_tuner.HyperParameters) -> Plan:
    """What the tuner will make of the budget.

    Raises:
        SearchError: the space does not fit the tuner and the budget.
    """
    oracle = make(spec, hyperparameters)
    if spec.tuner != "bayesian":
        return rehearse(oracle)
    # Each of its proposals costs up to a second, and how many there will be is known.
    oracle.close()
    size = count(parameters(hyperparameters))
    trials = min(spec.budget.trials, size or spec.budget.trials)
    return Plan(candidates=trials, tasks=trials, epochs=trials * spec.budget.epochs)


def _hyperband(spec: RunSpec, size: int | None, common: dict[str, Any]) -> Oracle:
    """As many whole iterations of Hyperband as the budget has epochs for."""
    budget = spec.budget

    def oracle(iterations: int, **changes: Any) -> Oracle:
        settings = {"max_epochs": budget.epochs, "factor": HYPERBAND_FACTOR, "hyperband_iterations": iterations}
        return Oracle(_Hyperband(**settings, **common | changes), budget.epochs)

    # Over a space without end: a rehearsal would break off early where a small space makes Hyperband repeat itself.
    endless = keras_tuner.HyperParameters()
    endless.Float("any", 0, 1)
    once = rehearse(oracle(1, hyperparameters=endless))
    iterations = budget.total_epochs // once.epochs
    if iterations < 1:
        raise SearchError(
            f"one iteration of hyperband at {budget.epochs} epochs trains {once.epochs} epochs, the budget is "
            f"{budget.trials} trials x {budget.epochs} = {budget.total_epochs}: "
            f"raise --trials to {-(-once.epochs // budget.epochs)} or choose --tuner random"
        )
    if size is not None and size < 2 * once.candidates * iterations:
        raise SearchError(
            f"hyperband would draw {once.candidates * iterations} candidates from a space of only {size}: "
            f"raise --trials to {size} to train them all, or choose --tuner random"
        )
    return oracle(iterations)


def rehearse(oracle: Oracle) -> Plan:
    """What a search by `oracle` will train, found by playing it through with equal scores; closes the oracle."""
    proposals = []
    while isinstance(proposal := oracle.ask(), Proposal):
        oracle.tell(proposal.trial_id, 0.5)
        proposals.append(proposal)
    oracle.close()
    return Plan(
        candidates=sum(proposal.parent is None for proposal in proposals),
        tasks=len(proposals),
        epochs=sum(proposal.epochs - proposal.initial_epoch for proposal in proposals),
    )


def parameters(hyperparameters: keras_tuner.HyperParameters) -> tuple[Parameter, ...]:
    """The space in the order of its declaration, parents before those that depend on them."""
    return tuple(
        Parameter(
            name=hp.name,
            kind=type(hp).__name__,
            values=tuple(hp.values) if _finite(hp) else (hp.min_value, hp.max_value),
            finite=_finite(hp),
            conditions=tuple(Condition(name=parent.name, values=tuple(parent.values)) for parent in hp.conditions),
        )
        for hp in hyperparameters.space
    )


def _finite(hp: Any) -> bool:
    sampling = getattr(hp, "sampling", None)
    if type(hp).__name__ == "Int" and sampling == "linear":
        return True
    return sampling is None or hp.step is not None


def count(space: Sequence[Parameter]) -> int | None:
    """How many candidates the space has; None where one of its hyperparameters is continuous."""
    if not all(parameter.finite for parameter in space):
        return None
    parents = {condition.name for parameter in space for condition in parameter.conditions}

    @cache
    def below(index: int, chosen: tuple[tuple[str, Value], ...]) -> int:
        if index == len(space):
            return 1
        parameter = space[index]
        if not _active(parameter, dict(chosen)):
            return below(index + 1, chosen)
        if parameter.name not in parents:
            return len(parameter.values) * below(index + 1, chosen)
        return sum(below(index + 1, (*chosen, (parameter.name, value))) for value in parameter.values)

    return below(0, ())


def enumerate_space(space: Sequence[Parameter]) -> Iterator[dict[str, Value]]:
    """Every candidate of a finite space, active hyperparameters only, the last declared one changing fastest."""

    def below(index: int, chosen: dict[str, Value]) -> Iterator[dict[str, Value]]:
        if index == len(space):
            yield dict(chosen)
        elif not _active(space[index], chosen):
            yield from below(index + 1, chosen)
        else:
            for value in space[index].values:
                yield from below(index + 1, {**chosen, space[index].name: value})

    return below(0, {})


def _active(parameter: Parameter, values: Mapping[str, Value]) -> bool:
    return all(parent.name in values and values[parent.name] in parent.values for parent in parameter.conditions)


class _Unsaved:
    """The ledger is the truth; an oracle's own files would be rewritten whole at every call."""

    def save(self) -> None:
        pass


class _Random(_Unsaved, keras_tuner.oracles.RandomSearchOracle):  # type: ignore[misc]
    pass


class _Bayesian(_Unsaved, keras_tuner.oracles.BayesianOptimizationOracle):  # type: ignore[misc]
    pass


class _Hyperband(_Unsaved, keras_tuner.oracles.HyperbandOracle):  # type: ignore[misc]
    def promotable(self) -> set[str]:
        """Of each rung whose next one has room: as many of the best as there is room for, and all without a score."""
        found: set[str] = set()
        for bracket in self._brackets:
            for number, (rung, following) in enumerate(pairwise(bracket["rounds"]), 1):
                room = self._get_size(bracket["bracket_num"], number) - len(following)
                chosen = {info["past_id"] for info in following}
                left = [self.trials[info["id"]] for info in rung if info["id"] not in chosen]
                # Stable and descending, as HyperbandOracle.populate_space chooses.
                ended = sorted((t for t in left if t.status == "COMPLETED"), key=lambda t: t.score, reverse=True)
                waiting = (t for t in left if t.status not in ("COMPLETED", "FAILED", "INVALID"))
                found |= {t.trial_id for t in (*ended[:room], *(waiting if room else ()))}
        return found


class _Grid(_Unsaved, keras_tuner.Oracle):  # type: ignore[misc]
    """Enumerates the declared space; Keras Tuner's own grid waits for results and cannot be asked ahead."""

    def __init__(self, space: Sequence[Parameter], **common: Any) -> None:
        super().__init__(**common)
        self._candidates = enumerate_space(space)

    def populate_space(self, trial_id: str) -> dict[str, Any]:  # noqa: ARG002 - Keras Tuner's signature
        """The next candidate, in Keras Tuner's form."""
        values = next(self._candidates, None)
        return {"status": "STOPPED" if values is None else "RUNNING", "values": values}
