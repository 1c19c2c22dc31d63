"""What happened: records that every table is made from. Schema version and its history are here."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from bench.errors import RecordError
from bench.spec import RunSpec, Value

# 1: first.
# 2: trials may be cut short; what workers waited for (`usage`) is kept, and a wall-clock limit in the spec.
# 3: models that are given and not searched: no trials, no winner, but a `reference`; the environment has its threads.
SCHEMA_VERSION = 3
READABLE_SCHEMAS = (1, 2, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """The machine and the versions that a run was made with."""

    python: str
    tensorflow: str
    keras: str
    keras_tuner: str
    numpy: str
    scikit_learn: str
    distributed: str
    platform: str  # system, release and architecture
    cpu: str  # model name
    cores: int  # usable by this process: affinity and cgroup quota
    instruction_sets: tuple[str, ...]  # those that TensorFlow and oneDNN make use of
    onednn: str  # value of TF_ENABLE_ONEDNN_OPTS, "default" where unset
    git_commit: str | None  # of the checkout that ran, with "+" where it had uncommitted changes
    threads: int = 1  # of each process that trains; before schema 3 it was always one


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetFacts:
    """Which data a run used: sizes of its parts and the checksum of its bytes."""

    name: str
    title: str
    checksum: str  # SHA-256 over the development part's images and labels
    image_shape: tuple[int, int, int]  # height, width, channels
    class_names: tuple[str, ...]
    n_train: int
    n_validation: int
    n_test: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A hyperparameter exists only where the parent `name` has one of `values`."""

    name: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One hyperparameter of a search space."""

    name: str
    kind: str  # Keras Tuner's class: Int, Float, Choice, Boolean, Fixed
    values: tuple[Value, ...]  # all of them; (minimum, maximum) where `finite` is false
    finite: bool
    conditions: tuple[Condition, ...]  # all must hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A learning curve, one value an epoch, from the first epoch of the candidate on."""

    training_loss: tuple[float, ...] = ()
    training_accuracy: tuple[float, ...] = ()  # fraction in [0, 1], as seen during the epoch
    validation_loss: tuple[float, ...] = ()  # empty where nothing was held back
    validation_accuracy: tuple[float, ...] = ()  # fraction in [0, 1]

    def __post_init__(self) -> None:
        for name in self.__slots__:
            for epoch, value in enumerate(getattr(self, name), 1):
                in_range = math.isfinite(value) if name.endswith("loss") else 0 <= value <= 1
                if not in_range:
                    raise RecordError(
                        f"{name} is {value} after epoch {epoch}: a curve holds finite losses and accuracies in [0, 1], "
                        "and ends before the epoch in which a trial diverged"
                    )

    def __add__(self, later: "Curve") -> "Curve":
        """This curve with a later part of the same training after it."""
        return Curve(
            training_loss=self.training_loss + later.training_loss,
            training_accuracy=self.training_accuracy + later.training_accuracy,
            validation_loss=self.validation_loss + later.validation_loss,
            validation_accuracy=self.validation_accuracy + later.validation_accuracy,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRecord:
    """One candidate, as it was trained: every table is a function of these fields and of nothing else."""

    number: int  # order in which it was asked, from 0
    trial_id: str
    values: Mapping[str, Value]  # active hyperparameters only, Keras Tuner's `tuner/*` keys included
    status: Literal["ok", "failed", "cut"]  # cut short by the wall-clock limit: it has no score
    error: str | None  # what went wrong; None exactly when status is "ok"
    seed: int
    parent: str | None  # trial id that this one went on from
    repeats: str | None  # trial id whose result answered this repeated proposal
    initial_epoch: int
    epochs: int  # reached at the end, counted from the candidate's first epoch
    parameters: int | None  # weights of the model; None where it could not be built
    curve: Curve  # of all epochs, those of its parents included
    fit_seconds: float  # wall clock inside fit for epochs after initial_epoch, validation included
    task_seconds: float  # wall clock of the whole task in its worker: build, tracing, fit
    ended_seconds: float  # since the start of the session that trained it

    def __post_init__(self) -> None:
        if (self.status == "failed") != (self.error is not None):
            raise RecordError(f"trial {self.trial_id}: status={self.status!r} but error={self.error!r}")
        if self.status == "ok" and len(self.curve.validation_accuracy) != self.epochs:
            raise RecordError(
                f"trial {self.trial_id}: {self.epochs} epochs but a curve of {len(self.curve.validation_accuracy)}"
            )
        if self.status == "ok" and not 0 <= self.initial_epoch < self.epochs:
            raise RecordError(
                f"trial {self.trial_id}: 0 <= initial_epoch < epochs expected, got {self.initial_epoch}, {self.epochs}"
            )

    @property
    def score(self) -> float:
        """Validation accuracy after the last epoch, in [0, 1]; the best epoch would be optimistic.

        Raises:
            RecordError: the trial failed or was cut short.
        """
        if self.status == "failed":
            raise RecordError(f"trial {self.trial_id} failed and has no score: {self.error}")
        if self.status == "cut":
            raise RecordError(f"trial {self.trial_id} was cut short and has no score")
        return self.curve.validation_accuracy[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class RefitRecord:
    """The winner trained anew on the whole development part under one seed."""

    number: int  # from 0
    seed: int
    epochs: int
    curve: Curve  # training only
    train_accuracy: float  # of the finished model on what it was fitted on, inference mode, in [0, 1]
    parameters: int
    summary: str  # Keras' table of layers, as plain text
    weights_sha256: str  # over all weights in order
    fit_seconds: float
    task_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """How long the first refit takes to predict, alone on its worker."""

    microseconds_per_image: float  # median over `repeats`
    batch_size: int
    images: int  # in each repeat
    repeats: int
    threads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What the session that finished the run waited for; sessions before it, if any, are not counted."""

    start_seconds: float  # wall clock until the first task was given to a worker
    search_idle_seconds: float  # of workers that had nothing to do while this run searched, added up
    refit_idle_seconds: float  # the same while its winner was refitted
    judge_idle_seconds: float  # the same while it was judged, which is one task


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The test accuracy that somebody else has named for a model."""

    text: str  # in their words
    low: float  # what that may mean, fraction in [0, 1]
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A model that is given, and not searched."""

    kind: Literal["tutorial", "floor"]  # published with its recipe, or what needs no network
    recipe: str  # how it is trained, in words
    deterministic: bool  # whether every seed gives the same model, so that one says all
    published: Published | None

    @property
    def is_network(self) -> bool:
        """Whether it is a model of Keras."""
        return self.kind == "tutorial"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """A finished run. It keeps no score on the test part: all are computed from the predictions that lie beside it."""

    schema: int
    run_id: str  # folder name
    spec: RunSpec
    dataset: DatasetFacts
    environment: Environment
    space: tuple[Parameter, ...]
    trials: tuple[TrialRecord, ...]
    winner: str | None  # trial id; None for a reference, which was not searched
    refits: tuple[RefitRecord, ...]
    predictions_sha256: str  # of predictions.npz' arrays
    latency: Latency
    precision_refit: Literal["float32"]
    workers: int
    started: str  # ISO 8601, UTC
    finished: str
    search_seconds: float  # from start to the last trial told, start-up included, waiting between sessions left out
    total_seconds: float  # from start to record, data and start-up included, waiting between sessions left out
    resumed: int  # how often it was taken up again
    differing_proposals: int  # on resuming, proposals of the oracle that the ledger overruled
    usage: Usage | None = None  # None in records of schema 1
    reference: Reference | None = None  # None for what was searched

    def __post_init__(self) -> None:
        if self.spec.fixed != (self.reference is not None) or self.spec.fixed != (self.winner is None):
            raise RecordError(
                f"{self.run_id}: tuner {self.spec.tuner!r} with winner {self.winner!r} and reference {self.reference}: "
                "a reference has no winner, and nothing else is one"
            )
        if self.winner is not None and not any(trial.trial_id == self.winner for trial in self.trials):
            raise RecordError(f"{self.run_id}: winner {self.winner!r} is not among its {len(self.trials)} trials")
        if self.winner is not None and self.winning_trial.status != "ok":
            raise RecordError(f"{self.run_id}: winner {self.winner!r} is {self.winning_trial.status}")
        if len(self.refits) != self.spec.seeds:
            raise RecordError(f"{self.run_id}: {self.spec.seeds} seeds asked, {len(self.refits)} refits recorded")

    @property
    def winning_trial(self) -> TrialRecord:
        """The trial whose values were refitted.

        Raises:
            RecordError: nothing was searched.
        """
        if self.winner is None:
            raise RecordError(f"{self.run_id} was not searched: it has no winning trial")
        return next(trial for trial in self.trials if trial.trial_id == self.winner)

    @property
    def trained_epochs(self) -> int:
        """Whole epochs that the search trained, all trials together; what failed ones trained is not known."""
        kept = (trial for trial in self.trials if trial.repeats is None and trial.status != "failed")
        return sum(trial.epochs - trial.initial_epoch for trial in kept)


def comparable(record: RunRecord) -> RunRecord:
    """`record` with everything blanked that may differ when the same run is repeated on the same machine.

    These are the times, and how the run was carried out: workers, sessions, repeats of the run, commit.
    """
    trials = tuple(replace(trial, fit_seconds=0.0, task_seconds=0.0, ended_seconds=0.0) for trial in record.trials)
    refits = tuple(replace(refit, fit_seconds=0.0, task_seconds=0.0) for refit in record.refits)
    return replace(
        record,
        run_id="",
        environment=replace(record.environment, git_commit=None),
        trials=trials,
        refits=refits,
        latency=replace(record.latency, microseconds_per_image=0.0),
        workers=0,
        started="",
        finished="",
        search_seconds=0.0,
        total_seconds=0.0,
        resumed=0,
        differing_proposals=0,
        usage=None,
    )
