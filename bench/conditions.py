"""Whether a run may go on here: with other data or other versions it would end as neither run."""

from bench.errors import SearchError
from bench.record import DatasetFacts, Environment
from bench.store import RunFolder

SAME_ENVIRONMENT = ("tensorflow", "keras", "keras_tuner", "numpy", "cpu")


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
