"""A script in plain Keras that rebuilds, trains and evaluates a model, and a summary of its recipe."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import keras

from bench.errors import ModelError
from bench.records.dataset import DatasetFacts
from bench.records.plain import KERAS_DATASETS, PlainKeras, data_lines, label_smoothing
from bench.training.custom.interface import Interface, all_layers
from bench.training.plain.architecture import LAYER_NAME, model_lines
from bench.training.plain.definitions import Definitions
from bench.training.plain.expressions import Expressions
from search_spaces._mirror import AverageMirrorImages
from search_spaces._recipe import LABEL_SMOOTHING, SmoothedCrossentropy

MAX_LINE = 88  # characters; pages cut longer lines
_CALL = re.compile(r"(\s*)([\w. =]+\()(.+?)(\)(?:\(\w+\))?,?)")  # indentation, start, arguments, end


@dataclass(frozen=True, slots=True, kw_only=True)
class FitSettings:
    """The arguments of `fit`."""

    seed: int
    epochs: int
    images: int  # trained on in each epoch, if no step is left out
    batch_size: int
    steps: int  # per epoch
    validation_share: float = 0.0  # fraction of the images, taken from the end, that are not trained on
    inputs: Interface | None = None  # what the model receives; None for the images as they are
    class_weights: bool = False  # whether classes are weighted inversely to their number of images


def plain_keras(model: keras.Model, dataset: DatasetFacts, settings: FitSettings) -> PlainKeras:
    """Write the script for a compiled model.

    Raises:
        ModelError: the model cannot be written as code.
    """
    expressions = Expressions()
    layers = model_lines(model, expressions)
    compiled = _Compiled(model, expressions)
    definitions = Definitions()
    definitions.add(expressions.custom.values())
    imports = {"import keras", "from keras import layers", *definitions.imports}
    imports |= {"import numpy as np"} if settings.class_weights else set()
    parts = [
        "\n".join(sorted(imports, key=lambda line: (line.split()[1], line.startswith("from"), line))),
        *definitions.code.values(),
        "\n".join(_data(dataset, settings, one_hot=_one_hot(compiled, settings))),
        "\n".join([f"keras.utils.set_random_seed({settings.seed})", *_wrapped(_explained(layers, compiled, settings))]),
        "\n".join(_wrapped(compiled.lines())),
        "\n".join(_fit(compiled, dataset, settings)),
    ]
    recipe = _recipe(compiled, dataset, settings) | {"augmentation": _augmentation(model, expressions)}
    if any(isinstance(layer, AverageMirrorImages) for layer in all_layers(model)):
        recipe["prediction"] = "average over each image and its mirror image"
    return PlainKeras(code="\n\n".join(parts) + "\n", recipe=recipe)


class _Compiled:
    """The arguments of `compile` as expressions."""

    def __init__(self, model: keras.Model, expressions: Expressions) -> None:
        try:
            config: Mapping[str, Any] = model.get_compile_config()
        except NotImplementedError as error:  # of a learning-rate schedule of the user's own
            raise ModelError(f"the optimizer, the loss or a metric cannot be written as code: {error}") from error
        self.optimizer = expressions.object(config["optimizer"], ignored=("name",))
        rate = config["optimizer"]["config"].get("learning_rate")
        self._schedule = expressions.object(rate) if isinstance(rate, Mapping) else None
        if isinstance(model.loss, SmoothedCrossentropy):
            # Keras' own class does the same for one-hot labels.
            self.one_hot = True
            self.loss = f"keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing={LABEL_SMOOTHING})"
            self.metrics = "['accuracy']"
            return
        self.loss = expressions.value(config["loss"])
        self.one_hot = "SparseCategorical" not in self.loss and "sparse_categorical" not in self.loss
        self.metrics = expressions.value(config["metrics"])

    def lines(self) -> list[str]:
        metrics = self.metrics.replace("'", '"')
        schedule, optimizer = [], self.optimizer
        if self._schedule is not None:
            schedule = [f"learning_rate = {self._schedule}"]
            optimizer = optimizer.replace(self._schedule, "learning_rate")
        return [
            *schedule,
            "model.compile(",
            f"    optimizer={optimizer},",
            f"    loss={self.loss},",
            f"    metrics={metrics},",
            ")",
        ]


def _explained(layers: list[str], compiled: _Compiled, settings: FitSettings) -> list[str]:
    """The lines of a model with comments on what it takes and returns, for those who copy nothing else."""
    pixels = [] if _is_scaled(settings) else ["# takes pixels from 0 to 255: do not divide the images by 255"]
    has_logits = "from_logits=True" in compiled.loss and not any("softmax" in line.lower() for line in layers[-3:])
    logits = "  # outputs are logits; softmax gives probabilities" if has_logits else ""
    return [*pixels, *layers[:-1], layers[-1] + logits]


def _is_scaled(settings: FitSettings) -> bool:
    """Whether the model takes pixels from 0 to 1."""
    return settings.inputs is not None and settings.inputs.scale < 1


def _wrapped(lines: Iterable[str]) -> list[str]:
    """Lines with the arguments of a call that is longer than MAX_LINE on a line of their own."""
    made: list[str] = []
    for line in lines:
        call = _CALL.fullmatch(line) if len(line) > MAX_LINE else None
        if call is None:
            made.append(line)
        else:
            indent, start, arguments, end = call.groups()
            made += [indent + start, f"{indent}    {arguments}", indent + end]
    return made


def _one_hot(compiled: _Compiled, settings: FitSettings) -> bool:
    return compiled.one_hot if settings.inputs is None else settings.inputs.labels == "one-hot"


def _data(dataset: DatasetFacts, settings: FitSettings, *, one_hot: bool) -> list[str]:
    classes, inputs = len(dataset.class_names), settings.inputs
    shape, parts = ", ".join(map(str, dataset.image_shape)), ["train"]
    lines = data_lines(dataset)
    if dataset.name in KERAS_DATASETS:
        parts.append("test")
        lines.append(f"# The model takes images of shape ({shape}).")
    if inputs is not None:
        shape = ", ".join(map(str, inputs.shape))
    converted = "" if inputs is None or inputs.dtype == "uint8" else '.astype("float32")'
    scaled = " / 255" if _is_scaled(settings) else ""
    lines += [f"x_{part} = x_{part}.reshape(-1, {shape}){converted}{scaled}" for part in parts]
    if settings.class_weights:
        lines.append("counts = np.bincount(y_train.ravel())")
        lines.append("class_weight = {label: y_train.size / (len(counts) * n) for label, n in enumerate(counts)}")
    if one_hot:
        lines.append("# The loss takes one-hot labels.")
    for part in parts:
        labels = f"keras.utils.to_categorical(y_{part}, {classes})" if one_hot else f"y_{part}.ravel()"
        lines.append(f"y_{part} = {labels}")
    return lines


def _fit(compiled: _Compiled, dataset: DatasetFacts, settings: FitSettings) -> list[str]:
    share = f", validation_split={settings.validation_share}" if settings.validation_share else ""
    weights = ", class_weight=class_weight" if settings.class_weights else ""
    batches = -(-settings.images // settings.batch_size)
    lines = []
    if batches != settings.steps:
        left_out = settings.images - settings.steps * settings.batch_size
        lines += [
            f"# Keras trains {batches} batches per epoch; keras-family-bench trained {settings.steps}, leaving out",
            f"# {left_out:,} of {settings.images:,} images, different ones in each epoch.",
        ]
    options = f"batch_size={settings.batch_size}, epochs={settings.epochs}{share}{weights}"
    lines.append(f"model.fit(x_train, y_train, {options})")
    if dataset.name in KERAS_DATASETS:
        if label_smoothing(compiled.loss):
            lines.append("# The loss includes label smoothing: compare only the accuracy with other models.")
        lines.append("model.evaluate(x_test, y_test)")
    return lines


def _augmentation(model: keras.Model, expressions: Expressions) -> str:
    """The layers that change training images at random."""
    random = (layer for layer in all_layers(model) if type(layer).__name__.startswith("Random"))
    written = (expressions.object(keras.saving.serialize_keras_object(each), ignored=LAYER_NAME) for each in random)
    return ", ".join(written) or "none"


def _recipe(compiled: _Compiled, dataset: DatasetFacts, settings: FitSettings) -> dict[str, str]:
    n = dataset.n_train + dataset.n_validation
    images = f"all {n:,} development images"
    if settings.validation_share:
        images += f" but the last {100 * settings.validation_share:.0f}%"
    return {
        "optimizer": compiled.optimizer,
        "loss": compiled.loss,
        **({"class weights": "balanced"} if settings.class_weights else {}),
        "batch size": str(settings.batch_size),
        "epochs": f"{settings.epochs} of {settings.steps} batches each",
        "images": images,
    }
