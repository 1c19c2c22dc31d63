"""What training returns, as plain data: the main process, which receives it, must not import Keras for it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bench.records.record import Curve
from bench.records.spec import Value

# Takes the epochs completed, and the seconds of the last one.
EpochReport = Callable[[int, float], None]
State = list[NDArray[np.generic]]  # every variable of a model, then every variable of its optimizer


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedTrial:
    """The outcome of a trial."""

    curve: Curve  # of the epochs after spec.initial_epoch
    parameters: int
    fit_seconds: float  # wall clock inside fit, including validation
    task_seconds: float  # wall clock of the task: build, tracing, fit
    state: State | None  # None unless `spec.keep_state` and the trial completed
    cut: bool  # stopped by its time limit, in an epoch that is not counted
    objective_score: float | None = None  # after training; None if it is the last validation accuracy of the curve
    unsearched: Mapping[str, Value] = field(default_factory=dict)  # hyperparameters that are not in the space
    retrained_epochs: int = 0  # before spec.initial_epoch, included in `curve`


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTimes:
    """The cost of a candidate, estimated from a few training steps."""

    start_seconds: float  # building and tracing
    epoch_seconds: float  # of a whole epoch, including validation
    parameters: int
