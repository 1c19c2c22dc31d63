"""Whether a run can start or resume here: with other data or versions its parts would not fit together."""

from collections.abc import Mapping, Sequence

from packaging.version import Version

from bench.errors import SearchError
from bench.machine import Environment
from bench.records.ledger import SessionStarted
from bench.records.record import DatasetFacts
from bench.records.store import RunFolder
from bench.workers.tasks import WorkerInfo

MINIMUM_VERSIONS = {"tensorflow": "2.16", "keras": "3.1", "keras_tuner": "1.4.8"}  # the oldest that are tested
VERSIONS = ("tensorflow", "keras", "keras_tuner", "numpy")
DECISIVE = (*VERSIONS, "cpu")  # fields of an environment that decide a run's results


def check_versions(environment: Environment) -> None:
    """Check that all libraries are installed and recent enough, before anything starts.

    Raises:
        SearchError: a library is missing, or older than the oldest tested version.
    """
    for name, minimum in MINIMUM_VERSIONS.items():
        installed, package = getattr(environment, name), name.replace("_", "-")
        if installed == "missing" or Version(installed) < Version(minimum):
            raise SearchError(
                f"{package} {minimum} or newer is required, installed is {installed}: `pip install --upgrade {package}`"
            )


def check_environment(folder: RunFolder, environment: Environment) -> None:
    """Compare the environment with every earlier session of a run.

    Raises:
        SearchError: it was started with another version or on another CPU model.
    """
    for event in folder.events():
        if not isinstance(event, SessionStarted):
            continue
        for name in DECISIVE:
            earlier, here = getattr(event.environment, name), getattr(environment, name)
            if earlier != here:
                raise SearchError(
                    f"{folder.path} was started with {name} {earlier}, here it is {here}: "
                    "resume it there, or start another run with --again"
                )


def check_data(folder: RunFolder, dataset: DatasetFacts) -> None:
    """Compare the dataset with every earlier session of a run.

    Raises:
        SearchError: it was started with other data.
    """
    for event in folder.events():
        if isinstance(event, SessionStarted) and event.dataset != dataset:
            raise SearchError(
                f"{folder.path} was started on {event.dataset.name} with checksum {event.dataset.checksum[:16]}, "
                f"now the checksum is {dataset.checksum[:16]}: restore the data, or start another run with --again"
            )


def refusal(
    worker: WorkerInfo, admitted: Sequence[WorkerInfo], *, here: Environment, sources: Mapping[str, str], checksum: str
) -> str | None:
    """Why a worker of a cluster cannot be used, None if it can: all must be like this process and like each other.

    Args:
        worker: to be checked.
        admitted: workers that are used already.
        here: environment of this process, which reads the results.
        sources: digest of the code of each model, by name.
        checksum: of the dataset.
    """
    for name in VERSIONS:
        if (there := getattr(worker.environment, name)) != getattr(here, name):
            return f"it has {name} {there}, this process has {getattr(here, name)}"
    if admitted and worker.environment.cpu != admitted[0].environment.cpu:
        # The same seed gives other weights on another CPU model.
        return f"its CPU is {worker.environment.cpu}, that of the first worker is {admitted[0].environment.cpu}"
    for model, source in sources.items():
        if worker.sources.get(model) != source:
            return f"its code of {model!r} is {worker.sources.get(model, 'missing')}, in this process it is {source}"
    if worker.checksum != checksum:
        return f"its dataset has checksum {worker.checksum[:16]}, in this process it is {checksum[:16]}"
    return None
