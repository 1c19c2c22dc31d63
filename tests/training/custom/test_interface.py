"""What models that are not a Family take and return, and how those that cannot be used are refused."""

import sys
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from bench.training.custom import UnsuitableModelError
from bench.training.custom.family import CustomFamily
from bench.training.custom.hypermodel import Hypermodel, hypermodel
from bench.training.custom.interface import are_probabilities
from bench.training.custom.labels import encoding_of
from bench.training.family import SuiteFamily, load_family
from bench.training.fit import model_summary
from bench.workers.error_text import error_text
from custom_models import CLASSES, SHAPE, custom

pytestmark = pytest.mark.slow


def family_of(build: Any, shape: tuple[int, int, int] = SHAPE, **options: Any) -> CustomFamily:
    return CustomFamily(Hypermodel(build=build, fit=None), shape, CLASSES, options.get("pixel_range"))


def softmax_model(*before: keras.Layer, outputs: int = CLASSES, **compiled: Any) -> keras.Model:
    model = keras.Sequential([*before, layers.Flatten(), layers.Dense(outputs, activation="softmax")])
    model.compile(**{"optimizer": "adam", "loss": "sparse_categorical_crossentropy"} | compiled)
    return model


def augmentation() -> keras.Sequential:
    return keras.Sequential([layers.RandomFlip("horizontal"), layers.RandomRotation(0.2)])


@cache
def shared_augmentation() -> keras.Sequential:
    """As at the top of many notebooks: part of several models."""
    return augmentation()


def to_255(x: Any) -> Any:
    return x * 255


# Inputs


@pytest.mark.parametrize(
    ("obj", "shape", "dtype", "scale", "labels"),
    [
        ("build_model", (8, 8, 1), "float32", 1 / 255, "one-hot"),
        ("model_builder", (8, 8), "float32", 1 / 255, "integer"),
        ("build_cnn", (8, 8, 1), "float32", 1.0, "integer"),
        ("build_uint8", (8, 8, 1), "uint8", 1.0, "integer"),
        ("build_flat", (64,), "float32", 1 / 255, "integer"),
        ("build_rows", (8, 8), "float32", 1 / 255, "integer"),
        ("build_own_parts", (8, 8, 1), "float32", 1 / 255, "one-hot"),
        ("build_subclass", (8, 8, 1), "float32", 1 / 255, "integer"),
        ("INSTANCE", (8, 8, 1), "float32", 1 / 255, "integer"),
        ("MyHyperModel", (8, 8, 1), "float32", 1 / 255, "integer"),
        ("Nested.build", (8, 8, 1), "float32", 1 / 255, "integer"),
    ],
)
def test_interface_is_found_from_the_model(obj: str, shape: Any, dtype: str, scale: float, labels: str) -> None:
    built = custom(obj).build({}, seed=1)
    interface = built.interface
    assert (interface.shape, interface.dtype, interface.scale, interface.labels) == (shape, dtype, scale, labels)
    images = np.arange(2 * 64, dtype=np.uint8).reshape(2, *SHAPE)
    inputs = interface.arrays(images)
    assert inputs.dtype == dtype
    assert inputs.ravel()[5] == pytest.approx(5 * scale)
    assert np.array_equal(interface.tensors(images).numpy(), inputs)
    pixels = keras.Input(SHAPE, dtype="uint8")
    assert np.array_equal(keras.Model(pixels, interface.keras_tensor(pixels))(images).numpy(), inputs)
    assert built.model(inputs).shape == (2, CLASSES)


def test_recipe_says_what_the_model_receives_and_how_it_is_trained() -> None:
    recipe = custom("build_cnn").recipe()
    assert recipe.inputs == "float32 pixels in [0, 255], shape (8, 8, 1), since it has a Rescaling layer"
    assert recipe.training == "its own: Adam, sparse_categorical_crossentropy, integer labels, batches of 32"
    assert not recipe.own_fit
    assert custom("INSTANCE").recipe().training.endswith("its own fit")


@pytest.mark.parametrize(("pixel_range", "high"), [("0-1", 1), ("0-255", 255)])
def test_pixel_range_overrides_what_is_found(pixel_range: Any, high: float) -> None:
    for obj in ("build_model", "build_cnn"):
        interface = custom(obj, pixel_range=pixel_range).build({}, seed=1).interface
        assert interface.arrays(np.full((1, *SHAPE), 255, np.uint8)).max() == pytest.approx(high)
        assert f"--pixel-range is {pixel_range}" in interface.text


@pytest.mark.parametrize(
    ("layer", "high"),
    [
        (lambda: layers.Rescaling(1 / 127.5, offset=-1), 255),
        (lambda: layers.Rescaling(255.0), 1),
        (lambda: layers.Normalization(mean=72.9, variance=8000.0), 255),
        (lambda: layers.Normalization(mean=0.286, variance=0.12), 1),
        (lambda: keras.Sequential([layers.Rescaling(1 / 255)]), 255),
        (lambda: keras.Sequential([layers.Rescaling(255.0), layers.Rescaling(1 / 127.5, offset=-1)]), 1),
    ],
    ids=["rescaling", "to 255", "normalization", "normalization of fractions", "nested", "to 255 and back"],
)
def test_range_is_that_of_the_first_rescaling_or_normalization_layer(layer: Any, high: float) -> None:
    interface = family_of(lambda _: softmax_model(layer())).build({}, seed=1).interface
    assert interface.arrays(np.full((1, *SHAPE), 255, np.uint8)).max() == pytest.approx(high)


@pytest.mark.parametrize(
    ("function", "high"),
    [
        (lambda x: x / 255.0, 255),
        (lambda x: keras.ops.cast(x, "float32") * (1 / 255), 255),
        (keras.applications.mobilenet_v2.preprocess_input, 255),
        (keras.applications.densenet.preprocess_input, 255),
        (keras.applications.resnet50.preprocess_input, 255),  # subtracts the means of the channels
        (layers.Lambda(lambda x: x / 127.5 - 1), 255),
        (lambda x: (x - 0.5) / 0.5, 1),
        (lambda x: 1 - x, 1),
        (lambda x: keras.applications.mobilenet_v2.preprocess_input(shared_augmentation()(x)), 255),
        (lambda x: keras.applications.resnet50.preprocess_input(layers.Resizing(9, 9)(x)), 255),
        (lambda x: layers.Concatenate()([x[..., :1] / 255] * 3), 255),
        (lambda x: layers.Resizing(9, 9)(shared_augmentation()(x)), 1),
        (lambda x: layers.Flatten()(x) / 255, 255),
        (lambda x: keras.ops.clip(x, 0, 1), 1),
        (lambda x: layers.Rescaling(1 / 127.5, offset=-1)(x * 255), 1),
        (lambda x: layers.Normalization(mean=72.9, variance=8000.0)(keras.Sequential([layers.Lambda(to_255)])(x)), 1),
        (lambda x: keras.applications.resnet50.preprocess_input(x * 255), 1),
        (lambda x: layers.Normalization(mean=0.286, variance=0.12)(x / 255), 255),
        (lambda x: layers.Rescaling(255.0)(x / 255), 255),
    ],
    ids=[
        *("divided", "multiplied", "mobilenet", "densenet", "resnet", "lambda", "standardized fractions", "inverted"),
        *("augmented before", "resized before", "concatenated after", "augmented only", "flattened before", "clipped"),
        *("255 before rescaling", "nested 255 before normalization", "255 before resnet"),
        *("divided before normalization", "divided before rescaling"),
    ],
)
def test_range_is_that_which_operations_on_the_input_expect(function: Any, high: float) -> None:
    shape = (6, 5, 3)
    pixels = keras.Input(shape)
    model = keras.Model(pixels, layers.Dense(CLASSES, "softmax")(layers.Flatten()(function(pixels))))
    model.compile("adam", "sparse_categorical_crossentropy")
    interface = family_of(lambda _: model, shape).build({}, seed=1).interface
    assert interface.arrays(np.full((1, *shape), 255, np.uint8)).max() == pytest.approx(high)
    assert (interface.reason == "operations on its input rescale pixels up to 255") == (high == 255)


def test_range_is_that_of_a_lambda_layer_in_a_sequential_model() -> None:
    interface = family_of(lambda _: softmax_model(layers.Lambda(lambda x: x / 255))).build({}, seed=1).interface
    assert interface.scale == 1


@pytest.mark.parametrize(
    ("before", "value_range", "high"),
    [
        ((), (0, 255), 255),
        ((), (0, 1), 1),
        ((lambda: layers.Rescaling(1 / 255),), (0, 1), 255),
        ((lambda: layers.Rescaling(1 / 255),), (0, 255), 255),
        ((lambda: layers.Lambda(lambda x: x / 255),), (0, 255), 255),
        ((lambda: layers.Lambda(to_255),), (0, 255), 1),
    ],
)
def test_range_is_that_of_random_brightness_only_if_nothing_else_decides(
    before: tuple[Callable[[], keras.Layer], ...], value_range: tuple[int, int], high: float
) -> None:
    def build(_: Any) -> keras.Model:
        brightness = keras.Sequential([layers.RandomBrightness(0.2, value_range=value_range)])
        return softmax_model(*(make() for make in before), brightness)

    interface = family_of(build, (6, 5, 3)).build({}, seed=1).interface
    assert interface.arrays(np.full((1, 6, 5, 3), 255, np.uint8)).max() == pytest.approx(high)


def test_color_images_keep_their_channels() -> None:
    family = family_of(lambda _: softmax_model(layers.Conv2D(2, 3)), (6, 5, 3))
    assert family.build({}, seed=1).interface.shape == (6, 5, 3)


def test_input_of_any_size_is_accepted() -> None:
    def build(_: Any) -> keras.Model:
        inputs = keras.Input((None, None, 1))
        outputs = layers.Dense(CLASSES, "softmax")(layers.GlobalAveragePooling2D()(inputs))
        model = keras.Model(inputs, outputs)
        model.compile("adam", "sparse_categorical_crossentropy")
        return model

    assert family_of(build).build({}, seed=1).interface.shape == SHAPE


def test_same_seed_gives_the_same_weights_however_often_the_model_is_built() -> None:
    # build_rows takes (8, 8), which is tried second.
    first, other, second = (custom("build_rows").build({"units": 8}, seed=seed).model for seed in (1, 2, 1))
    pairs = list(zip(first.get_weights(), second.get_weights(), strict=True))
    assert all(np.array_equal(a, b) for a, b in pairs)
    assert not all(np.array_equal(a, b) for a, b in zip(first.get_weights(), other.get_weights(), strict=True))


def test_models_of_equal_seeds_are_augmented_alike_whatever_was_trained_before() -> None:
    images = np.random.default_rng(0).random((4, *SHAPE), np.float32)
    outside = augmentation()
    family = family_of(lambda _: softmax_model(outside, layers.Dropout(0.5)))
    first, other, second = (family.build({}, seed=seed).model(images, training=True).numpy() for seed in (1, 2, 1))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_weights_of_an_earlier_candidate_are_refused_if_any_candidate_trains_them() -> None:
    base, outside = keras.Sequential([keras.Input(SHAPE), layers.Conv2D(2, 3)]), augmentation()

    def build(hp: Any) -> keras.Model:
        base.trainable = hp.Boolean("fine_tune") if tuned else False
        return softmax_model(base, outside)

    tuned = False
    assert family_of(build).space().space == []
    tuned = True
    with pytest.raises(
        UnsuitableModelError, match="created outside build_model, so that each candidate would continue"
    ):
        family_of(build).space()


def test_optimizer_of_an_earlier_candidate_is_refused() -> None:
    optimizer = keras.optimizers.Adam(1e-3)
    with pytest.raises(UnsuitableModelError, match=r"its optimizer is created outside .*: create it inside"):
        family_of(lambda _: softmax_model(optimizer=optimizer)).space()


def test_pixels_are_not_rounded_by_a_model_of_mixed_precision() -> None:
    def build(_: Any) -> keras.Model:
        keras.mixed_precision.set_global_policy("mixed_float16")
        return softmax_model(layers.Dense(3), layers.Activation("linear", dtype="float32"))

    try:
        family = family_of(build)
        family.recipe()
        pixels, images = keras.Input(SHAPE, dtype="uint8"), np.arange(64, dtype=np.uint8).reshape(1, *SHAPE)
        outputs = family.build({}, seed=1).interface.keras_tensor(pixels)
        assert np.array_equal(
            keras.Model(pixels, outputs)(images).numpy(), images.astype(np.float32) * np.float32(1 / 255)
        )
    finally:
        keras.utils.clear_session()
        keras.mixed_precision.set_global_policy("float32")


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_rounded_probabilities_are_probabilities(dtype: str) -> None:
    logits = np.random.default_rng(0).normal(size=(1_000, CLASSES))
    outputs = keras.ops.convert_to_numpy(keras.ops.cast(keras.ops.softmax(logits), dtype))
    assert are_probabilities(outputs)
    assert not are_probabilities(outputs * outputs.dtype.type(1.01))


# Labels


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("sparse_categorical_crossentropy", "integer"),
        (keras.losses.SparseCategoricalCrossentropy(from_logits=True, name="other"), "integer"),
        (keras.losses.sparse_categorical_crossentropy, "integer"),
        ("categorical_crossentropy", "one-hot"),
        (keras.losses.CategoricalCrossentropy(label_smoothing=0.1), "one-hot"),
        (keras.losses.CategoricalFocalCrossentropy(), "one-hot"),
        ("kl_divergence", "one-hot"),
        ("mse", "one-hot"),
        (lambda y, p: 2 * keras.losses.sparse_categorical_crossentropy(y, p), "integer"),
        (lambda y, p: 2 * keras.losses.categorical_crossentropy(y, p), "one-hot"),
        (lambda y, p: keras.ops.mean(keras.ops.square(y - p), axis=-1), "one-hot"),
    ],
)
def test_encoding_of_labels_is_determined_by_the_loss(loss: Any, expected: str) -> None:
    assert encoding_of(softmax_model(loss=loss), CLASSES) == expected


def test_loss_that_accepts_no_labels_is_refused_with_both_reasons() -> None:
    def loss(y: Any, p: Any) -> Any:
        raise RuntimeError("never")

    with pytest.raises(UnsuitableModelError, match=r"integer labels: RuntimeError: never; one-hot labels: Runtime"):
        encoding_of(softmax_model(loss=loss), CLASSES)


@pytest.mark.parametrize(
    ("loss", "metric", "message"),
    [
        (
            "sparse_categorical_crossentropy",
            keras.metrics.AUC,
            r"do not accept integer labels: .*\. Compile with categorical_crossentropy, so that labels are one-hot",
        ),
        ("sparse_categorical_crossentropy", lambda: "f1_score", "do not accept integer labels: .*crossentropy"),
        (
            "categorical_crossentropy",
            keras.metrics.SparseTopKCategoricalAccuracy,
            r"do not accept one-hot labels: .*\. Compile with sparse_",
        ),
        ("categorical_crossentropy", keras.metrics.AUC, None),
        ("sparse_categorical_crossentropy", lambda: "accuracy", None),
    ],
)
def test_metrics_must_accept_the_labels_that_the_loss_expects(loss: str, metric: Any, message: str | None) -> None:
    family = family_of(lambda _: softmax_model(loss=loss, metrics=[metric()]))
    if message is None:
        family.recipe()
    else:
        with pytest.raises(UnsuitableModelError, match=message):
            family.recipe()


def test_metrics_must_accept_the_labels_that_a_fit_passes_on() -> None:
    def build(_: Any) -> keras.Model:
        return softmax_model(loss=lambda y, p: keras.ops.mean(p, axis=-1), metrics=[keras.metrics.AUC()])

    def one_hot(hp: Any, model: keras.Model, x: Any, y: Any, **named: Any) -> Any:
        return model.fit(x, np.eye(CLASSES)[y], **named)

    def converted(hp: Any, model: keras.Model, x: Any, y: Any, **named: Any) -> Any:
        return model.fit(x, keras.utils.to_categorical(y, CLASSES), **named)

    def unchanged(hp: Any, model: keras.Model, *arguments: Any, **named: Any) -> Any:
        return model.fit(*arguments, **named)

    CustomFamily(Hypermodel(build=build, fit=one_hot), SHAPE, CLASSES, None).recipe()
    with pytest.raises(UnsuitableModelError, match="its metrics do not accept integer labels"):
        CustomFamily(Hypermodel(build=build, fit=unchanged), SHAPE, CLASSES, None).recipe()
    with pytest.raises(UnsuitableModelError, match=r"one-hot labels, .* passes on some of shape \(20, 10, 10\)"):
        CustomFamily(
            Hypermodel(build=lambda _: softmax_model(loss="categorical_crossentropy"), fit=converted),
            SHAPE,
            CLASSES,
            None,
        ).recipe()


def test_fit_that_validates_on_training_images_is_refused_before_it_trains() -> None:
    def fit(hp: Any, model: keras.Model, x: Any, y: Any, validation_data: Any, **named: Any) -> Any:
        return model.fit(x, y, validation_split=0.2, **named)

    with pytest.raises(UnsuitableModelError, match="instead of validation_split: pass on validation_data"):
        CustomFamily(Hypermodel(build=lambda _: softmax_model(), fit=fit), SHAPE, CLASSES, None).recipe()


def test_warnings_of_builds_are_not_shown() -> None:
    def build(_: Any) -> keras.Model:
        warnings.warn("use an Input", stacklevel=1)
        return softmax_model()

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        hypermodel(build, SHAPE, CLASSES).build(keras_tuner.HyperParameters())
    assert "use an Input" not in {str(each.message) for each in caught}


def test_summary_of_a_model_built_on_its_first_call_has_no_batch_size_and_no_optimizer() -> None:
    built = family_of(lambda _: softmax_model(keras.Sequential([layers.Conv2D(2, 3)]))).build({}, seed=1)
    built.model.optimizer.build(built.model.trainable_variables)
    summary = model_summary(built.model)
    assert "(None, 6, 6, 2)" in summary
    assert "Optimizer params" not in summary
    assert built.model.compiled


def test_error_in_a_graph_is_described_without_its_long_stack() -> None:
    @tf.function  # type: ignore[untyped-decorator]
    def select(values: tf.Tensor) -> tf.Tensor:
        return tf.gather(values, values)

    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        select(tf.range(1, 5))
    description = error_text(caught.value)
    assert "indices[3] = 4 is not in [0, 4)" in description
    assert 'File "' not in description


# Refused models


def several_inputs(_: Any) -> keras.Model:
    inputs = [keras.Input(SHAPE), keras.Input(SHAPE)]
    model = keras.Model(inputs, layers.Dense(CLASSES)(layers.Flatten()(layers.Add()(inputs))))
    model.compile("adam", "mse")
    return model


def several_outputs(_: Any) -> keras.Model:
    inputs = keras.Input(SHAPE)
    features = layers.Flatten()(inputs)
    model = keras.Model(inputs, [layers.Dense(CLASSES, "softmax")(features), layers.Dense(64)(features)])
    model.compile("adam", ["sparse_categorical_crossentropy", "mse"])
    return model


def of_shape(shape: tuple[int, ...], outputs: int = CLASSES) -> Any:
    def build(_: Any) -> keras.Model:
        model = keras.Sequential([keras.Input(shape), layers.Flatten(), layers.Dense(outputs, "softmax")])
        model.compile("adam", "sparse_categorical_crossentropy")
        return model

    return build


class NotCompiled(keras_tuner.HyperModel):  # type: ignore[misc]
    """As in Keras Tuner's guide to custom training loops."""

    def build(self, hp: Any) -> keras.Model:
        return keras.Sequential([layers.Dense(3)])

    def fit(self, hp: Any, model: keras.Model, *args: Any, **kwargs: Any) -> float:
        return 0.0


def single_sigmoid(_: Any) -> keras.Model:
    """For two classes, as binary classifiers in many notebooks; built on its first call."""
    model = keras.Sequential([layers.Flatten(), layers.Dense(1, activation="sigmoid")])
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda _: None, "expected a compiled keras.Model, it built NoneType: end with return model"),
        (lambda _: layers.Dense(3), "expected a compiled keras.Model, it built Dense"),
        (lambda _: keras.Sequential([layers.Dense(3)]), "not compiled: call model.compile before returning it"),
        (several_inputs, "expected a model with one input, found 2"),
        (of_shape((28, 28, 1)), r"inputs of shape \(28, 28, 1\), the images have \(8, 8, 1\): move preprocessing"),
        (
            of_shape((8, 8, 3)),
            r"\(8, 8, 3\), .*: move .*; for color, start with x = keras\.Input\(\(8, 8, 1\)\) and .*\(\[x, x, x\]\)$",
        ),
        (several_outputs, "expected a model with one output, found 2: return only that of the classes"),
        (of_shape(SHAPE, 7), r"expected one output of shape \(batch, 10\), .* found \(None, 7\): end with Dense\(10\)"),
        (of_shape(SHAPE, 1), r"its single output is one probability, .*: end with Dense\(10, activation="),
        (
            lambda _: softmax_model(outputs=9),
            r"^expected one output of shape \(batch, 10\), one for each class, found \(2, 9\): end with Dense\(10\)$",
        ),
        (single_sigmoid, r"its single output is one probability, .* replace the loss binary_crossentropy by sparse"),
        (
            lambda _: softmax_model(layers.Conv2D(2, 9)),
            r"does not fit the images, with shape \(8, 8, 1\): ValueError: .*\. Move preprocessing",
        ),
    ],
)
def test_unsuitable_model_is_refused_with_what_to_do(build: Any, message: str) -> None:
    with pytest.raises(UnsuitableModelError, match=message):
        family_of(build).build({}, seed=1)


def test_model_with_its_own_training_loop_must_be_compiled() -> None:
    family = CustomFamily(hypermodel(NotCompiled, SHAPE, CLASSES), SHAPE, CLASSES, None)
    expected = "not compiled: call model.compile before returning it; fit may then still have its own training loop$"
    with pytest.raises(UnsuitableModelError, match=expected):
        family.build({}, seed=1)


@pytest.mark.parametrize("activation", [None, "sigmoid"])
def test_loss_that_expects_probabilities_needs_them(activation: Any) -> None:
    def build(_: Any) -> keras.Model:
        model = keras.Sequential([layers.Flatten(), layers.Dense(CLASSES, activation)])
        model.compile("adam", "sparse_categorical_crossentropy")
        return model

    with pytest.raises(UnsuitableModelError, match=r'activation="softmax"\), or use the loss with from_logits=True'):
        family_of(build).recipe()


@pytest.mark.parametrize("loss", ["mse", lambda y, p: keras.ops.mean(keras.ops.square(y - p), axis=-1)])
def test_sigmoid_at_the_end_is_refused_whatever_the_loss_is(loss: Any) -> None:
    def build(_: Any) -> keras.Model:
        model = keras.Sequential([layers.Flatten(), layers.Dense(CLASSES), layers.Activation("sigmoid")])
        model.compile("adam", loss)
        return model

    with pytest.raises(UnsuitableModelError, match=r"do not sum to 1, since it ends with sigmoid: end with "):
        family_of(build).recipe()


def test_model_without_a_loss_is_refused_before_it_is_trained_by_its_own_loop() -> None:
    def build(_: Any) -> keras.Model:
        model = keras.Sequential([layers.Flatten(), layers.Dense(CLASSES)])
        model.compile("adam")
        return model

    family = CustomFamily(Hypermodel(build=build, fit=lambda *_, **__: 0.0), SHAPE, CLASSES, None)
    with pytest.raises(UnsuitableModelError, match=r"its loss on validation .* be computed: .*Provide a `loss`"):
        family.recipe()


class NoConfig(layers.Layer):  # type: ignore[misc]
    def __init__(self, factor: Any) -> None:
        super().__init__()
        self.factor = factor

    def call(self, x: Any) -> Any:
        return self.factor * x


def test_model_that_cannot_be_saved_is_refused_before_it_is_trained() -> None:
    with pytest.raises(UnsuitableModelError, match=r"cannot be saved and loaded: .*need get_config"):
        family_of(lambda _: softmax_model(NoConfig(np.float32(2)))).recipe()


def test_candidate_that_cannot_be_saved_is_refused_before_the_search() -> None:
    def build(hp: Any) -> keras.Model:
        return softmax_model(NoConfig(np.float32(2)) if hp.Boolean("own") else layers.Identity())

    family = family_of(build)
    family.recipe()
    with pytest.raises(UnsuitableModelError, match=r"^with own=True, the model cannot be saved and loaded: "):
        family.space()


def test_same_initial_weights_for_every_seed_are_a_warning() -> None:
    def build(_: Any) -> keras.Model:
        keras.utils.set_random_seed(42)
        return softmax_model()

    with pytest.warns(UserWarning, match="same initial weights for every seed.*: remove seeds from build_model"):
        family_of(build).recipe()
    seeded = keras.initializers.GlorotUniform(seed=42)
    family_of(lambda _: softmax_model(layers.Conv2D(2, 3, kernel_initializer=seeded))).recipe()  # the last layer is not


def triple(x: Any) -> Any:
    return keras.ops.tile(x, (1, 1, 1, 3))


def double(x: Any) -> Any:
    return 2 * x


def test_function_of_a_layer_must_be_found_when_it_is_loaded() -> None:
    def recipe(*before: Callable[[], keras.Layer]) -> None:
        hypermodel = Hypermodel(build=lambda _: softmax_model(*(make() for make in before)), fit=None)
        CustomFamily(hypermodel, SHAPE, CLASSES, None, sys.modules[__name__]).recipe()

    recipe(lambda: layers.Lambda(triple), lambda: layers.Dense(3, activation=double))
    with pytest.raises(UnsuitableModelError, match=r"name 'keras' is not defined\. A lambda in a Lambda layer"):
        recipe(lambda: layers.Lambda(lambda x: keras.ops.tile(x, (1, 1, 1, 3))))


@pytest.mark.parametrize(
    ("obj", "message"),
    [
        (3, "it is 3: expected a subclass of Family, a keras_tuner.HyperModel"),
        (keras.Sequential(), "it is a model: expected"),
        (lambda: None, "takes no hyperparameters: expected a function build_model"),
        (lambda hp, depth: None, "needs the argument depth: give defaults, or name an instance; known .*n_classes"),
    ],
)
def test_object_that_is_no_family_is_refused(obj: Any, message: str) -> None:
    with pytest.raises(UnsuitableModelError, match=message):
        hypermodel(obj, SHAPE, CLASSES)


def test_shape_and_classes_are_given_to_parameters_of_these_names() -> None:
    seen: list[Any] = []

    def build(
        hp: Any, input_shape: Any, classes: int = 3, *, image_shape: Any, num_classes: int, depth: int = 2
    ) -> None:
        seen.append((input_shape, classes, image_shape, num_classes, depth))

    class Net(keras_tuner.HyperModel):  # type: ignore[misc]
        def __init__(self, n_classes: int, depth: int = 2) -> None:
            super().__init__()
            seen.append((n_classes, depth))

    hypermodel(build, SHAPE, 5).build(keras_tuner.HyperParameters())
    hypermodel(Net, SHAPE, 5)
    assert seen == [(SHAPE, 5, SHAPE, 5, 2), (5, 2)]


def test_what_a_hypermodel_prints_when_it_is_made_is_discarded(capsys: pytest.CaptureFixture[str]) -> None:
    class Net(keras_tuner.HyperModel):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            print("made")

    hypermodel(Net, SHAPE, 5)
    assert capsys.readouterr().out == ""


def test_instance_of_a_family_is_refused_and_its_class_is_accepted() -> None:
    import search_spaces
    from search_spaces import FamilyLocation

    definition = FamilyLocation(name="mine", definition="search_spaces.dense:Dense")
    assert isinstance(load_family(definition, SHAPE, CLASSES), SuiteFamily)
    with pytest.raises(UnsuitableModelError, match="--pixel-range is for models that are not a Family"):
        load_family(definition, SHAPE, CLASSES, pixel_range="0-1")
    assert search_spaces.load(definition).__name__ == "Dense"


# Keras Tuner's own hypermodels


@pytest.mark.parametrize("name", ["HyperResNet", "HyperXception"])
def test_hypermodels_of_keras_tuner_fit_large_images(name: str) -> None:
    from search_spaces import FamilyLocation

    definition = FamilyLocation(name=name, definition=f"keras_tuner.applications:{name}")
    family = load_family(definition, (64, 64, 3), CLASSES)
    assert isinstance(family, CustomFamily)
    interface = family.build({}, seed=1).interface
    assert (interface.shape, interface.labels) == ((64, 64, 3), "one-hot")
