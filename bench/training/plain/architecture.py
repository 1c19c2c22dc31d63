"""The lines of plain Keras that build a model's layers."""

import inspect
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras

from bench.errors import ModelError
from bench.training.custom.interface import all_layers, has_inputs
from bench.training.plain.expressions import Expressions

_Tensor = tuple[str, int]  # name of a layer, number of its call

LAYER_NAME = ("name",)  # Keras numbers layers itself


def model_lines(model: keras.Model, expressions: Expressions) -> list[str]:
    """Statements that assign a new, uncompiled copy of `model` to the variable `model`.

    Args:
        model: a Sequential model, or a functional one with a single input and a single output.
        expressions: collects what must be defined before.

    Raises:
        ModelError: the model cannot be written as code.
    """
    for layer in all_layers(model):
        if isinstance(layer, keras.layers.Normalization) and layer.input_mean is None and layer.built:
            # Otherwise the statistics that it was adapted to would be missing in its configuration.
            layer.input_mean = layer.adapt_mean.numpy().tolist()
            layer.input_variance = layer.adapt_variance.numpy().tolist()
    try:
        config = model.get_config()
    except NotImplementedError as error:
        raise ModelError(f"model {model.name!r} has a layer without get_config(): {error}") from error
    if isinstance(model, keras.Sequential):
        return _sequential(model, config["layers"], expressions)
    if "input_layers" not in config:
        raise ModelError(f"model {model.name!r} is of the subclass {type(model).__name__}, whose code is its own")
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ModelError(
            f"model {model.name!r} must have one input and one output, got {len(model.inputs)} and {len(model.outputs)}"
        )
    return _Functional(model, config, expressions).lines()


def _sequential(model: keras.Sequential, serialized: Sequence[Any], expressions: Expressions) -> list[str]:
    if not has_inputs(model):
        raise ModelError(f"model {model.name!r} has not been built")
    layers = [each for each in serialized if each["class_name"] != "InputLayer"]
    return [
        "model = keras.Sequential(",
        "    [",
        f"        {_input(model.inputs[0].shape, model.inputs[0].dtype)},",
        *(f"        {_layer(each, expressions)}," for each in layers),
        "    ]",
        ")",
    ]


def _input(shape: Sequence[int | None], dtype: str) -> str:
    written = "" if dtype == "float32" else f", dtype={dtype!r}"
    return f"keras.Input({tuple(shape)[1:]!r}{written})"


def _layer(serialized: Mapping[str, Any], expressions: Expressions) -> str:
    if serialized["class_name"] == "Sequential":
        inner = (each for each in serialized["config"]["layers"] if each["class_name"] != "InputLayer")
        return f"keras.Sequential([{', '.join(_layer(each, expressions) for each in inner)}])"
    if serialized["class_name"] in ("Functional", "Model"):
        raise ModelError(f"the model contains another model, {serialized['config'].get('name')!r}")
    return expressions.object(serialized, ignored=LAYER_NAME)


class _Functional:
    """Writes the calls of all layers; a variable is reused once its tensor is not needed anymore."""

    def __init__(self, model: keras.Model, config: Mapping[str, Any], expressions: Expressions) -> None:
        self._model = model
        self._operations = {each.name: each for each in model.operations}
        self._layers: dict[str, Mapping[str, Any]] = {each["name"]: each for each in config["layers"]}
        self._output = _key(_only(config["output_layers"]))
        self._expressions = expressions
        self._variables: dict[_Tensor, str] = {}
        self._uses = Counter(
            tensor for layer in self._layers.values() for call in layer["inbound_nodes"] for tensor in _tensors(call)
        )
        self._uses[self._output] += 1
        self._shared: dict[str, str] = {}  # variables of layers that are called several times

    def lines(self) -> list[str]:
        """All statements."""
        source = self._model.inputs[0]
        self._variables[_key(_only(self._model.get_config()["input_layers"]))] = "inputs"
        lines = [f"inputs = {_input(source.shape, source.dtype)}"]
        pending = [
            ((name, number), call)
            for name, layer in self._layers.items()
            for number, call in enumerate(layer["inbound_nodes"])
        ]
        while pending:
            ready = next((each for each in pending if set(_tensors(each[1])) <= self._variables.keys()), None)
            if ready is None:
                raise ModelError(f"model {self._model.name!r} has a cycle, or layers with several outputs")
            pending.remove(ready)
            lines += self._call(*ready)
        return [*lines, f"model = keras.Model(inputs, {self._variables[self._output]})"]

    def _call(self, output: _Tensor, call: Mapping[str, Any]) -> Iterator[str]:
        """The statements of one call, and of the layer itself before its first call if it has several."""
        name, number = output
        layer = self._layers[name]
        arguments = [self._expressions.value(each, self._variable) for each in _items(call["args"])]
        # Keras records the default of arguments such as `training`.
        parameters = inspect.signature(self._operations[name].call).parameters
        defaults = {key: each.default for key, each in parameters.items()}
        given = {key: each for key, each in call["kwargs"].items() if each not in (None, defaults.get(key))}
        arguments += [f"{key}={self._expressions.value(each, self._variable)}" for key, each in given.items()]
        if len(layer["inbound_nodes"]) == 1:
            called = self._callable(layer, arguments)
        else:
            if number == 0:
                self._shared[name] = f"shared_{len(self._shared) + 1}"
                yield f"{self._shared[name]} = {_layer(layer, self._expressions)}"
            called = f"{self._shared[name]}({', '.join(arguments)})"
        self._variables[output] = self._target(_tensors(call))
        yield f"{self._variables[output]} = {called}"

    def _callable(self, layer: Mapping[str, Any], arguments: Sequence[str]) -> str:
        if not str(layer["module"]).startswith("keras.src.ops"):
            return f"{_layer(layer, self._expressions)}({', '.join(arguments)})"
        function = _operation(layer["class_name"])
        options = {key: each for key, each in layer["config"].items() if key not in ("name", "dtype")}
        written = (f"{key}={self._expressions.value(each)}" for key, each in options.items())
        return f"keras.ops.{function}({', '.join([*arguments, *written])})"

    def _variable(self, history: Sequence[Any]) -> str:
        return self._variables[_key(history)]

    def _target(self, used: Sequence[_Tensor]) -> str:
        """The variable for the output of a call that uses tensors: that of one that no other call needs, or a new."""
        self._uses.subtract(used)
        free = [self._variables[tensor] for tensor in used if self._uses[tensor] == 0]
        taken = {variable for tensor, variable in self._variables.items() if self._uses[tensor] > 0}
        names = ["x", *(f"x{number}" for number in range(2, len(self._layers) + 3))]
        return next(name for name in (*sorted(free), *names) if name not in taken and name != "inputs")


def _operation(class_name: str) -> str:
    """The function of keras.ops that a class implements."""
    function = "".join(f"_{each.lower()}" if each.isupper() else each for each in class_name).removeprefix("_")
    if not hasattr(keras.ops, function):
        raise ModelError(f"the model uses the operation {class_name}, which has no function in keras.ops")
    return function


def _key(history: Sequence[Any]) -> _Tensor:
    name, number, output = history
    if output != 0:
        raise ModelError(f"layer {name!r} has several outputs")
    return str(name), int(number)


def _only(layers: Any) -> Sequence[Any]:
    """The only input or output, which some versions of Keras wrap in a list."""
    first: Sequence[Any] = layers[0] if isinstance(layers[0], list | tuple) else layers
    return first


def _items(arguments: Any) -> Sequence[Any]:
    items: Sequence[Any] = arguments["items"] if isinstance(arguments, Mapping) else arguments
    return items


def _tensors(value: Any) -> list[_Tensor]:
    """All tensors in the arguments of a call."""
    if isinstance(value, Mapping):
        if value.get("class_name") == "__keras_tensor__":
            return [_key(value["config"]["keras_history"])]
        return [tensor for each in value.values() for tensor in _tensors(each)]
    if isinstance(value, list | tuple):
        return [tensor for each in value for tensor in _tensors(each)]
    return []
