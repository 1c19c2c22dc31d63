"""Specifications of searches, reference models and trials, validated when built."""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from bench.errors import SpecError
from bench.records.choices import (
    OBJECTIVES,
    PIXEL_RANGES,
    PRECISIONS,
    PRESETS,
    ClassWeights,
    Objective,
    PixelRange,
    Precision,
    Preset,
)
from bench.records.limits import MAX_EPOCHS, MAX_MULTIPLY_ADDS, MAX_PENDING, MAX_REFIT_SEEDS, MAX_SEED, MAX_TRIALS
from bench.seeds import derive_seed
from search_spaces import FamilyLocation

# Raised when a change to splits, scoring, training, plans or spaces makes older scores incomparable.
# 1: first. 2: one split per search, presets, a recipe with warm-up and label smoothing, wider spaces.
PROTOCOL_VERSION = 2
# The same for reference models, which have neither a search nor a validation split.
REFERENCE_PROTOCOL_VERSION = 1

Value = int | float | str | bool


def require(name: str, value: int, low: int, high: int) -> None:
    """Check that an option is a whole number from `low` to `high`.

    Raises:
        SpecError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise SpecError(f"{name} must be a whole number from {low} to {high}, got {value!r}")


def require_seconds(name: str, value: float | None) -> None:
    """Check that an option is a positive, finite number of seconds, or None.

    Raises:
        SpecError: it is not.
    """
    if value is not None and not (isinstance(value, int | float) and 0 < value < math.inf):
        raise SpecError(f"{name} must be a positive number of seconds, got {value!r}")


def require_address(name: str, value: str | None) -> None:
    """Check that an option is the address of a Dask scheduler, or None.

    Raises:
        SpecError: it is not.
    """
    if value is not None and re.fullmatch(r"[a-z]+://\S+:\d+", str(value)) is None:
        raise SpecError(f"{name} must be an address such as tcp://127.0.0.1:8786, got {value!r}")


def require_model_name(option: str, value: str) -> None:
    """Check that an option is a valid name of a reference model.

    Raises:
        SpecError: it is not.
    """
    _require_name(option, value, r"[\w-]+", "ASCII letters, digits, _ and -")


def _require_name(field: str, value: str, allowed: str, meaning: str) -> None:
    if not re.fullmatch(allowed, value, re.ASCII):
        raise SpecError(f"{field} must consist of {meaning}, got {value!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The training budget of a search: `trials` times `epochs` epochs in total, of models up to a certain size."""

    trials: int
    epochs: int
    multiply_adds: int | None = None  # of the largest candidate, per image; None for the family's default

    def __post_init__(self) -> None:
        require("trials", self.trials, 1, MAX_TRIALS)
        require("epochs", self.epochs, 1, MAX_EPOCHS)
        if self.multiply_adds is not None:
            require("multiply_adds", self.multiply_adds, 1, MAX_MULTIPLY_ADDS)

    @property
    def total_epochs(self) -> int:
        """Number of epochs that all trials of a search may train together."""
        return self.trials * self.epochs


class _Spec(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """Fields shared by searches and reference models."""

    dataset: str
    source: str  # digest of the model's code, so that edited code gives a new run
    data: str | None = None  # digest of a dataset that is not identified by its name, so that other data give a new run
    seed: int  # base of all seeds of the run
    refit_seeds: int  # number of models that are trained and evaluated, each with its own seed
    protocol: int  # versions are compared within one kind of spec

    def _check(self) -> None:
        _require_name("dataset", self.dataset, r"\w+", "ASCII letters, digits and _")
        if self.data is not None:
            _require_name("data", self.data, r"[0-9a-f]+", "hexadecimal digits")
        require("seed", self.seed, 0, MAX_SEED)
        require("refit_seeds", self.refit_seeds, 1, MAX_REFIT_SEEDS)

    @property
    def digest(self) -> str:
        """Ten hexadecimal digits that depend on all fields."""
        # Unset options are omitted, so that a new option does not change the digests of older runs.
        fields = {name: value for name, value in msgspec.to_builtins(self).items() if value is not None}
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:10]

    def differences(self, other: "RunSpec") -> dict[str, tuple[Any, Any]]:
        """Fields that differ, also of the budget: name to (own value, value in `other`); None if a field is missing."""
        own, others = (fields.pop("budget", {}) | fields for fields in map(msgspec.to_builtins, (self, other)))
        pairs = {name: (own.get(name), others.get(name)) for name in (*own, *others)}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


class SearchSpec(_Spec, frozen=True, kw_only=True, tag_field="kind", tag="search"):
    """A search of a family: everything that affects its results, and nothing else (e.g. no workers or folders)."""

    family: str
    tuner: str
    budget: Budget
    precision: Precision  # of the search; refits are always float32
    preset: Preset | None = None  # which names the budget; None for a custom one
    split: int = 0  # number of the split into training and validation images
    max_pending: int | None = None  # trials that may await results at once; None: as many as the tuner proposes
    protocol: int = PROTOCOL_VERSION
    time_limit: int | None = None  # wall-clock seconds, including start-up, refits and evaluation
    definition: str | None = None  # file name or module, and object, of a family that is not known by its name alone
    objective: Objective | None = None  # metric on the validation images that is maximized; None for accuracy
    class_weights: ClassWeights | None = None  # of the loss in training
    pixel_range: PixelRange | None = None  # of the inputs of a model that is not a Family; None if the model decides

    def __post_init__(self) -> None:
        self._check()
        _require_name("family", self.family, r"\w+", "ASCII letters, digits and _")
        _require_name("tuner", self.tuner, r"[\w-]+", "ASCII letters, digits, _ and -")
        if self.precision not in PRECISIONS:
            raise SpecError(f"precision must be one of {', '.join(PRECISIONS)}, got {self.precision!r}")
        if self.preset not in (*PRESETS, None):
            raise SpecError(f"preset must be one of {', '.join(PRESETS)}, got {self.preset!r}")
        for name, valid in (("objective", OBJECTIVES), ("class_weights", ("balanced",)), ("pixel_range", PIXEL_RANGES)):
            if getattr(self, name) not in (*valid, None):
                raise SpecError(f"{name} must be one of {', '.join(valid)}, or None, got {getattr(self, name)!r}")
        if self.definition is not None and not re.fullmatch(r"[^/\\:]+:[\w.]+", self.definition):
            raise SpecError(f"definition must be a file name or module, and an object, got {self.definition!r}")
        require("split", self.split, 0, MAX_SEED)
        if self.max_pending is not None:
            require("max_pending", self.max_pending, 1, MAX_PENDING)
        if self.time_limit is not None:
            require("time_limit", self.time_limit, 1, 10_000_000)

    @property
    def model(self) -> str:
        """The name of the family."""
        return self.family

    @property
    def refit_epochs(self) -> int:
        """Epochs of a refit, equal to those of a full-length trial."""
        return self.budget.epochs

    @property
    def name(self) -> str:
        """Name of the run folder: family, tuner and digest."""
        return f"{self.family}-{self.tuner}-{self.digest}"


class ReferenceSpec(_Spec, frozen=True, kw_only=True, tag_field="kind", tag="reference"):
    """A reference model with its own recipe: a published tutorial, a scikit-learn classifier, or trained elsewhere."""

    model: str
    epochs: int  # 0 if the model is not trained in epochs
    protocol: int = REFERENCE_PROTOCOL_VERSION

    def __post_init__(self) -> None:
        self._check()
        require_model_name("model", self.model)
        require("epochs", self.epochs, 0, MAX_EPOCHS)

    @property
    def refit_epochs(self) -> int:
        """Epochs of each refit."""
        return self.epochs

    @property
    def name(self) -> str:
        """Name of the run folder: model and digest."""
        return f"{self.model}-{self.digest}"


RunSpec = SearchSpec | ReferenceSpec


def without_search_number(spec: RunSpec) -> RunSpec:
    """The spec without seed and split, which differ between several searches of a family."""
    if isinstance(spec, SearchSpec):
        return msgspec.structs.replace(spec, seed=0, split=0)
    return msgspec.structs.replace(spec, seed=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialSpec:
    """Training of one candidate, from `initial_epoch` to `epochs`, with a schedule that ends at `horizon`."""

    dataset: str
    model: str  # a family, or a reference model if `part` is "reference"
    values: Mapping[str, Value]  # active hyperparameters only
    split: int = 0  # number of the split; affects only `part` "train"
    # Images to train on: "train" excludes the validation split, used for scoring; "reference" follows the recipe.
    part: Literal["train", "development", "reference"]
    seed: int
    initial_epoch: int
    epochs: int
    horizon: int
    multiply_adds: int | None = None  # of the family's largest candidate, per image
    precision: Precision
    keep_state: bool  # whether a later trial may continue this one
    source: str | None = None  # code digest that the family must have; None if it is not checked
    definition: str | None = None  # of a family that is not known by its name alone, as in its SearchSpec
    file: str | None = None  # absolute path of the file of such a family, if it has one
    objective: Objective | None = None
    class_weights: ClassWeights | None = None
    pixel_range: PixelRange | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.initial_epoch < self.epochs <= self.horizon:
            raise SpecError(
                f"a trial of {self.model} must have 0 <= initial_epoch < epochs <= horizon, got "
                f"{self.initial_epoch}, {self.epochs}, {self.horizon}"
            )

    @property
    def family(self) -> FamilyLocation:
        """Where the family is; not for reference models."""
        return FamilyLocation(name=self.model, definition=self.definition, file=self.file)


def candidate_key(values: Mapping[str, Value]) -> str:
    """Text that identifies the hyperparameters of a candidate, in any order."""
    return json.dumps(dict(values), sort_keys=True)


def trial_key(values: Mapping[str, Value], epochs: int) -> tuple[str, int]:
    """Equal for duplicate trials: the same hyperparameters, trained for the same number of epochs."""
    return candidate_key(values), epochs


def trial_seed(run_seed: int, values: Mapping[str, Value]) -> int:
    """The seed of a candidate, a function of its hyperparameters, so that a promoted trial keeps its seed."""
    return derive_seed(run_seed, "trial", candidate_key(values))


def refit_seed(spec: RunSpec, number: int) -> int:
    """The seed of a refit; `number` counts from 0."""
    return derive_seed(spec.seed, "refit", number)
