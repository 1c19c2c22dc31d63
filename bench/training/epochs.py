"""Train a candidate epoch by epoch: report each, score it, stop in time."""

import math
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from bench.compat.tensorflow import silence_graph_reports
from bench.records.spec import TrialSpec
from bench.seeds import derive_seed
from bench.training.candidate import Candidate, training
from bench.training.custom.family import Built
from bench.training.custom.fitting import Fit, check_agreement, fit_by_itself, known
from bench.training.outcome import EpochReport, State
from bench.training.scoring import Scored, Scorer
from bench.training.state import averaged_weights, averages_weights, get_state


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """The outcome of a training."""

    logs: list[dict[str, float]]  # of all completed epochs; of a `fit` of the model's own, those that it reports
    seconds: float  # wall clock
    cut: bool  # stopped by its deadline
    score: float | None  # objective on the validation images; None if it is the last validation accuracy in `logs`
    state: State | None = None  # to continue training; None unless `spec.keep_state` and all epochs completed


class NonFiniteLossError(Exception):
    """The loss became NaN or infinite."""


class _TimeLimitReached(Exception):
    """Raised between two batches to stop `fit`."""


def fit(
    candidate: Candidate,
    spec: TrialSpec,
    report: EpochReport,
    *,
    first_epoch: int = 0,
    deadline: float = math.inf,
) -> Fitted:
    """Train until the last epoch or `deadline` (time.perf_counter).

    Raises:
        NonFiniteLossError: the loss became NaN or infinite.
        UnsuitableModelError: the `fit` of the model's own reports something else than the suite measures.
    """
    if candidate.custom is not None and candidate.own_fit is not None:
        return _fit_by_itself(candidate, candidate.custom, candidate.own_fit, spec, report, deadline=deadline)
    scorer = None if candidate.custom is None and spec.objective is None else candidate.validation_scorer()
    # Keras evaluates a Family itself; the metrics of other models may be missing or have any name.
    own_metrics = candidate.custom is not None
    monitor = EpochMonitor(
        report, deadline, scorer if own_metrics else None, only_known=own_metrics, keep_state=spec.keep_state
    )
    batches = candidate.data.training_batches(spec.seed, first_epoch, spec.epochs)
    started = time.perf_counter()
    with suppress(_TimeLimitReached), silence_graph_reports(), training(spec):
        candidate.model.fit(
            batches,
            initial_epoch=first_epoch,
            epochs=spec.epochs,
            steps_per_epoch=candidate.data.steps,
            validation_data=None if own_metrics else candidate.data.validation_batches(),
            callbacks=[monitor],
            shuffle=False,
            verbose=0,
        )
    seconds = time.perf_counter() - started
    cut = len(monitor.logs) < spec.epochs - first_epoch
    score = None
    if spec.objective is not None and scorer is not None and not cut:
        score = (monitor.scored or scorer()).objective(spec.objective)
    return Fitted(logs=monitor.logs, seconds=seconds, cut=cut, score=score, state=monitor.state)


def _fit_by_itself(
    candidate: Candidate, built: Built, own_fit: Fit, spec: TrialSpec, report: EpochReport, *, deadline: float
) -> Fitted:
    """Train by the `fit` of the hypermodel, which may stop early, from the first epoch."""
    monitor = EpochMonitor(report, deadline, None, only_known=True)
    # Shuffling and dropout do not depend on how often the model was built before.
    keras.utils.set_random_seed(derive_seed(spec.seed, "fit"))
    started, cut, reported = time.perf_counter(), True, list[dict[str, float]]()
    with suppress(_TimeLimitReached), silence_graph_reports(), training(spec):
        reported = fit_by_itself(
            own_fit,
            built.hp,
            candidate.model,
            candidate.data,
            built.interface,
            epochs=spec.epochs,
            callbacks=[monitor],
        )
        cut = False
    logs = monitor.logs or reported
    scorer = candidate.validation_scorer()
    scored = None if cut or scorer is None else scorer()
    if scored is not None:
        _require_finite({"val_loss": scored.loss}, spec.epochs)
        if not averages_weights(candidate.model):  # otherwise each epoch is scored before the weights are averaged
            check_agreement(reported or logs, scored)
        if not monitor.logs:  # otherwise it has reported each epoch
            report(spec.epochs, (time.perf_counter() - started) / spec.epochs)
    score = None if scored is None else scored.objective(spec.objective)
    return Fitted(logs=logs, seconds=time.perf_counter() - started, cut=cut, score=score)


class EpochMonitor(keras.callbacks.Callback):  # type: ignore[misc]
    """Reports epochs; stops training if the loss is not finite or time is up."""

    def __init__(
        self,
        report: EpochReport,
        deadline: float,
        scorer: Scorer | None,
        *,
        only_known: bool,
        keep_state: bool = False,
    ) -> None:
        """Report epochs until `deadline`.

        Args:
            report: called after each epoch.
            deadline: time.perf_counter() at which training stops.
            scorer: measures validation accuracy and loss after each epoch; None if Keras does, or nothing.
            only_known: ignore metrics that are neither a loss nor an accuracy.
            keep_state: copy the state after the last epoch.
        """
        super().__init__()
        self.report = report
        self.deadline = deadline
        self.scorer = scorer
        self.only_known = only_known
        self.keep_state = keep_state
        self.scored: Scored | None = None  # after the last completed epoch
        self.logs: list[dict[str, float]] = []  # of each completed epoch
        self.state: State | None = None
        self.epoch_started = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002 - Keras'
        """Stop if time is up."""
        if time.perf_counter() > self.deadline:
            raise _TimeLimitReached

    def on_test_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """The same during validation."""
        self.on_train_batch_end(batch, logs)

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002 - Keras'
        """Start the clock."""
        self.epoch_started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Store and report the epoch."""
        values = known(logs or {}) if self.only_known else dict(logs or {})
        if self.scorer is not None:
            with averaged_weights(self.model):
                self.scored = self.scorer()
            values |= {"val_loss": self.scored.loss, "val_accuracy": self.scored.accuracy}
        _require_finite(values, epoch + 1)
        self.logs.append(values)
        if self.keep_state and epoch + 1 == self.params["epochs"]:
            # Before the end of `fit`, which may replace the weights by their moving average.
            self.state = get_state(self.model)
        self.report(epoch + 1, time.perf_counter() - self.epoch_started)


def _require_finite(values: Mapping[str, float], epoch: int) -> None:
    not_finite = [f"{name} is {value}" for name, value in values.items() if not np.isfinite(value)]
    if not_finite:
        raise NonFiniteLossError(f"{', '.join(not_finite)} after epoch {epoch}")
