"""Models trained elsewhere: loaded safely, checked on validation images, and brought into the form of saved refits.

That form takes pixels, uint8 (n, height, width, channels), and returns logits (n, classes).
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from bench.baselines.external import ExternalModel
from bench.data.dataset import Dataset
from bench.data.splits import split
from bench.errors import ModelError
from bench.records.record import Curve, RefitRecord
from bench.training.archives import check_archive
from bench.training.fit import model_summary, weights_digest
from bench.training.predict import has_inputs, predictor

MARGIN = 0.05  # of accuracy; another convention that is better by more is probably the right one
TOLERANCE = 1e-3  # of the sum of the probabilities of an image
SMALLEST = float(np.finfo(np.float32).tiny)  # so that logarithms are finite


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """A checked model."""

    refit: RefitRecord
    content: bytes  # of a .keras file in the form of saved refits
    pixels: str  # which it expects


def adopt(external: ExternalModel, number: int, data: Dataset) -> Adopted:
    """Check a model on development images and bring it into the form of a saved refit.

    Args:
        external: the model.
        number: of the file, from 0.
        data: the development images.

    Raises:
        ModelError: it is unsafe, does not fit the images or the classes, or expects other pixels or classes.
    """
    model = _load(external)
    validation = split(data)[1]
    scale = _scale(model, external)
    adapted = _checked_range(model, external, data, validation, scale)
    if external.classes is None:
        _check_order(adapted, external, data, validation)
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
    return Adopted(refit=refit, content=saved(adapted, external.name), pixels=_pixels_text(model, scale))


def _pixels_text(model: keras.Model, scale: float) -> str:
    dtype = model.inputs[0].dtype
    return f"{dtype} pixels from 0 to {'1' if scale < 1 else '255'}"


def _load(external: ExternalModel) -> keras.Model:
    check_archive(external.content, external.name)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        path.write_bytes(external.content)
        try:
            model = keras.models.load_model(path, compile=False, safe_mode=True)
        except Exception as error:  # Keras raises many types
            reason = " ".join(str(error).split())[:300]
            raise ModelError(f"{external.name}: cannot be loaded by Keras {keras.__version__}: {reason}") from error
    if not has_inputs(model) or len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ModelError(f"{external.name}: expected a built model with one input and one output")
    return model


def _scale(model: keras.Model, external: ExternalModel) -> float:
    """What pixels from 0 to 255 are multiplied by for the model."""
    if external.pixel_range != "auto":
        return 1.0 if external.pixel_range == "0-255" else 1 / 255
    integers = np.issubdtype(np.dtype(model.inputs[0].dtype), np.integer)
    return 1.0 if integers or _rescales(model) else 1 / 255


def _rescales(model: keras.Model) -> bool:
    kinds = (keras.layers.Rescaling, keras.layers.Normalization)
    return any(
        isinstance(layer, kinds) or (isinstance(layer, keras.Model) and _rescales(layer)) for layer in model.layers
    )


def _checked_range(
    model: keras.Model, external: ExternalModel, data: Dataset, validation: NDArray[np.int64], scale: float
) -> keras.Model:
    """The adapted model; refused if the other range of pixels gives a much better accuracy."""
    adapted = _adapt(model, external, data, scale, validation)
    if external.pixel_range == "auto" and np.issubdtype(np.dtype(model.inputs[0].dtype), np.floating):
        other_scale, name = (1.0, "0-255") if scale < 1 else (1 / 255, "0-1")
        here = _best_accuracy(adapted, data, validation)
        there = _best_accuracy(_adapt(model, external, data, other_scale, validation), data, validation)
        if there > here + MARGIN:
            used = "0-1" if scale < 1 else "0-255"
            raise ModelError(
                f"{external.name}: expects other pixels: the validation accuracy is {100 * here:.1f}% with pixels in "
                f"{used}, {100 * there:.1f}% in {name}: use --pixel-range {name}"
            )
    return adapted


def _adapt(
    model: keras.Model, external: ExternalModel, data: Dataset, scale: float, validation: NDArray[np.int64]
) -> keras.Model:
    """From pixels to logits in the order of the dataset's classes, with built-in layers only."""
    pixels = keras.Input(data.image_shape, dtype="uint8", name="pixels")
    outputs = model(_inputs(model, external, data, pixels, scale))
    classes = len(data.class_names)
    if tuple(outputs.shape[1:]) != (classes,):
        raise ModelError(
            f"{external.name}: its output has shape {tuple(outputs.shape)}, expected (n, {classes}) for "
            f"{classes} classes"
        )
    if _returns_probabilities(keras.Model(pixels, outputs), external, data.images[validation]):
        outputs = ops.log(ops.maximum(outputs, SMALLEST))
    if external.classes is not None:
        order = _order(external, data)
        outputs = ops.take(outputs, order, axis=1)
    return keras.Model(pixels, outputs, name="adopted")


def _inputs(
    model: keras.Model, external: ExternalModel, data: Dataset, pixels: keras.KerasTensor, scale: float
) -> keras.KerasTensor:
    expected = tuple(model.inputs[0].shape[1:])
    height, width, channels = data.image_shape
    accepted = {(height, width, channels), (height * width * channels,)}
    accepted |= {(height, width)} if channels == 1 else set()
    shape = next((each for each in sorted(accepted) if _fits(expected, each)), None)
    if shape is None:
        raise ModelError(
            f"{external.name}: expects inputs of shape {expected}, the images of {data.name} have {data.image_shape}"
        )
    if not np.issubdtype(np.dtype(model.inputs[0].dtype), np.integer):
        pixels = keras.layers.Rescaling(scale, name="scale")(pixels)
    return pixels if shape == data.image_shape else keras.layers.Reshape(shape)(pixels)


def _fits(expected: Sequence[int | None], shape: Sequence[int]) -> bool:
    return len(expected) == len(shape) and all(
        side in (None, actual) for side, actual in zip(expected, shape, strict=True)
    )


def _returns_probabilities(model: keras.Model, external: ExternalModel, images: NDArray[np.uint8]) -> bool:
    outputs = model.predict(images, batch_size=500, verbose=0).astype(np.float64)
    if not np.isfinite(outputs).all():
        raise ModelError(f"{external.name}: its outputs on validation images are not finite")
    in_range = outputs.min() >= 0 and outputs.max() <= 1 + TOLERANCE
    if in_range and (np.abs(outputs.sum(axis=1) - 1) <= TOLERANCE).all():
        return True
    if in_range:
        raise ModelError(
            f"{external.name}: its outputs are from 0 to 1 but do not sum to 1: expected softmax or logits, not sigmoid"
        )
    return False


def _order(external: ExternalModel, data: Dataset) -> list[int]:
    """For each class of the dataset, the output of the model that stands for it."""
    classes = list(external.classes or ())
    if sorted(classes) != sorted(data.class_names):
        raise ModelError(
            f"{external.name}: --classes must name every class of {data.name} once, in the order of the model's "
            f"outputs: {', '.join(data.class_names)}; got {', '.join(classes)}"
        )
    return [classes.index(name) for name in data.class_names]


def _confusion(model: keras.Model, data: Dataset, validation: NDArray[np.int64]) -> NDArray[np.int64]:
    """Counts (true class, output)."""
    predicted = predictor(model)(data.images[validation]).argmax(axis=1)
    confusion = np.zeros((len(data.class_names),) * 2, dtype=np.int64)
    np.add.at(confusion, (data.labels[validation], predicted), 1)
    return confusion


def _best_accuracy(model: keras.Model, data: Dataset, validation: NDArray[np.int64]) -> float:
    """The validation accuracy with the best order of the outputs."""
    confusion = _confusion(model, data, validation)
    return float(confusion[np.arange(len(confusion)), _assignment(confusion)].sum() / confusion.sum())


def _assignment(confusion: NDArray[np.int64]) -> NDArray[np.int64]:
    """The output that stands for each class, so that as many images as possible are classified correctly."""
    from scipy.optimize import linear_sum_assignment

    assigned: NDArray[np.int64] = linear_sum_assignment(confusion, maximize=True)[1]
    return assigned


def _check_order(model: keras.Model, external: ExternalModel, data: Dataset, validation: NDArray[np.int64]) -> None:
    confusion = _confusion(model, data, validation)
    assigned = _assignment(confusion)
    accuracy = confusion.trace() / confusion.sum()
    best = confusion[np.arange(len(confusion)), assigned].sum() / confusion.sum()
    if best > accuracy + MARGIN:
        names = [data.class_names[label] for label in np.argsort(assigned)]
        raise ModelError(
            f"{external.name}: its outputs are in another order than the classes: the validation accuracy is "
            f"{100 * accuracy:.1f}%, and {100 * best:.1f}% for the order {','.join(names)}: state the order with "
            "--classes"
        )


def saved(model: keras.Model, name: str) -> bytes:
    """A model in memory as the content of a .keras file.

    Raises:
        ModelError: it cannot be saved.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        try:
            model.save(path)
        except Exception as error:  # Keras raises many types
            raise ModelError(f"{name}: cannot be saved as a .keras file: {error}") from error
        return path.read_bytes()
