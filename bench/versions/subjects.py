"""What is measured with every version: the built-in reference models, or the user's own family."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from bench.data.catalog import DatasetLocation
from bench.records.choices import PixelRange
from bench.versions.record import SEEDS_PER_RUN, Conditions
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
    conditions: Conditions | None = None  # of all their runs

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
    dataset: DatasetLocation = DatasetLocation(DATASET)  # noqa: RUF009 - immutable
    epochs: int = FAMILY_EPOCHS
    pixel_range: PixelRange | None = None  # as in a SearchSpec
    timed_code: tuple[str, ...] = FAMILY_CODE

    @property
    def models(self) -> tuple[str, ...]:
        """The name of the family."""
        return (self.family.name,)

    def root(self, results: Path) -> Path:
        """The folder with its records, apart from those of the reference models."""
        return family_root(results, self.family.name)

    def code(self, checkout: Path) -> str:
        """Twelve hexadecimal digits that change with the code that is timed, the family's included, and the images."""
        digest = code_digest(*(checkout / file for file in self.timed_code))
        timed = f"{self._source} {self.dataset.name} {self.dataset.digest} {self.pixel_range}"
        return f"{digest[:6]}{sha256(timed.encode()).hexdigest()[:6]}"

    @property
    def conditions(self) -> Conditions:
        """Those of its training runs."""
        return Conditions(
            source=self._source,
            dataset=self.dataset.name,
            data=self.dataset.digest,
            epochs=self.epochs,
            pixel_range=self.pixel_range,
        )

    @property
    def _source(self) -> str:
        import search_spaces

        return search_spaces.source_digest(self.family)

    @property
    def _reading(self) -> dict[str, str]:
        """Options that say how images are read, and what the model receives."""
        reading = self.dataset.reading
        size = "" if reading.image_size is None else "x".join(map(str, reading.image_size))
        names = ",".join(reading.class_names)
        return {"--image-size": size, "--class-names": names, "--pixel-range": self.pixel_range or ""}

    def train(self, number: int, runs: Path) -> Sequence[object]:
        """Arguments of the process that trains run `number` with SEEDS_PER_RUN seeds into the results folder `runs`."""
        options = [
            *("--dataset", self.dataset.path or self.dataset.name, "--seed", number, "--refit-seeds", SEEDS_PER_RUN),
            *("--results", runs, *(part for option in self._reading.items() if option[1] for part in option)),
        ]
        # A single trial, with the defaults; the same split for every number, since --searches is 1.
        search = ["--tuner", "default", "--trials", 1, "--epochs", self.epochs, "--precision", "float32"]
        return "-m", "bench", "run", "--family", self.family.text, *search, *options

    def time(self, file: Path) -> Sequence[object]:
        """Arguments of the process that times the operations and writes the measurements to `file`."""
        return (
            "-m",
            "bench.versions.family_timing",
            file,
            self.family.text,
            self.dataset.path or self.dataset.name,
            *(self._reading.values()),
        )


Subject = ReferenceModels | FamilySubject


def family_root(results: Path, name: str) -> Path:
    """The folder with the records of a family."""
    return results / "versions" / "families" / name


def measured_families(results: Path) -> tuple[str, ...]:
    """Names of the families that have been measured."""
    return tuple(sorted(path.name for path in (results / "versions" / "families").glob("*") if path.is_dir()))
