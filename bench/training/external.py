"""Models trained elsewhere: loaded safely, checked on validation images, and brought into the form of saved refits.

That form takes pixels, uint8 (n, height, width, channels), and returns logits (n, classes).
"""

from dataclasses import dataclass
from functools import partial

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from bench.baselines.external import ExternalModel
from bench.data.dataset import Dataset
from bench.data.splits import split
from bench.errors import ModelError
from bench.evaluation import scores
from bench.evaluation.arrays import IntArray
from bench.records.choices import PixelRange
from bench.records.record import Curve, RefitRecord
from bench.training.archives import check_archive
from bench.training.custom import UnsuitableModelError, one_line
from bench.training.custom.interface import (
    PixelInput,
    are_probabilities,
    check_output_shape,
    has_inputs,
    matching_shape,
    pixel_input,
)
from bench.training.files import from_bytes, to_bytes
from bench.training.fit import model_summary, weights_digest
from bench.training.predict import MIN_PROBABILITY, predictor

MARGIN = 0.05  # of accuracy; another convention that is better by more is probably the right one


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """A checked model."""

    refit: RefitRecord
    content: bytes  # of a .keras file in the form of saved refits
    pixels: str  # which it expects
    warning: str | None  # None unless their range is uncertain


def adopt(external: ExternalModel, number: int, data: Dataset) -> Adopted:
    """Check a model on development images and bring it into the form of a saved refit.

    Args:
        external: the model.
        number: of the file, from 0.
        data: the development images.

    Raises:
        ModelError: it is unsafe, does not fit the images or the classes, or expects other pixels or classes.
    """
    try:
        model = _load(external)
        inputs, adapted, uncertain = _adapted(model, external, data)
    except UnsuitableModelError as error:
        raise ModelError(f"{external.name}: {error}") from error
    predicted = predictor(adapted)(data.images).argmax(axis=1)
    refit = RefitRecord(
        number=number,
        seed=number,
        epochs=0,
        curve=Curve(),
        train_accuracy=float((predicted == data.labels).mean()),
        parameters=model.count_params(),
        summary=model_summary(model),
        weights_sha256=weights_digest(model),
        fit_seconds=0.0,
        task_seconds=0.0,
    )
    return Adopted(
        refit=refit,
        content=saved(adapted, external.name),
        pixels=f"{inputs.text}; {uncertain}" if uncertain else inputs.text,
        warning=f"{external.name}: {uncertain}: state the range with --pixel-range" if uncertain else None,
    )


def _load(external: ExternalModel) -> keras.Model:
    check_archive(external.content, external.name)
    try:
        model = from_bytes(external.content)
    except Exception as error:  # Keras raises many types
        reason = one_line(error, 300)
        raise ModelError(f"{external.name}: cannot be loaded by Keras {keras.__version__}: {reason}") from error
    if not has_inputs(model) or len(model.inputs) != 1 or len(model.outputs) != 1:
        raise UnsuitableModelError("expected a built model with one input and one output")
    return model


def _adapted(model: keras.Model, external: ExternalModel, data: Dataset) -> tuple[PixelInput, keras.Model, str]:
    """What the model receives, the adapted model, and why the range of the pixels is uncertain; empty if it is not.

    Refused if another convention gives a much better accuracy.
    """
    validation = split(data)[1]
    images, labels = data.images[validation], data.labels[validation]
    shape = matching_shape(model, data.image_shape) or data.image_shape
    adapt = partial(_adapt, model, external, data, images)
    inputs = pixel_input(model, shape, external.pixel_range)
    adapted = adapt(inputs)
    confusion, uncertain = _confusion(adapted, images, labels, len(data.class_names)), ""
    if external.pixel_range is None and inputs.dtype == "float32":
        other: PixelRange = "0-255" if inputs.scale < 1 else "0-1"
        there = _confusion(adapt(pixel_input(model, shape, other)), images, labels, len(data.class_names))
        if (best := _best_accuracy(there)) > (here := _best_accuracy(confusion)) + MARGIN:
            raise UnsuitableModelError(
                f"expects other pixels: the validation accuracy is {100 * here:.1f}% with {inputs.text}, "
                f"{100 * best:.1f}% with those in {other}: use --pixel-range {other}"
            )
        if best >= here - MARGIN:
            uncertain = (
                f"the range of its pixels was assumed, since the validation accuracy is {100 * here:.2f}% with it and "
                f"{100 * best:.2f}% with {other}"
            )
    if external.classes is None:
        _check_order(confusion, data.class_names)
    return inputs, adapted, uncertain


def _adapt(
    model: keras.Model, external: ExternalModel, data: Dataset, images: NDArray[np.uint8], inputs: PixelInput
) -> keras.Model:
    """From pixels to logits in the order of the dataset's classes, with built-in layers only."""
    pixels = keras.Input(data.image_shape, dtype="uint8", name="pixels")
    outputs = model(inputs.keras_tensor(pixels))
    check_output_shape(outputs, len(data.class_names))
    if _returns_probabilities(keras.Model(pixels, outputs), images):
        outputs = ops.log(ops.maximum(outputs, float(MIN_PROBABILITY)))
    if external.classes is not None:
        outputs = ops.take(outputs, _order(external.classes, data), axis=1)
    return keras.Model(pixels, outputs, name="adopted")


def _returns_probabilities(model: keras.Model, images: NDArray[np.uint8]) -> bool:
    outputs = model.predict(images, batch_size=500, verbose=0).astype(np.float64)
    if not np.isfinite(outputs).all():
        raise UnsuitableModelError("its outputs on validation images are not finite")
    if are_probabilities(outputs):
        return True
    if outputs.min() >= 0 and outputs.max() <= 1:
        raise UnsuitableModelError(
            f"its outputs on validation images are from {outputs.min():.3g} to {outputs.max():.3g} and do not sum to "
            "1: expected probabilities from softmax, or logits"
        )
    return False


def _order(classes: tuple[str, ...], data: Dataset) -> list[int]:
    """For each class of the dataset, the output of the model that stands for it."""
    if sorted(classes) != sorted(data.class_names):
        raise UnsuitableModelError(
            f"--classes must name every class of {data.name} once, in the order of the model's outputs: "
            f"{', '.join(data.class_names)}; got {', '.join(classes)}"
        )
    return [classes.index(name) for name in data.class_names]


def _confusion(model: keras.Model, images: NDArray[np.uint8], labels: NDArray[np.int64], classes: int) -> IntArray:
    """Counts (true class, output)."""
    predicted = predictor(model)(images).argmax(axis=1)
    counts: IntArray = scores.confusion(predicted[np.newaxis], labels, classes)[0]
    return counts


def _best_accuracy(confusion: IntArray) -> float:
    """The accuracy with the best order of the outputs."""
    return float(confusion[np.arange(len(confusion)), _assignment(confusion)].sum() / confusion.sum())


def _assignment(confusion: IntArray) -> NDArray[np.int64]:
    """The output that stands for each class, so that as many images as possible are classified correctly."""
    from scipy.optimize import linear_sum_assignment

    assigned: NDArray[np.int64] = linear_sum_assignment(confusion, maximize=True)[1]
    return assigned


def _check_order(confusion: IntArray, class_names: tuple[str, ...]) -> None:
    accuracy, best = confusion.trace() / confusion.sum(), _best_accuracy(confusion)
    if best > accuracy + MARGIN:
        names = [class_names[label] for label in np.argsort(_assignment(confusion))]
        raise UnsuitableModelError(
            f"its outputs are in another order than the classes: the validation accuracy is {100 * accuracy:.1f}%, and "
            f"{100 * best:.1f}% for the order {','.join(names)}: state the order with --classes"
        )


def identity(model: keras.Model) -> bytes:
    """What tells a model in memory from others, unlike the content of its .keras file, which contains the time."""
    return f"{model.to_json()} {weights_digest(model)}".encode()


def saved(model: keras.Model, name: str) -> bytes:
    """A model in memory as the content of a .keras file.

    Raises:
        ModelError: it cannot be saved.
    """
    try:
        return to_bytes(model)
    except Exception as error:  # Keras raises many types
        raise ModelError(f"{name}: cannot be saved as a .keras file: {error}") from error
