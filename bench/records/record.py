"""Run records, from which all tables are made, and the history of their schema."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec

from bench.errors import RecordError
from bench.machine import Environment
from bench.records.choices import Precision
from bench.records.dataset import DatasetFacts
from bench.records.space import Parameter
from bench.records.spec import RunSpec, SearchSpec, Value

# 1: first.
# 2: the spec may have a time limit, which may cut trials short.
# 3: reference models, without trials and winner; the environment has the number of threads.
# 4: separate types for searches and reference models, in specs and records; no `tuner/*` keys among hyperparameters;
#    records name the published run that they reproduce and later code that they were verified with; no idle seconds of
#    workers.
# 5: the spec has the number of its split, and a maximum number of pending trials instead of `lookahead`.
# 6: optional fields for datasets given by path, which have digests and duplicates; for families that bring their own
#    recipe, other objectives and class weights; for reference models that were trained elsewhere; and, in ledgers, for
#    the plan of a search, and for when refits and waits ended, in seconds of the run.
SCHEMA_VERSION = 6
READABLE_SCHEMAS = (1, 2, 3, 4, 5, 6)  # older ones by bench.records.upgrades


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Learning curves, one value per epoch, starting with the candidate's first epoch."""

    training_loss: tuple[float, ...] = ()
    training_accuracy: tuple[float, ...] = ()  # fraction in [0, 1], running mean over the epoch
    validation_loss: tuple[float, ...] = ()  # empty without a validation split
    validation_accuracy: tuple[float, ...] = ()  # fraction in [0, 1]

    def __post_init__(self) -> None:
        for name in self.__slots__:
            for epoch, value in enumerate(getattr(self, name), 1):
                in_range = math.isfinite(value) if name.endswith("loss") else 0 <= value <= 1
                if not in_range:
                    raise RecordError(
                        f"{name} is {value} after epoch {epoch}: losses must be finite, accuracies in [0, 1]; end the "
                        "curve before the epoch in which the trial diverged"
                    )

    def __add__(self, later: "Curve") -> "Curve":
        """Append a later part of the same training."""
        return Curve(**{name: getattr(self, name) + getattr(later, name) for name in self.__slots__})


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRecord:
    """One trained candidate; tables depend only on these fields."""

    number: int  # order of proposal, from 0
    trial_id: str
    values: Mapping[str, Value]  # active hyperparameters only
    status: Literal["ok", "failed", "cut"]  # "cut": stopped by the time limit, without a score
    error: str | None  # None unless status is "failed"
    seed: int
    parent: str | None  # id of the trial that it continues
    duplicate_of: str | None  # id of the trial whose result it shares, if it was proposed before
    initial_epoch: int
    epochs: int  # at the end, counted from the candidate's first epoch
    parameters: int | None  # number of weights; None if the model could not be built
    curve: Curve  # of all epochs, including its parents' epochs
    fit_seconds: float  # wall clock inside its own fit, without that of its parents, including validation
    task_seconds: float  # wall clock of the whole task in its workers: build, tracing, fit, and failed attempts
    ended_seconds: float  # since the start of the run, excluding what total_seconds excludes
    # Objective on the validation images after training, in [0, 1]; None if it is the last accuracy of the curve.
    objective_score: float | None = None
    unsearched: Mapping[str, Value] | None = None  # hyperparameters that it used at their defaults, not in the space
    retrained_epochs: int = 0  # before initial_epoch, retrained, since the model's own `fit` cannot continue

    def __post_init__(self) -> None:
        if (self.status == "failed") != (self.error is not None):
            raise RecordError(
                f"trial {self.trial_id} must have an error if and only if it failed, got status={self.status!r}, "
                f"error={self.error!r}"
            )
        if self.status != "ok":
            return
        if not 0 <= self.initial_epoch < self.epochs:
            raise RecordError(
                f"trial {self.trial_id}: expected 0 <= initial_epoch < epochs, got {self.initial_epoch}, {self.epochs}"
            )
        # A `fit` of the model's own may stop early, or report nothing.
        if (length := len(self.curve.validation_accuracy)) != self.epochs and self.objective_score is None:
            raise RecordError(f"trial {self.trial_id}: expected a curve of {self.epochs} epochs, got {length}")
        if self.objective_score is not None and not 0 <= self.objective_score <= 1:
            raise RecordError(f"trial {self.trial_id}: objective_score must be in [0, 1], got {self.objective_score}")

    @property
    def score(self) -> float:
        """Validation accuracy, or another objective, after the last epoch, in [0, 1].

        That of the best epoch would be biased upwards.

        Raises:
            RecordError: the trial failed or was cut short.
        """
        if self.status != "ok":
            reason = f"it failed: {self.error}" if self.status == "failed" else "the time limit cut it short"
            raise RecordError(f"trial {self.trial_id} has no score, since {reason}")
        return self.curve.validation_accuracy[-1] if self.objective_score is None else self.objective_score

    @property
    def validation_accuracy(self) -> float | None:
        """After the last epoch, in [0, 1]; None if the trial has no score, or its own fit reports no accuracy."""
        curve = self.curve.validation_accuracy
        return curve[-1] if self.status == "ok" and curve else None

    @property
    def trained_epochs(self) -> int:
        """Epochs that it trained itself."""
        return self.epochs - self.initial_epoch + self.retrained_epochs


@dataclass(frozen=True, slots=True, kw_only=True)
class RefitRecord:
    """The winner retrained on all development images with one seed."""

    number: int  # from 0
    seed: int
    epochs: int
    curve: Curve  # training only
    # On the images it was trained on, in inference mode, fraction in [0, 1]; of a model trained elsewhere, on all
    # development images.
    train_accuracy: float
    parameters: int
    summary: str  # Keras' model summary, as plain text
    weights_sha256: str  # over all weights in order
    fit_seconds: float
    task_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Prediction time of the first refit; before December 2026 other tasks of the command may have been running."""

    microseconds_per_image: float  # median over `repeats`
    batch_size: int
    images: int  # in each repeat
    repeats: int
    threads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedAccuracy:
    """The test accuracy that the author of a model published."""

    text: str  # in the author's words
    low: float  # bounds of the values that round to it, fractions in [0, 1]
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnRecipe:
    """How a model that is not a Family is trained, and what it receives; of the default candidate."""

    training: str  # in words
    inputs: str  # in words: type, range and shape of the pixels, and why
    own_fit: bool  # whether its hypermodel overrides `fit`


class SearchOutcome(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="search"):
    """The trials of a search and its winner."""

    space: tuple[Parameter, ...]
    trials: tuple[TrialRecord, ...]
    winner: str  # trial id
    search_seconds: float  # from start to the last result, including start-up; excludes what total_seconds excludes
    overruled_proposals: int  # proposals that the ledger overruled when the run was resumed
    own_recipe: OwnRecipe | None = None  # None for a Family, which follows the suite's recipe

    def __post_init__(self) -> None:
        statuses = {trial.trial_id: trial.status for trial in self.trials}
        if (status := statuses.get(self.winner)) != "ok":
            found = f"status {status!r}" if status else f"no such trial among {len(statuses)}"
            raise RecordError(f"winner {self.winner!r} must be a trial with status 'ok', found {found}")

    @property
    def winning_trial(self) -> TrialRecord:
        """The trial whose hyperparameters were refit."""
        return next(trial for trial in self.trials if trial.trial_id == self.winner)

    @property
    def trained_epochs(self) -> int:
        """Complete epochs trained by all trials together, excluding failed trials."""
        trained = (trial for trial in self.trials if trial.duplicate_of is None and trial.status != "failed")
        return sum(trial.trained_epochs for trial in trained)


class ReferenceModel(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="reference"):
    """A model without a search."""

    # A published Keras model, a scikit-learn classifier, or a Keras model that was trained elsewhere.
    group: Literal["tutorial", "classifier", "external"]
    recipe: str  # how it is trained, in words; of a model trained elsewhere, where it comes from and what it expects
    deterministic: bool  # whether all seeds give the same model
    published: PublishedAccuracy | None

    @property
    def is_network(self) -> bool:
        """Whether it is a Keras model."""
        return self.group != "classifier"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """A finished run. It contains no test scores: they are computed from the predictions stored next to it."""

    schema: int
    run_id: str  # folder name
    spec: RunSpec
    dataset: DatasetFacts
    environment: Environment
    origin: SearchOutcome | ReferenceModel  # how the evaluated model was chosen
    refits: tuple[RefitRecord, ...]
    predictions_sha256: str  # of the arrays in predictions.npz
    latency: Latency
    precision_refit: Precision
    workers: int
    started: str  # ISO 8601, UTC
    finished: str
    # From start to record, including data loading and start-up, excluding pauses between sessions and waits for other
    # runs of the same command.
    total_seconds: float
    resumed: int  # how many times the run was resumed
    reproduces: str | None = None  # id of the published run that it reproduced with different predictions
    verified_sources: tuple[str, ...] = ()  # digests of later code with which `bench verify` got identical predictions

    def __post_init__(self) -> None:
        if isinstance(self.spec, SearchSpec) != isinstance(self.origin, SearchOutcome):
            raise RecordError(
                f"{self.run_id}: spec and origin must both be of a search or of a reference model, "
                f"got {type(self.spec).__name__} and {type(self.origin).__name__}"
            )
        if len(self.refits) != self.spec.refit_seeds:
            raise RecordError(f"{self.run_id}: expected {self.spec.refit_seeds} refits, found {len(self.refits)}")

    @property
    def search(self) -> SearchOutcome | None:
        """The search outcome; None for a reference model."""
        return self.origin if isinstance(self.origin, SearchOutcome) else None

    @property
    def reference(self) -> ReferenceModel | None:
        """The reference model; None for a search."""
        return self.origin if isinstance(self.origin, ReferenceModel) else None

    @property
    def trials(self) -> tuple[TrialRecord, ...]:
        """The trials of the search; none for a reference model."""
        return () if self.search is None else self.search.trials

    @property
    def hyperparameters(self) -> Mapping[str, Value]:
        """Those of the winner; none for a reference model."""
        return {} if self.search is None else self.search.winning_trial.values

    @property
    def deterministic(self) -> bool:
        """Whether all seeds give the same model."""
        return self.reference is not None and self.reference.deterministic

    @property
    def is_tutorial(self) -> bool:
        """Whether it is a model of a published tutorial."""
        return self.reference is not None and self.reference.group == "tutorial"

    @property
    def trained_elsewhere(self) -> bool:
        """Whether the model was trained outside this package, so that its training data and cost are unknown."""
        return self.reference is not None and self.reference.group == "external"

    @property
    def sources(self) -> tuple[str, ...]:
        """Digests of all code known to give this record's predictions."""
        return (self.spec.source, *self.verified_sources)
