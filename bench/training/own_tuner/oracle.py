"""What a tuner in a worker sees of its oracle, which is in the calling process."""

from collections.abc import Mapping
from typing import Any, NoReturn

import keras_tuner

from bench.compat import own_tuner as compat
from bench.training.own_tuner.exchange import Update, number


class TrialOracle:
    """The objective, the trial that is run, and the trial whose weights it continues from; collects metrics."""

    def __init__(self, objective: Any, trials: Mapping[str, Any], space: Any) -> None:
        """Show `trials`, by id, and a copy of `space`."""
        self.objective = objective
        self.trials = dict(trials)
        self.updates: list[Update] = []
        self._space = space

    def get_space(self) -> Any:
        """A copy of the hyperparameters of the trial."""
        return self._space.copy()

    def get_trial(self, trial_id: str) -> Any:
        """One of the trials."""
        if trial_id not in self.trials:
            self._refuse(f"get_trial({trial_id!r})")
        return self.trials[trial_id]

    def update_trial(self, trial_id: str, metrics: Mapping[str, float], step: int = 0) -> Any:
        """Collect metrics, which the calling process reports to the oracle after the trial.

        Raises:
            ValueError: the value of the objective is missing.
        """
        compat.check_objective(self, metrics)
        trial = self.get_trial(trial_id)
        for name, value in metrics.items():
            trial.metrics.update(name, value, step=step)
        self.updates.append(Update(metrics={name: number(value) for name, value in metrics.items()}, step=int(step)))
        return trial

    def __getattr__(self, name: str) -> Any:
        # Python looks up special methods that an object may lack.
        if name.startswith("__"):
            raise AttributeError(name)
        return self._refuse(name)

    def _refuse(self, what: str) -> NoReturn:
        raise keras_tuner.errors.FatalRuntimeError(
            f"run_trial uses self.oracle.{what}, but trials run in worker processes and the oracle is in the process "
            "that called bench.search: return the metrics of the trial from run_trial instead, or use tuner.search"
        )
