"""What a search sends to its workers once."""

import inspect
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FunctionType, MethodType
from typing import Any

from bench.errors import SearchError
from bench.training.own_tuner import payload


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A tuner and the arguments of its search."""

    custom_objects: "CustomObjects"  # first, since models among the others need them when they are loaded
    tuner: Any  # without its oracle
    objective: Any  # of the oracle
    arguments: tuple[Any, ...]
    named: Mapping[str, Any]
    cwd: str  # folder in which relative paths are meant
    settings: "KerasSettings"


class CustomObjects(dict[str, Any]):
    """What a script has registered with Keras, by name; loading it registers it in the worker."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _register, (dict(self),)


def custom_objects() -> CustomObjects:
    """Those that are defined in the script itself; importing a module registers its own."""
    import keras

    registered = keras.saving.get_custom_objects().items()
    return CustomObjects({name: each for name, each in registered if getattr(each, "__module__", "") == "__main__"})


def _register(objects: Mapping[str, Any]) -> CustomObjects:
    import keras

    for registered_name, each in objects.items():
        package, is_decorated, name = registered_name.partition(">")
        if is_decorated:
            keras.saving.register_keras_serializable(package, name)(each)
        else:
            keras.saving.get_custom_objects()[registered_name] = each
    return CustomObjects(objects)


@dataclass(frozen=True, slots=True, kw_only=True)
class KerasSettings:
    """Global settings of Keras, which a script may change."""

    backend: str
    dtype_policy: str
    image_data_format: str
    floatx: str


def keras_settings() -> KerasSettings:
    """Those of this process."""
    import keras

    return KerasSettings(
        backend=keras.config.backend(),
        dtype_policy=keras.config.dtype_policy().name,
        image_data_format=keras.config.image_data_format(),
        floatx=keras.config.floatx(),
    )


def require_folder(folder: Path) -> None:
    """Check that a worker sees the folder of a payload.

    Raises:
        SearchError: it does not.
    """
    if not folder.is_dir():
        raise SearchError(
            f"there is no folder {folder} on this worker: choose a `directory` of the tuner that all workers share"
        )


def load(folder: Path) -> Content:
    """The content of a payload, in a worker, whose working folder and Keras settings become those of the script.

    Raises:
        SearchError: the folder is not on this machine, or the content cannot be loaded here.
    """
    import keras

    require_folder(folder)
    try:
        content: Content = payload.read(folder)
        os.chdir(content.cwd)
    except Exception as error:
        raise SearchError(
            f"the tuner or its data cannot be loaded in a worker process: {type(error).__name__}: {error}. Import "
            "what it needs from installed packages or from files next to the script, and create Keras objects inside "
            "of build"
        ) from error
    keras.config.set_image_data_format(content.settings.image_data_format)
    keras.config.set_floatx(content.settings.floatx)
    return content


VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
DATA = ("x", "validation_data")  # arguments of `fit` that may be functions which make the data


def materialized(position: int | str, value: Any) -> Any:
    """The data for `fit`: a function makes data that cannot be sent to a worker.

    Args:
        position: of the argument, from 0, or its name.
        value: the argument.
    """
    data = value() if is_data_factory(position, value) else value
    if getattr(data, "use_multiprocessing", False):  # a PyDataset; a worker may not start processes, but threads
        data.use_multiprocessing = False
    return data


def is_data_factory(position: int | str, value: Any) -> bool:
    """Whether an argument is a function that makes data; one that needs arguments is for a `fit` of the user's own."""
    if not (position == 0 or position in DATA) or not isinstance(value, FunctionType | MethodType | partial):
        return False
    parameters = inspect.signature(value).parameters.values()
    return all(each.default is not each.empty or each.kind in VARIABLE for each in parameters)


def data_factories(arguments: Sequence[Any], named: Mapping[str, Any]) -> list[Any]:
    """The functions that make data among the arguments of `fit`."""
    positions: list[tuple[int | str, Any]] = [*enumerate(arguments), *named.items()]
    return [value for position, value in positions if is_data_factory(position, value)]
