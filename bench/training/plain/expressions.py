"""Python expressions that rebuild Keras objects, from their serialized configurations."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

import keras
import numpy as np

from bench.errors import ModelError

MAX_DENOMINATOR = 1024
MIN_FRACTION_DIGITS = 8  # shorter decimals are more readable than fractions


class Expressions:
    """Writes expressions, and collects the classes and functions outside Keras that they refer to."""

    def __init__(self) -> None:
        self.custom: dict[str, Any] = {}  # by name, in the order of their use

    def value(self, value: Any, tensor: "Callable[[Sequence[Any]], str] | None" = None) -> str:
        """The expression of a value in a configuration.

        Args:
            value: serialized.
            tensor: the expression of a symbolic tensor, given its Keras history.
        """
        if isinstance(value, Mapping):
            return self._mapping(value, tensor)
        if isinstance(value, list | tuple):
            return _brackets([self.value(item, tensor) for item in value], "[]" if isinstance(value, list) else "()")
        return number(value) if isinstance(value, float) else repr(value)

    def _mapping(self, value: Mapping[str, Any], tensor: "Callable[[Sequence[Any]], str] | None") -> str:
        kind = value.get("class_name")
        if kind == "__keras_tensor__" and tensor is not None:
            return tensor(value["config"]["keras_history"])
        if kind == "__tuple__":
            return _brackets([self.value(item, tensor) for item in value["items"]], "()")
        if kind == "DTypePolicy":
            return repr(value["config"]["name"])
        if kind is not None and "config" in value:
            return self.object(value)
        items = (f"{key!r}: {self.value(item, tensor)}" for key, item in value.items())
        return "{" + ", ".join(items) + "}"

    def object(self, serialized: Mapping[str, Any], *, ignored: Sequence[str] = ()) -> str:
        """The expression that builds a serialized object; arguments that equal the defaults are left out.

        Args:
            serialized: as `keras.saving.serialize_keras_object` returns it.
            ignored: names of arguments to leave out.

        Raises:
            ModelError: it is not an instance of a class that can be imported.
        """
        if serialized["class_name"] == "function":
            return self._function(serialized)
        kind = self._class(serialized)
        config: Mapping[str, Any] = serialized["config"]
        parameters = dict(list(inspect.signature(kind.__init__).parameters.items())[1:])
        required = [name for name, each in parameters.items() if _is_required(each) and name in config]
        defaults = _config(kind, {name: config[name] for name in required})
        takes_any = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters.values())
        arguments = [self.value(config[name]) for name in required]
        for name, value in config.items():
            is_argument = takes_any or name in parameters
            if name in required or name in ignored or not is_argument or _is_default(name, value, defaults):
                continue
            arguments.append(f"{name}={self.value(value)}")
        return f"{self._path(serialized, kind)}({', '.join(arguments)})"

    def _class(self, serialized: Mapping[str, Any]) -> Any:
        module, name = serialized.get("module"), serialized["class_name"]
        if module is None:
            raise ModelError(f"the class {name} cannot be imported: define it at the top of a module")
        try:
            return getattr(import_module(module), name)
        except (ImportError, AttributeError) as error:
            raise ModelError(f"the class {module}.{name} cannot be imported: {error}") from error

    def _path(self, serialized: Mapping[str, Any], kind: Any) -> str:
        module, name = str(serialized["module"]), str(serialized["class_name"])
        if module == "keras.layers":
            return f"layers.{name}"
        if is_keras(module):
            return f"{module}.{name}"
        self.custom[name] = kind
        return name

    def _function(self, serialized: Mapping[str, Any]) -> str:
        module, name = serialized.get("module"), str(serialized["config"])
        if module in (None, "builtins") or is_keras(str(module)):
            return repr(name)  # Keras finds its own functions by name
        self.custom[name] = getattr(import_module(str(module)), name)
        return name


def is_keras(module: str) -> bool:
    """Whether a module belongs to Keras."""
    return module == "keras" or module.startswith("keras.")


def number(value: float) -> str:
    """A floating-point number in its shortest form: 0.001 instead of its float32 value, 1 / 255 instead of decimals."""
    as_float32 = float(np.float32(value))
    if value == as_float32 and len(short := str(np.float32(value))) < len(repr(value)):
        return short
    if len(repr(value)) > MIN_FRACTION_DIGITS:
        for denominator in range(2, MAX_DENOMINATOR + 1):
            if value == 1 / denominator:
                return f"1 / {denominator}"
    return repr(value)


def _brackets(items: Sequence[str], kind: str) -> str:
    comma = "," if kind == "()" and len(items) == 1 else ""
    return f"{kind[0]}{', '.join(items)}{comma}{kind[1]}"


def _is_required(parameter: inspect.Parameter) -> bool:
    return parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD


def _config(kind: Any, required: Mapping[str, Any]) -> Mapping[str, Any]:
    """The configuration of an object with only its required arguments; empty if there is no such object."""
    for make in (kind.from_config, lambda given: kind(**given)):  # some layers need more in `from_config`
        try:
            config: Mapping[str, Any] = keras.saving.serialize_keras_object(make(dict(required)))["config"]
        except Exception:  # noqa: BLE001, S112 - any class may refuse; all arguments are then written
            continue
        return config
    return {}


def _is_default(name: str, value: Any, defaults: Mapping[str, Any]) -> bool:
    if name not in defaults:
        return value is None
    if name == "seed" and isinstance(value, int) and isinstance(defaults[name], int):
        return True  # drawn at random by both
    return bool(value == defaults[name])
