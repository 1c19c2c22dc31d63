"""What is measured with every version: the built-in reference models, or the user's own family."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.versions.record import SEEDS_PER_RUN
from search_spaces import FamilyLocation, code_digest

TIMED_CODE = (
    *(f"bench/versions/{name}.py" for name in ("operations", "workloads", "timing", "child_process")),
    "bench/baselines/tutorials.py",
)
FAMILY_CODE = (*TIMED_CODE, "bench/versions/family_timing.py")
MODELS = ("tutorial-dense-128", "tutorial-cnn")
DATASET = "fashion_mnist_12k"
FAMILY_EPOCHS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceModels:
    """Published models, with their own recipes."""

    models: tuple[str, ...] = MODELS  # names of tutorials whose accuracy is measured
    operations: tuple[str, ...] = ()  # names of the operations to time; empty for all
    dataset: str = DATASET
    timed_code: tuple[str, ...] = TIMED_CODE

    def root(self, results: Path) -> Path:
        """The folder with its records."""
        return results

    def code(self, checkout: Path) -> str:
        """Twelve hexadecimal digits that change with the code that is timed."""
        return code_digest(*(checkout / file for file in self.timed_code))

    def train(self, number: int, runs: Path) -> Sequence[object]:
        """Arguments of the process that trains run `number` with SEEDS_PER_RUN seeds into the results folder `runs`."""
        options = ["--dataset", self.dataset, "--seed", number, "--refit-seeds", SEEDS_PER_RUN, "--results", runs]
        return "-m", "bench", "reproduce", *self.models, *options

    def time(self, file: Path) -> Sequence[object]:
        """Arguments of the process that times the operations and writes the measurements to `file`."""
        return "-m", "bench.versions.timing", file, *self.operations


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilySubject:
    """The default candidate of a family."""

    family: FamilyLocation
    dataset: str = DATASET  # name, or absolute path
    epochs: int = FAMILY_EPOCHS
    timed_code: tuple[str, ...] = FAMILY_CODE

    @property
    def models(self) -> tuple[str, ...]:
        """The name of the family."""
        return (self.family.name,)

    def root(self, results: Path) -> Path:
        """The folder with its records, apart from those of the reference models."""
        return family_root(results, self.family.name)

    def code(self, checkout: Path) -> str:
        """Twelve hexadecimal digits that change with the code that is timed, the family's included."""
        import search_spaces

        digest = code_digest(*(checkout / file for file in self.timed_code))
        return f"{digest[:6]}{search_spaces.source_digest(self.family)[:6]}"

    def train(self, number: int, runs: Path) -> Sequence[object]:
        """Arguments of the process that trains run `number` with SEEDS_PER_RUN seeds into the results folder `runs`."""
        options = ["--dataset", self.dataset, "--seed", number, "--refit-seeds", SEEDS_PER_RUN, "--results", runs]
        # A single trial, with the defaults; the same split for every number, since --searches is 1.
        search = ["--tuner", "default", "--trials", 1, "--epochs", self.epochs, "--precision", "float32"]
        return "-m", "bench", "run", "--family", self.family.text, *search, *options

    def time(self, file: Path) -> Sequence[object]:
        """Arguments of the process that times the operations and writes the measurements to `file`."""
        return "-m", "bench.versions.family_timing", file, self.family.text, self.dataset


Subject = ReferenceModels | FamilySubject


def family_root(results: Path, name: str) -> Path:
    """The folder with the records of a family."""
    return results / "versions" / "families" / name


def measured_families(results: Path) -> tuple[str, ...]:
    """Names of the families that have been measured."""
    return tuple(sorted(path.name for path in (results / "versions" / "families").glob("*") if path.is_dir()))
