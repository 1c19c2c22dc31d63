"""Saved models as files for other programs: from pixels to probabilities, checked against the saved model."""

import contextlib
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

import search_spaces
from bench.errors import ModelError
from bench.machine import silence_stderr
from bench.records.choices import ModelFormat
from bench.training.files import from_bytes
from bench.training.inference import class_probabilities, open_model
from bench.training.precision import prepare_process
from bench.training.predict import returns_probabilities
from search_spaces import FamilyLocation
from search_spaces._mirror import AppendMirrorImages, AverageMirrorImages, portable

MAX_DIFFERENCE = 1e-5  # of a probability
BATCH_SIZE = 500

# Images (n, height, width, channels) uint8 to probabilities (n, classes).
Predict = Callable[[NDArray[np.uint8]], NDArray[np.floating[Any]]]


def export(file: Path, target: Path, kind: ModelFormat, family: FamilyLocation | None = None) -> None:
    """Write the model of a .keras file to `target`, which must not exist, as a model that returns probabilities.

    `family` is that of the model, if its code may define layers.

    Raises:
        ModelError: the model cannot be loaded or exported.
    """
    prepare_process("float32")  # before TensorFlow is used, as for predictions
    model = open_model(file, family)
    writers: Mapping[ModelFormat, Callable[[keras.Model, Path], None]] = {
        "keras": lambda model, path: model.save(path),
        "savedmodel": _write_saved_model,
        "onnx": _write_onnx,
    }
    try:
        # Some versions of Keras print the signature, TensorFlow what it optimizes.
        with contextlib.redirect_stdout(io.StringIO()), silence_stderr():
            writers[kind](with_probabilities(model), target)
    except ModelError:
        raise
    except Exception as error:  # exporters raise many types
        raise ModelError(f"{file}: cannot be exported as {kind}: {type(error).__name__}: {error}") from error


def with_probabilities(model: keras.Model) -> keras.Model:
    """The same model, uncompiled, with probabilities as output instead of logits; without layers of this package."""
    probabilities = model.outputs[0]
    if not returns_probabilities(model):
        probabilities = keras.layers.Softmax(name="probabilities")(probabilities)
    uncompiled = keras.Model(model.inputs, probabilities, name=model.name)
    has_mirror = any(isinstance(layer, AppendMirrorImages | AverageMirrorImages) for layer in model.layers)
    return portable(uncompiled) if has_mirror else uncompiled  # a copy cannot have layers of the user's own


def largest_difference(
    file: Path, target: Path, kind: ModelFormat, images: NDArray[np.uint8], family: FamilyLocation | None = None
) -> float:
    """The largest difference between the probabilities of a .keras file and of the model exported from it.

    `family` is that of the model, if its code may define layers.

    Raises:
        ModelError: one of them cannot be loaded.
    """
    expected = class_probabilities([file], images, family)[0]
    predict = exported(target, kind, family)
    starts = range(0, len(images), BATCH_SIZE)
    found = np.concatenate([predict(images[start : start + BATCH_SIZE]) for start in starts])
    return float(np.abs(found.astype(np.float64) - expected).max())


def exported(target: Path, kind: ModelFormat, family: FamilyLocation | None = None) -> Predict:
    """The function of an exported model.

    `family` is that of the model, if its code may define layers.

    Raises:
        ModelError: it cannot be loaded.
    """
    loaders: Mapping[ModelFormat, Callable[[Path], Predict]] = {
        "keras": lambda path: _load_keras(path, family),
        "savedmodel": _load_saved_model,
        "onnx": _load_onnx,
    }
    try:
        return loaders[kind](target)
    except ModelError:
        raise
    except Exception as error:  # loaders raise many types
        raise ModelError(f"{target}: cannot be loaded: {type(error).__name__}: {error}") from error


def _write_saved_model(model: keras.Model, path: Path) -> None:
    """Write a SavedModel whose function `serve` takes one tensor; `model.export` may make it one of a list."""
    archive = keras.export.ExportArchive()
    archive.track(model)
    pixels = model.inputs[0]
    signature = [tf.TensorSpec(pixels.shape, pixels.dtype, name="pixels")]
    archive.add_endpoint("serve", lambda images: model(images, training=False), input_signature=signature)
    archive.write_out(str(path))


def _write_onnx(model: keras.Model, path: Path) -> None:
    import tf2onnx

    pixels = model.inputs[0]
    signature = [tf.TensorSpec(pixels.shape, pixels.dtype, name="pixels")]
    function = tf.function(lambda images: model(images, training=False), input_signature=signature)
    tf2onnx.convert.from_function(
        function, input_signature=signature, output_path=str(path), custom_op_handlers={"Erfc": (_write_erfc, [])}
    )


def _write_erfc(graph: Any, node: Any, name: str, _arguments: Any) -> None:
    """Replace Erfc, with which TensorFlow computes gelu and which ONNX does not have, by 1 - Erf."""
    (output,) = node.output
    shapes, dtypes = [graph.get_shape(output)], [graph.get_dtype(output)]
    graph.remove_node(name)
    erf = graph.make_node("Erf", node.input, name=f"{name}/erf", shapes=shapes, dtypes=dtypes)
    one = graph.make_const(f"{name}/one", np.float32(1))
    graph.make_node("Sub", [one.output[0], erf.output[0]], outputs=[output], name=name, shapes=shapes, dtypes=dtypes)


def _load_keras(path: Path, family: FamilyLocation | None) -> Predict:
    module = None if family is None else search_spaces.family_module(family)
    predict = tf.function(from_bytes(path.read_bytes(), own_code=family is not None, module=module))
    return lambda images: predict(tf.constant(images), training=False).numpy()


def _load_saved_model(path: Path) -> Predict:
    loaded = tf.saved_model.load(str(path))
    return lambda images: loaded.serve(tf.constant(images)).numpy()


def _load_onnx(path: Path) -> Predict:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda images: session.run(None, {name: images})[0]
