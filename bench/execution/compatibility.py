"""Whether a run may go on here: with other data or other versions it would end as neither run."""

from collections.abc import Sequence

from packaging.version import Version

from bench.errors import SearchError
from bench.machine import Environment
from bench.records.record import DatasetFacts
from bench.records.spec import RunSpec
from bench.records.store import RunFolder
from bench.workers.tasks import WorkerInfo

OLDEST = {"tensorflow": "2.16", "keras": "3.1", "keras_tuner": "1.4.8"}  # with which everything was tried
SAME_VERSIONS = ("tensorflow", "keras", "keras_tuner", "numpy")
SAME_ENVIRONMENT = (*SAME_VERSIONS, "cpu")


def check_versions(environment: Environment) -> None:
    """Look whether this environment can do what it is asked for, before anything starts.

    Raises:
        SearchError: a library is missing, or older than the oldest that everything was tried with.
    """
    for name, oldest in OLDEST.items():
        found, package = getattr(environment, name), name.replace("_", "-")
        if found == "missing" or Version(found) < Version(oldest):
            raise SearchError(
                f"{package} {oldest} or newer is needed, here it is {found}: `pip install --upgrade {package}`"
            )


def check_environment(folder: RunFolder, environment: Environment) -> None:
    """Compare what decides the numbers of a run with every earlier session of it.

    Raises:
        SearchError: it was begun with another version or on another processor.
    """
    for event in folder.events():
        for name in SAME_ENVIRONMENT if event.environment is not None else ():
            then, today = getattr(event.environment, name), getattr(environment, name)
            if then != today:
                raise SearchError(
                    f"{folder.path} was begun with {name} {then}, now it is {today}: "
                    "go on there, or start anew with --again"
                )


def check_data(folder: RunFolder, dataset: DatasetFacts) -> None:
    """Compare the dataset with every earlier session of a run.

    Raises:
        SearchError: it was begun on other data.
    """
    for event in folder.events():
        if event.dataset is not None and event.dataset != dataset:
            raise SearchError(
                f"{folder.path} was begun on {dataset.name} with checksum {event.dataset.checksum[:16]}, "
                f"now it is {dataset.checksum[:16]}: restore the data, or start anew with --again"
            )


class Admission:
    """Which workers of a cluster may take part: all like this process, and like each other."""

    def __init__(self, here: Environment, specs: Sequence[RunSpec], dataset: DatasetFacts) -> None:
        """Admit workers to runs of `specs`, which this process reads the results of."""
        self._here = here
        self._sources = {spec.family: spec.source for spec in specs}
        self._checksum = dataset.checksum
        self.environment: Environment | None = None  # of the first that was admitted; trials are trained there

    def refuse(self, found: WorkerInfo) -> str | None:
        """Why a worker that says `found` of itself may not take part; None where it may."""
        for name in SAME_VERSIONS:
            there, here = getattr(found.environment, name), getattr(self._here, name)
            if there != here:
                return f"it has {name} {there}, here it is {here}"
        first = self.environment or found.environment
        if found.environment.cpu != first.cpu:
            # The same seed gives other weights on another processor.
            return f"its processor is {found.environment.cpu}, that of the first worker is {first.cpu}"
        for family, source in self._sources.items():
            if found.sources.get(family) != source:
                return f"its code of family {family!r} is {found.sources.get(family, 'missing')}, here it is {source}"
        if found.checksum != self._checksum:
            return f"its dataset has checksum {found.checksum[:16]}, here it is {self._checksum[:16]}"
        self.environment = first
        return None
