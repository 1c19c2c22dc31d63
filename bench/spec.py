"""What is asked: a run, its budget, and one candidate for a worker. Validated when built."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from bench.errors import SpecError
from bench.seeds import derive_seed

# 1: first. Raised when a change to splits, scoring or training makes older scores incomparable.
PROTOCOL_VERSION = 1

Value = int | float | str | bool
Precision = Literal["float32", "bfloat16"]
Tuner = Literal["hyperband", "random", "bayesian", "grid"]
Fixed = Literal["fixed"]  # in the place of a tuner: a model that is given, and not searched
TUNERS: tuple[str, ...] = get_args(Tuner)
PRECISIONS: tuple[str, ...] = get_args(Precision)
DEFAULT_TUNER: Tuner = "hyperband"
DEFAULT_SEEDS = 5
DEFAULT_LOOKAHEAD = 4


def _require(name: str, value: int, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise SpecError(f"{name} must be a whole number from {low} to {high}, got {value!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How much a search may train: `trials` candidates of `epochs` each, or the same epochs spent otherwise."""

    trials: int
    epochs: int

    def __post_init__(self) -> None:
        _require("trials", self.trials, 1, 100_000)
        _require("epochs", self.epochs, 1, 10_000)

    @property
    def total_epochs(self) -> int:
        """Training epochs that all trials of a family may use together."""
        return self.trials * self.epochs


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """One run: everything that decides its numbers, and nothing that does not (workers, folders, progress)."""

    dataset: str
    family: str  # or the name of a reference, where the tuner is "fixed"
    family_source: str  # digest of its code, so that an edited family is another run
    tuner: Tuner | Fixed
    budget: Budget
    seed: int
    seeds: int  # how many times the winner is refitted
    precision: Precision  # of the search; refits are always float32
    lookahead: int  # how many trials may be asked before the oldest of them is told
    protocol: int = PROTOCOL_VERSION
    seconds: int | None = None  # wall-clock limit, start-up, refits and judging included

    def __post_init__(self) -> None:
        if self.tuner not in (*TUNERS, "fixed"):
            raise SpecError(f"tuner must be one of {', '.join(TUNERS)}, got {self.tuner!r}")
        if self.precision not in PRECISIONS:
            raise SpecError(f"precision must be one of {', '.join(PRECISIONS)}, got {self.precision!r}")
        for field, allowed in (("dataset", r"\w+"), ("family", r"[\w-]+" if self.fixed else r"\w+")):
            if not re.fullmatch(allowed, getattr(self, field), re.ASCII):
                raise SpecError(f"{field} must be letters, digits and _, got {getattr(self, field)!r}")
        _require("seed", self.seed, 0, 2**31 - 1)
        _require("seeds", self.seeds, 1, 1_000)
        _require("lookahead", self.lookahead, 1, 1_000)
        if self.seconds is not None:
            _require("seconds", self.seconds, 1, 10_000_000)

    @property
    def fixed(self) -> bool:
        """Whether the model is given, and not searched."""
        return self.tuner == "fixed"

    @property
    def digest(self) -> str:
        """Ten hexadecimal digits that change with any field."""
        # What is not asked for is left out, so that runs from before it could be asked for keep their names.
        asked = {name: value for name, value in asdict(self).items() if value is not None}
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:10]

    @property
    def name(self) -> str:
        """The name of the run's folder: family, tuner and digest."""
        return f"{self.family}-{self.tuner}-{self.digest}"

    def differences(self, other: "RunSpec") -> dict[str, tuple[Any, Any]]:
        """Field name to (here, there) for each field whose value differs."""
        here, there = asdict(self), asdict(other)
        return {name: (here[name], there[name]) for name in here if here[name] != there[name]}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialSpec:
    """One candidate as a worker gets it: train from `initial_epoch` to `epochs`, schedule ending at `horizon`."""

    dataset: str
    family: str
    values: Mapping[str, Value]  # active hyperparameters only
    # What it is fitted on: "train" leaves the validation split for scoring; "reference" is what its own recipe says.
    part: Literal["train", "development", "reference"]
    seed: int
    initial_epoch: int
    epochs: int
    horizon: int
    precision: Precision
    keep_state: bool  # whether a later trial may go on from here

    def __post_init__(self) -> None:
        if not 0 <= self.initial_epoch < self.epochs <= self.horizon:
            raise SpecError(
                "a trial needs 0 <= initial_epoch < epochs <= horizon, got "
                f"{self.initial_epoch}, {self.epochs}, {self.horizon}"
            )


def candidate_values(values: Mapping[str, Value]) -> dict[str, Value]:
    """`values` without the `tuner/*` keys in which Hyperband keeps its own state."""
    return {name: value for name, value in values.items() if not name.startswith("tuner/")}


def trial_seed(run_seed: int, values: Mapping[str, Value]) -> int:
    """The seed of a candidate: a function of its values, so that a promoted trial keeps its own."""
    return derive_seed(run_seed, "trial", json.dumps(candidate_values(values), sort_keys=True))
