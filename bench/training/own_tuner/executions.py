"""The executions of a trial, each of which builds and trains a model: their seeds, data and durations."""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import keras
import numpy as np
from filelock import FileLock

from bench.compat import own_tuner as compat
from bench.seeds import derive_seed
from bench.training.custom.shared_arrays import passing_shared_tensors
from bench.training.outcome import EpochReport
from bench.training.own_tuner.arguments import takes
from bench.training.own_tuner.content import materialized
from bench.training.own_tuner.exchange import Execution, Number, TrialTask, number
from bench.training.state import create_variables

_STANDARD_METHODS = ("fit", "train_step", "compute_metrics")


class Executions:
    """Seeds and times every model that a tuner builds, and gives `fit` its data."""

    def __init__(self, tuner: Any, task: TrialTask, objective: Any, report: EpochReport) -> None:
        """Observe the trial `task` of `tuner`, and report its epochs."""
        self._task = task
        self._objective = objective
        self._report = report
        self._builds: list[float] = []  # when each model was built
        self._curves: list[defaultdict[str, list[Number]]] = []  # of each model, as its callbacks have seen them
        self._epoch_started = time.perf_counter()
        self._results: list[Any] = []
        # One lock, which is re-entrant, since a run_trial may use a callback for several models.
        self._checkpoints = FileLock(Path(task.payload) / "checkpoints.lock")
        self._seed()  # in case that a run_trial of the user's own builds no model of the hypermodel
        if tuner.hypermodel is not None:
            self._observe_hypermodel(tuner.hypermodel)
        if hasattr(tuner, "on_epoch_end"):
            tuner.on_epoch_begin = self._before(tuner.on_epoch_begin, self._begin_epoch)
            tuner.on_epoch_end = self._before(tuner.on_epoch_end, self._end_epoch)
        run_trial = tuner.run_trial

        def keep_results(*arguments: Any, **named: Any) -> Any:
            results = run_trial(*arguments, **named)
            if results is not None:  # otherwise run_trial has reported metrics itself
                self._results = results if isinstance(results, list) else [results]
            return results

        tuner.run_trial = keep_results

    def finished(self) -> tuple[Execution, ...]:
        """What each execution returned; empty if that is unknown. Call it after a successful trial."""
        if len(self._builds) != len(self._results):
            return tuple(self._execution(result, 0.0, {}) for result in self._results)
        seconds = [end - start for start, end in pairwise([*self._builds, time.perf_counter()])]
        return tuple(map(self._execution, self._results, seconds, self._curves))

    def _execution(self, result: Any, seconds: float, observed: Mapping[str, list[Number]]) -> Execution:
        metrics, best_epoch = compat.execution_metrics(result, self._objective)
        has_history = isinstance(result, keras.callbacks.History)
        curves = result.history if has_history else observed
        return Execution(
            metrics={name: number(value) for name, value in metrics.items()},
            best_epoch=best_epoch if has_history else None,
            epochs=max(map(len, curves.values()), default=0),
            seconds=seconds,
            curves={name: tuple(map(number, values)) for name, values in curves.items()},
        )

    def _observe_hypermodel(self, hypermodel: Any) -> None:
        build, fit = hypermodel.build, hypermodel.fit
        own_fit = compat.overridden(hypermodel, "fit")

        def seeded_build(*arguments: Any, **named: Any) -> Any:
            # After Keras Tuner's clear_session, which discards the seed.
            self._seed()
            self._builds.append(time.perf_counter())
            self._curves.append(defaultdict(list))
            return build(*arguments, **named)

        def fit_on_materialized_data(hp: Any, model: Any, *arguments: Any, **named: Any) -> Any:
            arguments = tuple(materialized(position, value) for position, value in enumerate(arguments))
            named = {name: materialized(name, value) for name, value in named.items()}
            # A `fit` of the user's own may set it or not have it, and it may be the fifth positional argument.
            if "verbose" in named or not (own_fit or len(arguments) > 4 or not takes(model.fit, "verbose")):
                named["verbose"] = 0
            for callback in named.get("callbacks") or ():
                if isinstance(callback, keras.callbacks.ModelCheckpoint):
                    self._save_alone(callback)
            if not own_fit:
                _create_variables(model, arguments[1] if len(arguments) > 1 else named.get("y"))
            shared = passing_shared_tensors(model) if isinstance(model, keras.Model) else nullcontext()
            with shared:
                return fit(hp, model, *arguments, **named)

        hypermodel.build, hypermodel.fit = seeded_build, fit_on_materialized_data

    def _save_alone(self, checkpoint: keras.callbacks.ModelCheckpoint) -> None:
        """Let a callback save while no other trial does, since its file may be the same."""
        hook = "on_epoch_end" if checkpoint.save_freq == "epoch" else "on_train_batch_end"
        save = getattr(checkpoint, hook)

        def save_alone(*arguments: Any, **named: Any) -> None:
            with self._checkpoints:
                save(*arguments, **named)

        setattr(checkpoint, hook, save_alone)

    def _seed(self) -> None:
        task = self._task
        keras.utils.set_random_seed(derive_seed(task.seed, "trial", task.trial_id, task.run, len(self._builds)))

    def _before(self, method: Callable[..., None], observe: Callable[..., None]) -> Callable[..., None]:
        def observed(trial: Any, model: Any, epoch: int, logs: Any = None) -> None:
            observe(epoch, logs or {})
            method(trial, model, epoch, logs=logs)

        return observed

    def _begin_epoch(self, _epoch: int, _logs: Any) -> None:
        self._epoch_started = time.perf_counter()

    def _end_epoch(self, epoch: int, logs: Any) -> None:
        for name, metric in logs.items() if self._curves else ():
            self._curves[-1][name].append(number(metric))
        self._report(epoch + 1, time.perf_counter() - self._epoch_started)


def _create_variables(model: Any, labels: Any) -> None:
    """Create the variables of the optimizer and of the metrics, where this cannot change what `fit` does."""
    if not isinstance(model, keras.Model) or not (model.built and model.compiled):
        return
    if any(getattr(type(model), name) is not getattr(keras.Model, name) for name in _STANDARD_METHODS):
        return
    shape = getattr(model, "output_shape", None)  # models of the user's own class have none
    if not isinstance(shape, tuple) or not all(isinstance(size, int) for size in shape[1:]):
        return  # several outputs, or of unknown size
    if isinstance(labels, np.ndarray) and labels.dtype.isnative and labels.dtype.kind in "biuf":
        # A metric that runs eagerly may refuse arrays; `fit`, which passes tensors, creates what is missing.
        with suppress(Exception):
            create_variables(model, labels[:2], shape[1:])
