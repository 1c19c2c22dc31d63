"""A script in plain Keras that rebuilds and trains a model, and a summary of its recipe."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

from bench.records.dataset import DatasetFacts
from bench.records.plain import PlainKeras
from bench.training.custom.interface import Interface, all_layers
from bench.training.plain.architecture import LAYER_NAME, model_lines
from bench.training.plain.definitions import Definitions
from bench.training.plain.expressions import Expressions
from search_spaces._recipe import LABEL_SMOOTHING, SmoothedCrossentropy

# Datasets that Keras downloads.
KERAS_DATASETS = frozenset({"mnist", "fashion_mnist", "cifar10"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FitSettings:
    """The arguments of `fit`."""

    seed: int
    epochs: int
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
        "\n".join([f"keras.utils.set_random_seed({settings.seed})", *layers]),
        "\n".join(compiled.lines()),
        "\n".join(_fit(dataset, settings)),
    ]
    recipe = _recipe(compiled, dataset, settings) | {"augmentation": _augmentation(model, expressions)}
    return PlainKeras(code="\n\n".join(parts) + "\n", recipe=recipe)


class _Compiled:
    """The arguments of `compile` as expressions."""

    def __init__(self, model: keras.Model, expressions: Expressions) -> None:
        config: Mapping[str, Any] = model.get_compile_config()
        self.optimizer = expressions.object(config["optimizer"], ignored=("name",))
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
        return [
            "model.compile(",
            f"    optimizer={self.optimizer},",
            f"    loss={self.loss},",
            f"    metrics={metrics},",
            ")",
        ]


def _one_hot(compiled: _Compiled, settings: FitSettings) -> bool:
    return compiled.one_hot if settings.inputs is None else settings.inputs.labels == "one-hot"


def _data(dataset: DatasetFacts, settings: FitSettings, *, one_hot: bool) -> list[str]:
    n, classes = dataset.n_train + dataset.n_validation, len(dataset.class_names)
    inputs = settings.inputs
    shape = ", ".join(map(str, dataset.image_shape))
    images = f"{n:,} images, uint8 ({n}, {shape}), and their labels, 0 to {classes - 1}"
    lines = [f"# {dataset.title}: {images}"]
    if dataset.name in KERAS_DATASETS:
        lines.append(f"(x_train, y_train), _ = keras.datasets.{dataset.name}.load_data()")
    else:
        lines.append("# must be in x_train and y_train.")
    if inputs is not None:
        shape = ", ".join(map(str, inputs.shape))
    converted = "" if inputs is None or inputs.dtype == "uint8" else '.astype("float32")'
    scaled = " / 255" if inputs is not None and inputs.scale < 1 else ""
    lines.append(f"x_train = x_train.reshape(-1, {shape}){converted}{scaled}")
    if settings.class_weights:
        lines.append("counts = np.bincount(y_train.ravel())")
        lines.append("class_weight = {label: y_train.size / (len(counts) * n) for label, n in enumerate(counts)}")
    lines.append(
        f"y_train = keras.utils.to_categorical(y_train, {classes})" if one_hot else "y_train = y_train.ravel()"
    )
    return lines


def _fit(dataset: DatasetFacts, settings: FitSettings) -> list[str]:
    share = f", validation_split={settings.validation_share}" if settings.validation_share else ""
    weights = ", class_weight=class_weight" if settings.class_weights else ""
    trained = round((dataset.n_train + dataset.n_validation) * (1 - settings.validation_share))
    lines = []
    if -(-trained // settings.batch_size) != settings.steps:
        lines.append(f"# keras-family-bench trained {settings.steps} batches per epoch and skipped the other images.")
    options = f"batch_size={settings.batch_size}, epochs={settings.epochs}{share}{weights}"
    lines.append(f"model.fit(x_train, y_train, {options})")
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
