"""What must match before a run starts or resumes, or a worker is used: versions, CPU model, code and data."""

from collections.abc import Mapping, Sequence

from packaging.version import Version

from bench.errors import SearchError
from bench.machine import Environment, install_command
from bench.records.dataset import DatasetFacts
from bench.records.ledger import sessions
from bench.records.store import RunFolder
from bench.workers.tasks import WorkerInfo

MINIMUM_VERSIONS = {"tensorflow": "2.16", "keras": "3.1", "keras_tuner": "1.4.8"}  # the oldest that are tested
VERSIONS = ("tensorflow", "keras", "keras_tuner", "numpy", "scikit_learn")
DECISIVE = (*VERSIONS, "cpu", "onednn")  # fields of an environment that decide a run's results
CONDITIONS = (*DECISIVE, "threads")  # fields that may change predictions
LABELS = {"cpu": "CPU", "onednn": "TF_ENABLE_ONEDNN_OPTS"}  # of fields in messages; others are names of packages


def check_versions(environment: Environment) -> None:
    """Check that all libraries are installed and recent enough.

    Raises:
        SearchError: a library is missing, or older than the oldest tested version.
    """
    for name, minimum in MINIMUM_VERSIONS.items():
        installed, package = getattr(environment, name), name.replace("_", "-")
        if installed == "missing" or Version(installed) < Version(minimum):
            raise SearchError(
                f"expected {package} {minimum} or newer, found {installed}: run `{install_command(package)}`"
            )


def check_environment(folder: RunFolder, environment: Environment) -> None:
    """Compare the environment with every earlier session of a run.

    Raises:
        SearchError: the run was started with other versions, on another CPU model, or with another oneDNN setting.
    """
    for session in sessions(folder.events()):
        for name in DECISIVE:
            earlier, current = getattr(session.environment, name), getattr(environment, name)
            if earlier != current:
                raise SearchError(
                    f"{folder.path} was started with {_label(name)} {earlier}, this machine has {current}: "
                    "resume it in the original environment, or start a new run with --again"
                )


def changed_conditions(before: Environment, after: Environment) -> dict[str, tuple[str, str]]:
    """Conditions that differ and may change predictions: name to (before, after)."""
    values = {name: (str(getattr(before, name)), str(getattr(after, name))) for name in CONDITIONS}
    return {name: pair for name, pair in values.items() if pair[0] != pair[1]}


def check_data(folder: RunFolder, dataset: DatasetFacts) -> None:
    """Compare the dataset with every earlier session of a run.

    Raises:
        SearchError: the run was started with other data.
    """
    for session in sessions(folder.events()):
        if changes := dataset.differences(session.dataset):
            raise SearchError(
                f"{folder.path} was started on other data ({changes}): restore the data, or start a new run with "
                "--again"
            )


def rejection(
    worker: WorkerInfo, admitted: Sequence[WorkerInfo], *, local: Environment, sources: Mapping[str, str], checksum: str
) -> str | None:
    """Why a cluster worker is rejected; None if it matches this process and the workers admitted before it.

    Args:
        worker: the worker to check.
        admitted: workers already in use.
        local: environment of this process.
        sources: code digest of each model, by name.
        checksum: dataset checksum.
    """
    for name in VERSIONS:
        version = getattr(worker.environment, name)
        if version != getattr(local, name):
            return f"it has {_label(name)} {version}, this process has {getattr(local, name)}"
    for name in ("cpu", "onednn"):  # both decide the weights
        value = getattr(worker.environment, name)
        if admitted and value != (first := getattr(admitted[0].environment, name)):
            return f"its {_label(name)} is {value}, that of the first worker is {first}"
    for model, source in sources.items():
        if worker.sources.get(model) != source:
            return f"its code digest of {model!r} is {worker.sources.get(model, 'missing')}, expected {source}"
    if worker.checksum != checksum:
        return f"its dataset has checksum {worker.checksum[:16]}, expected {checksum[:16]}"
    return None


def _label(name: str) -> str:
    return LABELS.get(name, name.replace("_", "-"))
