"""TPE: Optuna's tree-structured Parzen estimator chooses the next candidate; needs the extra `tpe`."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras_tuner

from bench.errors import SpecError
from bench.machine import install_command
from bench.records.space import Parameter
from bench.records.spec import SearchSpec, Value
from bench.seeds import derive_seed
from bench.tuning.space import parameters
from bench.tuning.tuner import Tuner, settings

try:
    import optuna
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
    from optuna.trial import TrialState
except ImportError as error:
    raise SpecError(
        f"tuner 'tpe' needs Optuna, which is not installed: run `{install_command('optuna')}`, or choose another tuner"
    ) from error

MAX_RANDOM = 10  # Optuna's default
MAX_ATTEMPTS = 20  # to propose a new candidate before a duplicate is accepted, as in Keras Tuner's random search


class TreeParzenEstimator(Tuner):
    """Multivariate TPE with constant liar: it treats pending trials as poor ones, to avoid proposals near them.

    Source: Bergstra et al., Algorithms for Hyper-Parameter Optimization, NeurIPS 2011;
    https://optuna.readthedocs.io/en/stable/reference/samplers/generated/optuna.samplers.TPESampler.html
    """

    max_pending = 4

    def oracle(self, spec: SearchSpec, hyperparameters: keras_tuner.HyperParameters) -> keras_tuner.Oracle:
        """An oracle that proposes at random until a third of the trials, at least 4 and at most 10, are completed."""
        trials = spec.budget.trials
        return _Oracle(
            random_trials=min(max(self.max_pending, trials // 3), MAX_RANDOM),
            max_trials=trials,
            **settings(spec, hyperparameters),
        )


class _Oracle(keras_tuner.Oracle):  # type: ignore[misc]
    """Proposes by TPE; a proposal is a function of the seed and of the values and results of earlier trials."""

    def __init__(self, random_trials: int, **settings: Any) -> None:
        super().__init__(**settings)
        self._random_trials = random_trials
        # In order of declaration, so that parents are sampled before the hyperparameters that depend on them.
        self._dimensions: list[_Dimension] = []
        for parameter, hp in zip(parameters(self.hyperparameters), self.hyperparameters.space, strict=True):
            same_name = sum(dimension.name == parameter.name for dimension in self._dimensions)
            key = f"{parameter.name} ({same_name + 1})" if same_name else parameter.name
            self._dimensions.append(_dimension(key, parameter, hp))

    def populate_space(self, trial_id: str) -> dict[str, Any]:  # noqa: ARG002 - Keras Tuner's signature
        """The next candidate, in Keras Tuner's form."""
        study = self._study()
        tried = [trial.hyperparameters.values for trial in self.trials.values()]
        for _ in range(MAX_ATTEMPTS):
            # A rejected duplicate stays pending in `study`, so that the next attempt avoids it.
            values = self._suggest(study.ask())
            if values not in tried:
                break
        return {"status": "RUNNING", "values": values}

    def _study(self) -> optuna.Study:
        """A new study with all trials so far.

        There is one for each proposal, since the ledger may overrule the values of a trial, and a study cannot change
        those of a trial that it has proposed.
        """
        sampler = optuna.samplers.TPESampler(
            seed=derive_seed(self.seed, len(self.trials)),
            n_startup_trials=self._random_trials,
            multivariate=True,
            constant_liar=True,
        )
        with _quiet():
            study = optuna.create_study(direction="maximize", sampler=sampler)
        study.add_trials(self._convert(trial) for trial in self.trials.values())
        return study

    def _convert(self, trial: Any) -> optuna.trial.FrozenTrial:
        """A trial of Keras Tuner in Optuna's form."""
        state = {"COMPLETED": TrialState.COMPLETE, "FAILED": TrialState.FAIL}.get(trial.status, TrialState.RUNNING)
        values = trial.hyperparameters.values
        active = [
            dimension
            for dimension in self._dimensions
            if dimension.name in values and dimension.parameter.is_active(values)
        ]
        return optuna.trial.create_trial(
            state=state,
            value=trial.score if state == TrialState.COMPLETE else None,
            params={dimension.key: dimension.to_coordinate(values[dimension.name]) for dimension in active},
            distributions={dimension.key: dimension.distribution for dimension in active},
        )

    def _suggest(self, trial: optuna.Trial) -> dict[str, Value]:
        """The active hyperparameters of a new candidate."""
        values: dict[str, Value] = {}
        for dimension in self._dimensions:
            if dimension.parameter.is_active(values):
                values[dimension.name] = dimension.suggest(trial)
        return values


@dataclass(frozen=True, slots=True, kw_only=True)
class _Dimension:
    """A hyperparameter as Optuna samples it.

    Its coordinate is the index of a value if there are finitely many, which covers every kind of step. Otherwise it is
    the value or, if sampling is reverse-logarithmic, the value mirrored at the center of the range.
    """

    key: str  # name in Optuna; not that of the hyperparameter if another one has the same, under other conditions
    parameter: Parameter
    distribution: CategoricalDistribution | IntDistribution | FloatDistribution
    mirrored: bool = False

    @property
    def name(self) -> str:
        """Of the hyperparameter."""
        return self.parameter.name

    def suggest(self, trial: optuna.Trial) -> Value:
        """Sample a value."""
        distribution = self.distribution
        coordinate: int | float
        if isinstance(distribution, CategoricalDistribution):
            coordinate = trial.suggest_categorical(self.key, range(len(distribution.choices)))
        elif isinstance(distribution, IntDistribution):
            coordinate = trial.suggest_int(
                self.key, distribution.low, distribution.high, step=distribution.step, log=distribution.log
            )
        else:
            coordinate = trial.suggest_float(self.key, distribution.low, distribution.high, log=distribution.log)
        if self.parameter.finite:
            return self.parameter.values[int(coordinate)]
        return self._mirror(coordinate) if self.mirrored else coordinate

    def to_coordinate(self, value: Any) -> Any:
        """The coordinate of a value."""
        values: Any = self.parameter.values
        if isinstance(self.distribution, CategoricalDistribution):
            return int(values.index(value))
        if self.parameter.finite:
            # The nearest one: the last digit of a step on a logarithmic scale may differ between machines.
            return min(range(len(values)), key=lambda index: abs(values[index] - value))
        return self._mirror(value) if self.mirrored else value

    def _mirror(self, number: Any) -> Any:
        bounds: Any = self.parameter.values
        low, high = bounds
        return min(max(low + high - number, low), high)  # within the bounds in spite of rounding


def _dimension(key: str, parameter: Parameter, hp: Any) -> _Dimension:
    """The dimension `key` of `parameter`, which Keras Tuner declares as `hp`."""
    if parameter.finite:
        count = len(parameter.values)
        ordered = getattr(hp, "ordered", parameter.kind in ("Int", "Float"))
        distribution = IntDistribution(0, count - 1) if ordered else CategoricalDistribution(range(count))
        return _Dimension(key=key, parameter=parameter, distribution=distribution)
    low, high, log = hp.min_value, hp.max_value, hp.sampling != "linear"
    step = hp.step or 1  # of an integer
    return _Dimension(
        key=key,
        parameter=parameter,
        distribution=IntDistribution(low, high - (high - low) % step, log=log, step=step)
        if parameter.kind == "Int"
        else FloatDistribution(low, high, log=log),
        mirrored=hp.sampling == "reverse_log",
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna from logging every new study."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(level)


TUNER = TreeParzenEstimator()
