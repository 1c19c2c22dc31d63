"""What the calling process and a worker exchange about a trial; plain data, imports no Keras."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import numpy as np

from bench.records.choices import Precision

Config = Mapping[str, Any]  # JSON
Number = float | Literal["nan", "inf", "-inf"]  # JSON has no numbers for the latter
Status = Literal["COMPLETED", "INVALID", "FAILED"]  # Keras Tuner's


def number(value: Any) -> Number:
    """A metric as JSON; Keras Tuner averages those of several values, such as the F1 score of each class."""
    value = float(np.mean(value))
    return value if math.isfinite(value) else str(value)  # type: ignore[return-value]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialTask:
    """A trial for a worker."""

    payload: str  # folder with the tuner and the arguments of its search
    trial_id: str
    run: int  # from 1; more than 1 if Keras Tuner retries the trial
    trials: tuple[Config, ...]  # state of the trial, and of the trial whose weights it continues from
    seed: int  # of the search
    precision: Precision


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """A model trained once: a trial has one or more executions."""

    metrics: Mapping[str, Number]  # of the best epoch
    best_epoch: int | None  # from 0; None if `fit` returned metrics only
    epochs: int  # trained; 0 if unknown
    seconds: float  # 0 if unknown
    curves: Mapping[str, tuple[Number, ...]]  # by metric, one value per epoch; empty if unknown


class Update(msgspec.Struct, frozen=True, kw_only=True):
    """Metrics that a trial reports to the oracle."""

    metrics: Mapping[str, Number]
    step: int


class TrialRun(msgspec.Struct, frozen=True, kw_only=True):
    """How a trial ended, successfully or not."""

    status: Status
    message: str | None = None  # the traceback of a failed trial
    updates: tuple[Update, ...] = ()
    values: Mapping[str, Any] | None = None  # of the hyperparameters; None if they are those that were proposed
    space: Sequence[Config] | None = None  # of the trial; None if it is the one that it was proposed with
    executions: tuple[Execution, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FatalFailure:
    """An error after which no trial could succeed, as Keras Tuner's FatalError is."""

    error: BaseException
    text: str  # the traceback in the worker
