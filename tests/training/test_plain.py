"""Plain Keras code: run without this package, it builds and trains the same model."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from bench.data import catalog
from bench.data.development import facts, load_development
from bench.errors import ModelError
from bench.machine import variables
from bench.records.dataset import DatasetFacts
from bench.records.plain import PlainKeras
from bench.records.spec import TrialSpec, Value
from bench.training.plain.expressions import number
from bench.training.plain.rebuild import rebuild
from bench.training.plain.script import FitSettings, plain_keras
from bench.workers.fork_server import WORKER_VARIABLES
from builders import make_trial_spec
from custom_models import make_spec

pytestmark = pytest.mark.slow

DENSE: dict[str, Value] = {
    "dense_layers": 2,
    "activation": "gelu",
    "dropout": 0.2,
    "units_1": 128,
    "units_2": 256,
    "learning_rate": 0.004,
    "horizontal_flips": False,
}
CNN: dict[str, Value] = {
    "filters": 8,
    "blocks": 1,
    "dense_units": 64,
    "dropout": 0.1,
    "random_shifts": True,
    "learning_rate": 0.008,
    "horizontal_flips": True,
}
LINEAR: dict[str, Value] = {
    "dropout": 0.1,
    "normalization": True,
    "learning_rate": 0.008,
    "horizontal_flips": True,
}
RESNET: dict[str, Value] = {
    "blocks_per_stage": 2,
    "growth": 1.5,
    "activation": "gelu",
    "dropout": 0.1,
    "random_shifts": True,
    "learning_rate": 0.008,
    "horizontal_flips": True,
}
MIXER: dict[str, Value] = {
    "blocks": 2,
    "expansion": 2,
    "dropout": 0.1,
    "random_shifts": True,
    "learning_rate": 0.008,
    "horizontal_flips": True,
}
STEPS = (0, 1, 3, 10, 21, 22)  # of the learning-rate schedule, warm-up and decay
# Runs each driver in a process of its own where this package cannot be imported. They are forked from one that has
# imported Keras, which takes seconds.
SERVER = """
import gc, os, sys, traceback
sys.modules["bench"] = sys.modules["search_spaces"] = None
import keras, numpy
gc.freeze()  # what children share is no garbage
driver = sys.argv[1]
for folder in sys.stdin:
    if (child := os.fork()) == 0:
        os.chdir(folder.rstrip())
        os.dup2(os.open("output.txt", os.O_WRONLY | os.O_CREAT), 1)
        os.dup2(os.open("errors.txt", os.O_WRONLY | os.O_CREAT), 2)
        try:
            exec(driver, {"__name__": "__main__"})
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        sys.stdout.flush()
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
# Runs the code, then describes the model.
DRIVER = """
import json
import numpy as np
data = np.load("data.npz")
x_train, y_train = data["images"], data["labels"]
exec(compile(open("plain.py").read(), "plain.py", "exec"))
trained = [float(np.abs(weight).sum()) for weight in model.get_weights()]
rate = model.optimizer.get_config()["learning_rate"]
if isinstance(rate, dict):
    schedule = keras.optimizers.schedules.deserialize(rate)
    rate = [float(schedule(step)) for step in STEPS]
model.set_weights([data[f"weight_{number}"] for number in range(len(model.weights))])
print(json.dumps({
    "layers": [[type(layer).__name__, list(layer.output.shape)] for layer in model.layers],
    "parameters": model.count_params(),
    "rate": rate,
    "loss": model.evaluate(x_train[:100], y_train[:100], verbose=0, return_dict=True)["loss"],
    "outputs": model.predict(x_train[:100], verbose=0).tolist(),
    "trained": trained,
}))
""".replace("STEPS", repr(STEPS))


@pytest.fixture(scope="module")
def digits() -> DatasetFacts:
    location = catalog.locate("digits")
    return facts(location, load_development(location))


def spec(model: str, values: Mapping[str, Value], part: Any = "development") -> TrialSpec:
    return make_trial_spec(model=model, values=values, part=part, seed=11, epochs=2)


@cache
def server() -> "subprocess.Popen[str]":
    """The process that runs drivers, started at the first call."""
    command = [sys.executable, "-c", SERVER, DRIVER]
    environment = variables(**WORKER_VARIABLES)
    return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.fixture(scope="module", autouse=True)
def _server_ends() -> Iterator[None]:
    yield
    if server.cache_info().currsize:
        server().communicate()
        server.cache_clear()


def run_code(code: str, model: keras.Model, folder: Path) -> dict[str, Any]:
    """What the code makes, with the weights of `model`."""
    data = load_development(catalog.locate("digits"))
    weights = {f"weight_{number}": weight for number, weight in enumerate(model.get_weights())}
    np.savez(folder / "data.npz", images=data.images, labels=data.labels, **weights)
    (folder / "plain.py").write_text(code)
    requests, answers = server().stdin, server().stdout
    assert requests is not None
    assert answers is not None
    print(folder, file=requests, flush=True)
    assert int(answers.readline()) == 0, f"{code}\n{(folder / 'errors.txt').read_text()[-3000:]}"
    described: dict[str, Any] = json.loads((folder / "output.txt").read_text().splitlines()[-1])
    return described


def assert_same(plain: PlainKeras, model: keras.Model, folder: Path) -> dict[str, Any]:
    """Assert that the code makes `model`: layers, shapes, parameters, learning rates, loss and outputs."""
    data = load_development(catalog.locate("digits"))
    described = run_code(plain.code, model, folder)
    assert described["layers"] == [[type(layer).__name__, list(layer.output.shape)] for layer in model.layers]
    assert described["parameters"] == model.count_params()
    rate = model.optimizer.get_config()["learning_rate"]
    if isinstance(rate, dict):
        schedule = keras.optimizers.schedules.deserialize(rate)
        rate = [float(schedule(step)) for step in STEPS]
    assert described["rate"] == pytest.approx(rate, rel=1e-6)
    labels: Any = data.labels[:100]
    if "to_categorical" in plain.code and not hasattr(model.loss, "from_logits"):
        labels = np.eye(10)[labels]
    loss = model.evaluate(data.images[:100], labels, verbose=0, return_dict=True)["loss"]
    assert described["loss"] == pytest.approx(loss, rel=1e-5)
    assert np.allclose(described["outputs"], model.predict(data.images[:100], verbose=0), atol=1e-5)
    return described


@pytest.mark.parametrize(
    ("family", "values"),
    [
        pytest.param("dense", DENSE, id="dense", marks=pytest.mark.long),
        pytest.param("cnn", CNN, id="cnn", marks=pytest.mark.smoke),
        pytest.param("linear", LINEAR, id="linear"),
        pytest.param("resnet", RESNET, id="resnet", marks=pytest.mark.long),
        pytest.param("mixer", MIXER, id="mixer", marks=pytest.mark.long),
    ],
)
def test_code_of_a_family_makes_its_model(
    family: str, values: dict[str, Value], digits: DatasetFacts, tmp_path: Path
) -> None:
    model, settings = rebuild(spec(family, values), digits)
    plain = plain_keras(model, digits, settings)
    initial = [float(np.abs(weight).sum()) for weight in model.get_weights()]
    described = assert_same(plain, model, tmp_path)
    assert described["trained"] != pytest.approx(initial, rel=1e-3)
    assert "label_smoothing=0.1" in plain.code
    assert "import search_spaces" not in plain.code
    # 1,437 images in batches of 128.
    assert (settings.steps, settings.batch_size) == (11, 128)
    assert "epochs=2" in plain.code


def test_flips_are_code_with_the_average_over_mirror_images(digits: DatasetFacts) -> None:
    model, settings = rebuild(spec("cnn", CNN), digits)
    plain = plain_keras(model, digits, settings)
    code = plain.code
    assert "class AppendMirrorImages(keras.layers.Layer):" in code
    assert "class AverageMirrorImages(keras.layers.Layer):" in code
    assert "= layers.RandomFlip(mode='horizontal')(x)\n" in code
    flip, _, shift = plain.recipe["augmentation"].partition(", ")
    assert shift.startswith("layers.RandomTranslation(")
    assert flip == "layers.RandomFlip(mode='horizontal')"
    assert plain.recipe["prediction"] == "average over each image and its mirror image"
    model, settings = rebuild(spec("cnn", CNN | {"horizontal_flips": False}), digits)
    without = plain_keras(model, digits, settings)
    assert "class " not in without.code
    assert "prediction" not in without.recipe


def test_code_evaluates_on_the_test_set_of_a_dataset_that_keras_downloads(digits: DatasetFacts, tmp_path: Path) -> None:
    model, settings = rebuild(spec("dense", DENSE), digits)
    assert "x_test" not in plain_keras(model, digits, settings).code
    plain = plain_keras(model, replace(digits, name="mnist"), settings)
    comment = "# The loss includes label smoothing: compare only the accuracy with other models."
    assert plain.code.endswith(f"epochs=2)\n{comment}\nmodel.evaluate(x_test, y_test)\n")
    own = "keras.datasets.mnist.load_data = lambda: ((x_train, y_train), (x_train[:50], y_train[:50]))\n"
    run_code(plain.code.replace("# Digits", f"{own}# Digits"), model, tmp_path)


def test_code_says_what_the_model_takes_and_returns_in_short_lines(digits: DatasetFacts) -> None:
    model, settings = rebuild(spec("cnn", CNN), digits)
    code = plain_keras(model, digits, settings).code
    assert "\n# takes pixels from 0 to 255: do not divide the images by 255\ninputs = keras.Input(" in code
    assert "\nmodel = keras.Model(inputs, x)  # outputs are logits; softmax gives probabilities\n" in code
    assert "\nlearning_rate = keras.optimizers.schedules.CosineDecay(\n    0.0, " in code
    assert "optimizer=keras.optimizers.Adam(learning_rate=learning_rate)," in code
    assert "\nx = layers.RandomTranslation(\n    0.125, 0.125, fill_mode=" in code
    assert "\n)(x)\n" in code
    # 1,437 images are 11 batches of 128 and 29 more.
    left_out = (
        "12 batches per epoch; keras-family-bench trained 11, leaving out\n"
        "# 29 of 1,437 images, different ones in each epoch."
    )
    assert f"\n# Keras trains {left_out}\nmodel.fit(" in code
    assert max(map(len, code.splitlines())) <= 88
    scaled, settings = rebuild(make_spec("build_model", part="development"), digits)
    assert "# takes pixels" not in plain_keras(scaled, digits, settings).code
    softmax, settings = rebuild(spec("tutorial-dense-256-dropout", {}, "reference"), digits)
    assert "logits" not in plain_keras(softmax, digits, settings).code
    mistaken, settings = rebuild(make_spec("build_softmax_as_logits", part="development"), digits)
    assert "outputs are logits" not in plain_keras(mistaken, digits, settings).code


# 44 batches of 32 of all 1,437 images; 35 of the first 80% of them, rounded down as in Keras.
@pytest.mark.parametrize(
    ("name", "left_out"), [("tutorial-dense-256-dropout", "29 of 1,149"), ("tutorial-linear", "29 of 1,437")]
)
def test_code_of_a_tutorial_makes_its_model(name: str, left_out: str, digits: DatasetFacts, tmp_path: Path) -> None:
    model, settings = rebuild(spec(name, {}, "reference"), digits)
    plain = plain_keras(model, digits, settings)
    assert_same(plain, model, tmp_path)
    assert ("validation_split=0.2" in plain.code) == (name == "tutorial-dense-256-dropout")
    assert f"\n# {left_out} images, different ones in each epoch.\n" in plain.code


@pytest.mark.parametrize("obj", ["build_model", "build_cnn", "build_uint8", "build_flat"])
def test_code_of_a_model_with_its_own_recipe_makes_its_model(obj: str, digits: DatasetFacts, tmp_path: Path) -> None:
    model, settings = rebuild(make_spec(obj, part="development"), digits)
    assert settings.inputs is not None
    plain = plain_keras(model, digits, settings)
    described = run_code(plain.code, model, tmp_path)
    images = settings.inputs.arrays(load_development(catalog.locate("digits")).images[:100])
    assert np.allclose(described["outputs"], model.predict(images, verbose=0), atol=1e-5)
    assert "batch_size=32, epochs=3" in plain.code


def test_balanced_classes_are_in_the_code(digits: DatasetFacts, tmp_path: Path) -> None:
    model, settings = rebuild(make_spec("build_cnn", part="development", class_weights="balanced"), digits)
    plain = plain_keras(model, digits, settings)
    assert "class_weight=class_weight" in plain.code
    assert plain.recipe["class weights"] == "balanced"
    run_code(plain.code, model, tmp_path)


def test_model_with_a_fit_of_its_own_has_no_code(digits: DatasetFacts) -> None:
    with pytest.raises(ModelError, match=r"trained by the fit of its own hypermodel, plain_models\.py:INSTANCE"):
        rebuild(make_spec("INSTANCE", part="development"), digits)


SETTINGS = FitSettings(seed=1, epochs=1, images=1408, batch_size=128, steps=11)


def compiled(model: keras.Model, loss: Any = "sparse_categorical_crossentropy") -> keras.Model:
    model.compile(optimizer="sgd", loss=loss, metrics=["accuracy"])
    return model


def test_branches_shared_layers_and_operations_are_code(digits: DatasetFacts, tmp_path: Path) -> None:
    inputs = keras.Input((8, 8, 1))
    shared = layers.Conv2D(4, 3, padding="same", kernel_initializer=keras.initializers.HeNormal())
    first = layers.Conv2D(4, (3, 1), strides=1, padding="same", kernel_regularizer=keras.regularizers.L2(0.01))(inputs)
    second = layers.ReLU()(shared(first))
    total = layers.Add()([first, shared(second)])
    total = keras.ops.add(total, second)
    outputs = layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(total))
    model = compiled(keras.Model(inputs, outputs))
    plain = plain_keras(model, digits, SETTINGS)
    assert_same(plain, model, tmp_path)
    assert "shared_1 = " in plain.code
    assert "keras.initializers.HeNormal()" in plain.code


def test_sequential_model_is_code(digits: DatasetFacts, tmp_path: Path) -> None:
    model = compiled(
        keras.Sequential([layers.Flatten(), layers.Dense(10)]),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    model.build((None, 8, 8, 1))
    plain = plain_keras(model, digits, SETTINGS)
    assert "keras.Sequential(" in plain.code
    assert_same(plain, model, tmp_path)


def test_sequential_model_in_a_model_and_adapted_normalization_are_code(digits: DatasetFacts, tmp_path: Path) -> None:
    augment = keras.Sequential([layers.RandomFlip("horizontal"), layers.RandomRotation(0.1)])
    normalize = layers.Normalization(axis=-1)
    normalize.adapt(np.array([[[[0.0], [8.0]]]]))  # mean 4, variance 16
    inputs = keras.Input((8, 8, 1))
    dense = layers.Dense(10, activation="softmax")
    model = compiled(keras.Model(inputs, dense(layers.Flatten()(normalize(augment(inputs))))))
    plain = plain_keras(model, digits, SETTINGS)
    sequential = "=keras.Sequential([layers.RandomFlip(mode='horizontal'),layers.RandomRotation((-0.1,0.1))])(inputs)"
    assert sequential in "".join(plain.code.split())
    assert "layers.Normalization(mean=[4.0], variance=[16.0])(x)" in plain.code
    assert plain.recipe["augmentation"] == "layers.RandomFlip(mode='horizontal'), layers.RandomRotation((-0.1, 0.1))"
    # The layer that the code makes has numbers instead of weights.
    described = run_code(plain.code, keras.Model(inputs, dense(layers.Flatten()(inputs))), tmp_path)
    images = load_development(catalog.locate("digits")).images[:100]
    assert np.allclose(described["outputs"], model.predict(images, verbose=0), atol=1e-5)


SCALE = 0.5


def double(x: Any) -> Any:
    """Refers to a constant of its module."""
    return 2 * SCALE * x


class Doubled(layers.Layer):  # type: ignore[misc]
    """A layer that is not Keras'."""

    def __init__(self, times: int, **options: Any) -> None:
        super().__init__(**options)
        self.times = times

    def call(self, x: Any) -> Any:
        return double(x) * self.times

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "times": self.times}


def test_layer_outside_keras_is_written_with_what_it_refers_to(digits: DatasetFacts, tmp_path: Path) -> None:
    inputs = keras.Input((8, 8, 1))
    model = compiled(keras.Model(inputs, layers.Dense(10, activation="softmax")(layers.Flatten()(Doubled(3)(inputs)))))
    plain = plain_keras(model, digits, SETTINGS)
    assert plain.code.index("SCALE = 0.5") < plain.code.index("def double(x):") < plain.code.index("class Doubled(")
    assert "Doubled(3)(inputs)" in plain.code
    assert_same(plain, model, tmp_path)


class Own(keras.Model):  # type: ignore[misc]
    def call(self, x: Any) -> Any:
        return x


class WarmUp(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """As in many notebooks, without get_config."""

    def __call__(self, step: Any) -> Any:
        return 1e-3 * keras.ops.minimum(1.0, step / 100)


def test_model_that_cannot_be_written_is_refused(digits: DatasetFacts) -> None:
    inputs = keras.Input((8, 8, 1))
    inner = keras.Model(inputs, layers.Dense(10)(layers.Flatten()(inputs)))
    with pytest.raises(ModelError, match="contains another model"):
        plain_keras(compiled(keras.Model(inputs, inner(inputs))), digits, SETTINGS)
    with pytest.raises(ModelError, match="has not been built"):
        plain_keras(compiled(keras.Sequential([layers.Dense(10)])), digits, SETTINGS)
    with pytest.raises(ModelError, match="subclass Own"):
        plain_keras(compiled(Own()), digits, SETTINGS)
    warming_up = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(10)])
    warming_up.compile(keras.optimizers.Adam(WarmUp()), "mse")
    with pytest.raises(ModelError, match=r"cannot be written as code: .*'WarmUp' must override `get_config\(\)`"):
        plain_keras(warming_up, digits, SETTINGS)


def test_numbers_are_short() -> None:
    assert number(float(np.float32(0.001))) == "0.001"
    assert number(1 / 255) == "1 / 255"
    assert (number(0.1), number(0.9), number(2.0)) == ("0.1", "0.9", "2.0")
