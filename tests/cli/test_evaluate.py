"""bench evaluate: models trained elsewhere, made and trained here by plain Keras."""

import json
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from bench.baselines.external import ExternalModel
from bench.data import catalog
from bench.data.dataset import Dataset
from bench.data.development import load_development
from bench.errors import ModelError
from bench.records.evaluation_log import EvaluationLog
from bench.records.store import RunFolder, all_folders
from bench.report.evaluations import count_evaluations
from bench.training.external import adopt
from bench.training.predict import load_model, predictor
from command_line import call
from whole_runs import Finished

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("here")]


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_development(catalog.locate("digits"))


_TRAINED: dict[object, keras.Model] = {}


def trained(digits: Dataset, *, order: list[int] | None = None, **options: Any) -> keras.Model:
    """As `train`, but the same options are trained only once."""
    key = (str(order), *sorted(({"seed": 0} | options).items(), key=lambda item: item[0]))
    if key not in _TRAINED:
        _TRAINED[key] = train(digits, order=order, **options)
    return _TRAINED[key]


def train(
    digits: Dataset,
    *,
    shape: tuple[int, ...] = (8, 8, 1),
    scale: float = 1 / 255,
    activation: str | None = "softmax",
    order: list[int] | None = None,
    first: Callable[[], Any] = layers.Flatten,
    seed: int = 0,
) -> keras.Model:
    """A small network of a user, after a few epochs on pixels times `scale`, with outputs in another `order`."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input(shape),
            first(),
            layers.Flatten(),
            layers.Dense(32, activation="relu"),
            layers.Dense(10, activation=activation),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=activation is None)
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss=loss, metrics=["accuracy"])
    images = digits.images.reshape(-1, *shape).astype(np.float32) * scale
    labels = digits.labels if order is None else np.argsort(order)[digits.labels]
    model.fit(images, labels, epochs=8, batch_size=64, verbose=0)
    return model


def rescaling() -> Any:
    return layers.Rescaling(1 / 255)


def content(model: keras.Model, folder: Path) -> bytes:
    path = folder / "model.keras"
    model.save(path)
    return path.read_bytes()


def external(model: keras.Model, folder: Path, **options: Any) -> ExternalModel:
    return ExternalModel(name="mine.keras", content=content(model, folder), **options)


def probabilities(adopted: bytes, digits: Dataset) -> np.ndarray:
    """As the suite predicts the first images with an adopted model."""
    predicted: np.ndarray = np.exp(predictor(load_model(adopted, None))(digits.images[:50]))
    return predicted


# Conventions


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"activation": None},
        pytest.param({"shape": (8, 8)}, marks=pytest.mark.long),
        pytest.param({"shape": (64,)}, marks=pytest.mark.long),
        {"scale": 1.0, "first": rescaling},
    ],
    ids=["softmax", "logits", "without channels", "flat", "rescales"],
)
def test_models_of_usual_conventions_are_adopted(options: dict[str, Any], digits: Dataset, tmp_path: Path) -> None:
    model = trained(digits, **options)
    adopted = adopt(external(model, tmp_path), 0, digits)
    shape = options.get("shape", (8, 8, 1))
    pixels = digits.images[:50].reshape(-1, *shape) * np.float32(options.get("scale", 1 / 255))
    expected = model.predict(pixels, verbose=0)
    if "activation" in options:
        expected = keras.ops.convert_to_numpy(keras.ops.softmax(expected))
    assert np.allclose(probabilities(adopted.content, digits), expected, atol=1e-5)
    assert adopted.refit.parameters == model.count_params()
    assert adopted.refit.train_accuracy > 0.8
    assert adopted.pixels.startswith(f"float32 pixels in [0, {255 if 'scale' in options else 1}], shape {shape}")


def test_integer_input_gets_the_pixels_unchanged(digits: Dataset, tmp_path: Path) -> None:
    inner = trained(digits, scale=1.0, first=rescaling)
    pixels = keras.Input((8, 8, 1), dtype="uint8")
    model = keras.Model(pixels, inner(layers.Rescaling(1.0)(pixels)))
    adopted = adopt(external(model, tmp_path), 0, digits)
    assert adopted.pixels == "uint8 pixels, shape (8, 8, 1), since its input is uint8"
    expected = model.predict(digits.images[:50], verbose=0)
    assert np.allclose(probabilities(adopted.content, digits), expected, atol=1e-5)


def test_own_loss_and_metric_of_a_model_are_not_needed(digits: Dataset, tmp_path: Path) -> None:
    def own(y: Any, p: Any) -> Any:
        return keras.losses.sparse_categorical_crossentropy(y, p)

    model = keras.Sequential([keras.Input((8, 8, 1)), trained(digits)])
    model.compile("adam", loss=own, metrics=[own])
    assert adopt(external(model, tmp_path), 0, digits).refit.train_accuracy > 0.8


def frozen_normalization() -> Any:
    """(x - 128) / 64."""
    mean, variance = keras.initializers.Constant(128), keras.initializers.Constant(64**2)
    return layers.BatchNormalization(
        moving_mean_initializer=mean, moving_variance_initializer=variance, trainable=False
    )


def test_wrong_pixel_range_is_noticed_and_can_be_stated(digits: Dataset, tmp_path: Path) -> None:
    # It normalizes pixels from 0 to 255 by a layer that usually does something else.
    model = trained(digits, scale=1.0, first=frozen_normalization)
    with pytest.raises(ModelError, match=r"expects other pixels.*use --pixel-range 0-255"):
        adopt(external(model, tmp_path), 0, digits)
    adopted = adopt(external(model, tmp_path, pixel_range="0-255"), 0, digits)
    expected = model.predict(digits.images[:50].astype(np.float32), verbose=0)
    assert np.allclose(probabilities(adopted.content, digits), expected, atol=1e-5)


def unit_normalization() -> keras.Layer:
    """Makes the scale of an image irrelevant."""
    return layers.UnitNormalization(axis=(1, 2, 3))


def test_model_of_any_pixel_range_is_adopted_with_a_warning(digits: Dataset, tmp_path: Path) -> None:
    model = trained(digits, first=unit_normalization)
    adopted = adopt(external(model, tmp_path), 0, digits)
    expected = r"the range of its pixels was assumed, since .* is \S+% with it and \S+% with 0-255"
    assert adopted.warning is not None
    assert re.fullmatch(rf"mine\.keras: {expected}: state the range with --pixel-range", adopted.warning)
    assert re.search(expected, adopted.pixels)
    stated = adopt(external(model, tmp_path, pixel_range="0-1"), 0, digits)
    assert stated.warning is None
    assert "assumed" not in stated.pixels


ORDER = [3, 1, 4, 0, 5, 9, 2, 6, 8, 7]  # output k stands for class ORDER[k]


def test_another_class_order_is_noticed_and_can_be_stated(digits: Dataset, tmp_path: Path) -> None:
    model = trained(digits, order=ORDER)
    names = ",".join(map(str, ORDER))
    with pytest.raises(ModelError, match=f"another order than the classes.*for the order {names}: state the order"):
        adopt(external(model, tmp_path), 0, digits)
    adopted = adopt(external(model, tmp_path, classes=tuple(map(str, ORDER))), 0, digits)
    assert adopted.refit.train_accuracy > 0.8
    expected = model.predict(digits.images[:50] / np.float32(255), verbose=0)
    assert np.allclose(probabilities(adopted.content, digits)[:, ORDER], expected, atol=1e-5)


@pytest.mark.parametrize("classes", [("0", "1"), tuple("0123456788")])
def test_class_names_must_be_those_of_the_dataset(classes: tuple[str, ...], digits: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="must name every class of digits once"):
        adopt(external(trained(digits), tmp_path, classes=classes), 0, digits)


def built(*stack: Any, shape: tuple[int, ...] = (8, 8, 1)) -> keras.Model:
    return keras.Sequential([keras.Input(shape), layers.Flatten(), *stack])


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (lambda: built(layers.Dense(9, activation="softmax")), r"output of shape \(batch, 10\), .* found \(None, 9\)"),
        (lambda: built(layers.Dense(10), shape=(28, 28, 1)), r"shape \(28, 28, 1\), the images have \(8, 8, 1\)"),
        (
            lambda: built(layers.Dense(10, kernel_initializer="zeros", bias_initializer="ones", activation="relu")),
            "validation images are from 1 to 1 and do not sum to 1: expected probabilities from softmax, or logits$",
        ),
        (lambda: built(layers.Dense(10, kernel_initializer=keras.initializers.Constant(1e38))), "are not finite"),
    ],
    ids=["classes", "shape", "relu", "nan"],
)
def test_model_that_does_not_fit_is_refused(
    model: Callable[[], keras.Model], expected: str, digits: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=expected):
        adopt(external(model(), tmp_path), 0, digits)


# Safety


def altered(model: keras.Model, folder: Path, change: Callable[[dict[str, Any]], None]) -> bytes:
    """The file of a model with a changed configuration."""
    content(model, folder)
    with zipfile.ZipFile(folder / "model.keras") as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(files["config.json"])
    change(config)
    files["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(folder / "altered.keras", "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return (folder / "altered.keras").read_bytes()


def activation_of_last(value: Any) -> Callable[[dict[str, Any]], None]:
    def change(config: dict[str, Any]) -> None:
        config["config"]["layers"][-1]["config"]["activation"] = value

    return change


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            activation_of_last(
                {"module": "builtins", "class_name": "function", "config": "exec", "registered_name": "exec"}
            ),
            "refers to the function exec of builtins",
        ),
        (
            activation_of_last(
                {"module": "os", "class_name": "function", "config": "system", "registered_name": "system"}
            ),
            "refers to the function system of os",
        ),
        (
            activation_of_last(
                {"module": "keras.utils", "class_name": "get_file", "config": {"fname": "x", "origin": "y"}}
            ),
            r"contains keras\.utils\.get_file",
        ),
        (
            activation_of_last({"class_name": "__lambda__", "config": {"value": "4wEA"}}),
            "__lambda__, which can execute code",
        ),
        (activation_of_last({"module": "mine", "class_name": "Custom", "config": {}}), r"contains mine\.Custom"),
    ],
    ids=["builtin", "module", "keras function", "lambda", "custom class"],
)
def test_file_that_names_code_is_refused_before_it_is_loaded(
    change: Callable[[dict[str, Any]], None], expected: str, digits: Dataset, tmp_path: Path
) -> None:
    file = altered(built(layers.Dense(10, activation="softmax")), tmp_path, change)
    with pytest.raises(ModelError, match=expected):
        adopt(ExternalModel(name="mine.keras", content=file), 0, digits)


def test_lambda_layer_and_other_files_are_refused(digits: Dataset, tmp_path: Path) -> None:
    model = built(layers.Lambda(lambda x: x), layers.Dense(10))
    with pytest.raises(ModelError, match="contains Lambda, which can execute code"):
        adopt(external(model, tmp_path), 0, digits)
    for data in (b"", b"no archive", b"PK\x05\x06" + b"\0" * 18):
        with pytest.raises(ModelError, match=r"is not a \.keras file"):
            adopt(ExternalModel(name="mine.keras", content=data), 0, digits)
    built(layers.Dense(10)).save(tmp_path / "mine.h5")
    with pytest.raises(ModelError, match=r"mine\.h5: is an HDF5 file, .* load it with .*, then save the model with"):
        adopt(ExternalModel(name="mine.h5", content=(tmp_path / "mine.h5").read_bytes()), 0, digits)


# The command


@pytest.fixture(scope="module")
def evaluated(tiny: Finished, digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with the run of `tiny`, a model of three files and one of a single file."""
    cwd = tmp_path_factory.mktemp("evaluated")
    shutil.copytree(tiny.results, cwd / "results")
    for seed in range(3):
        trained(digits, seed=seed).save(cwd / f"seed{seed}.keras")
    call("evaluate", *(f"seed{seed}.keras" for seed in range(3)), "--name", "mine", "--dataset", "digits", cwd=cwd)
    done = call("evaluate", "seed0.keras", "--name", "single", "--dataset", "digits", cwd=cwd)
    assert "single" in done.stdout
    return cwd


def folder_of(cwd: Path, name: str) -> RunFolder:
    (folder,) = [each for each in all_folders(cwd / "results") if each.path.name.startswith(f"{name}-")]
    return folder


@pytest.mark.smoke
def test_evaluated_models_are_reference_models_without_a_rank(evaluated: Path) -> None:
    rows = {row["label"]: row for row in json.loads(call("leaderboard", "--json", cwd=evaluated).stdout)}
    mine, single = rows["mine"], rows["single"]
    assert (mine["reference"], mine["rank"], mine["seeds"]) == ("external", None, 3)
    assert mine["metrics"]["train_test_gap"] is None
    assert mine["training_seconds"] is None
    assert single["interval"]["low"] < single["test_accuracy"] < single["interval"]["high"]
    assert single["test_accuracy"] == mine["test_accuracy_by_seed"][0]
    assert rows["tiny"]["rank"] == 1


def test_pages_warn_that_the_training_data_is_unknown(evaluated: Path) -> None:
    page = (evaluated / "results/digits/single.md").read_text()
    assert "This model was trained elsewhere, so its training data is unknown" in page
    assert "A single model file." in page
    assert "without the variance across seeds" in page
    assert "bench verify" not in page
    assert "seed0.keras; expects float32 pixels in [0, 1]" in page
    assert (
        "The training data of models trained elsewhere is unknown" in (evaluated / "results/leaderboard.md").read_text()
    )
    assert "1 (one file)" in (evaluated / "results/digits/README.md").read_text()
    assert "Mean of 3 refits" in (evaluated / "results/digits/mine.md").read_text()
    call("report", "--check", cwd=evaluated)


def test_every_evaluation_is_logged(evaluated: Path, tiny: Finished) -> None:
    before = len(EvaluationLog(tiny.results, "digits").read())
    log = [entry.run for entry in EvaluationLog(evaluated / "results", "digits").read()]
    assert log[before:] == [folder_of(evaluated, name).path.name for name in ("mine", "single")]
    assert count_evaluations(evaluated / "results", "digits") == before + 2


def test_repeated_command_evaluates_nothing(evaluated: Path) -> None:
    log = EvaluationLog(evaluated / "results", "digits")
    before = log.read()
    done = call("evaluate", "seed0.keras", "--name", "single", "--dataset", "digits", cwd=evaluated)
    assert "Already evaluated; nothing to do." in done.stderr.splitlines()
    assert "--again" not in done.stderr  # which the command does not have
    assert log.read() == before


def test_evaluated_models_can_be_compared_predicted_with_and_exported(evaluated: Path, digits: Dataset) -> None:
    assert "mine" in call("compare", "mine", "tiny", cwd=evaluated).stdout
    np.save(evaluated / "image.npy", digits.images[0])
    (value,) = json.loads(call("predict", "mine", "image.npy", "--ensemble", "--json", cwd=evaluated).stdout)
    assert value["predictions"][0]["label"] == digits.labels[0]
    assert "differ by at most" in call("export", "single", "--format", "keras", cwd=evaluated).stdout
    shown = call("show", "single", cwd=evaluated).stdout
    assert "\nTrained elsewhere, loaded from seed0.keras; expects float32 pixels" in shown
    assert "No code: single was trained elsewhere, and its file has no code" in shown
    assert "trained elsewhere" in call("verify", "single", cwd=evaluated, code=2).stderr
    plan = json.loads(
        call("plan", "mine", "tiny", "--detect", "5", "--dataset", "digits", "--json", cwd=evaluated).stdout
    )
    assert plan["minutes"] is None


def test_refused_model_leaves_nothing_behind(evaluated: Path, digits: Dataset, tmp_path: Path) -> None:
    trained(digits, order=ORDER).save(tmp_path / "order.keras")
    failed = call("evaluate", "order.keras", "--name", "order", "--dataset", "digits", cwd=tmp_path, code=2)
    assert "state the order with --classes" in failed.stderr
    trained(digits).save(tmp_path / "small.keras")
    trained(digits, first=lambda: layers.Dense(2)).save(tmp_path / "large.keras")
    on_digits = ("--dataset", "digits")
    failed = call("evaluate", "small.keras", "large.keras", "--name", "two", *on_digits, cwd=tmp_path, code=2)
    assert "small.keras has 2,410, large.keras has 4,462 parameters: evaluate different models one" in failed.stderr
    failed = call("evaluate", "small.keras", "small.keras", "--name", "twice", *on_digits, cwd=tmp_path, code=2)
    assert "small.keras and small.keras have the same weights: name one file for each seed" in failed.stderr
    assert not list(tmp_path.glob("results/records/*/*"))
    failed = call("evaluate", "seed0.keras", "--name", "tiny", *on_digits, cwd=evaluated, code=2)
    assert "the name 'tiny' is taken by the family of results/records/digits/tiny-" in failed.stderr
    assert "is taken by another model" in call("evaluate", "order.keras", "--name", "cnn", cwd=tmp_path, code=2).stderr
    assert (
        "cannot be read"
        in call("evaluate", "absent.keras", "--name", "x", "--dataset", "digits", cwd=tmp_path, code=2).stderr
    )


def test_published_evaluation_names_the_command(evaluated: Path, tmp_path: Path) -> None:
    shutil.copytree(evaluated / "results", tmp_path / "results", ignore=shutil.ignore_patterns("models"))
    failed = call("predict", "mine", evaluated / "image.npy", cwd=tmp_path, code=2)
    assert "python -m bench evaluate MODEL.keras --name mine --dataset digits" in failed.stderr
    assert "this needs its model files" in failed.stderr


def test_python_evaluates_models_in_memory_and_files(digits: Dataset, tmp_path: Path) -> None:
    import bench

    model = trained(digits)
    model.save(tmp_path / "copy.keras")
    files = [str(tmp_path / "copy.keras")]
    options: dict[str, Any] = {"dataset": "digits", "results": tmp_path / "results", "progress": False}
    with pytest.warns(UserWarning, match="^model: the range .*: state the range with pixel_range$") as shown:
        first = bench.evaluate(model, name="memory", **options)
    assert [each.filename for each in shown if each.category is UserWarning] == [__file__]
    second = bench.evaluate(files, name="files", pixel_range="0-1", **options)
    damaged = tmp_path / "results/records/digits/damaged"
    damaged.mkdir()
    (damaged / "record.json").write_text("{")
    with pytest.warns(UserWarning, match="^could not be read: records/digits/damaged/record.json") as shown:
        again = bench.evaluate(model, name="memory", **options)
    assert {each.filename for each in shown if each.category is UserWarning} == {__file__}
    shutil.rmtree(damaged)
    assert again.run_id == first.run_id
    assert first.test_accuracy == second.test_accuracy > 0.7
    assert first.interval is not None
    assert bench.leaderboard(tmp_path / "results")["reference"].tolist() == ["external"] * 2
    images = digits.images[:20]
    expected = model.predict(images / np.float32(255), verbose=0)
    assert np.allclose(first.model().predict(images, verbose=0), expected, atol=1e-5)
    comparison = bench.compare(first, second)
    assert comparison.test.difference is not None
    assert comparison.test.difference.mean == 0
