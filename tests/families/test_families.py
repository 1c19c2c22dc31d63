"""The contract that every file of search_spaces keeps; a new family is tested here without a new test."""

import gc
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import keras
import keras_tuner
import numpy as np
import pytest

import search_spaces
from bench.records.space import Parameter
from bench.records.spec import Value
from bench.training import size
from bench.training.custom import UnsuitableModelError
from bench.training.custom.family import CustomFamily
from bench.training.family import SuiteFamily, load_family
from bench.tuning.space import count_candidates, enumerate_candidates, parameters
from bench.tuning.tuners import random_candidates
from builders import make_spec
from packages import install
from search_spaces import cnn, mixer, resnet
from search_spaces._mirror import portable

pytestmark = pytest.mark.slow

CLASSES = 10
SHAPES = [(28, 28, 1), (8, 8, 1), (32, 32, 3)]
SAMPLES = 8

Values = dict[str, Value]
Shape = tuple[int, int, int]

every_family = pytest.mark.parametrize("name", search_spaces.names())


def on_each_shape(names: Iterable[str]) -> pytest.MarkDecorator:
    cases = [pytest.param(name, shape, id=f"{name}-{shape}") for name in names for shape in SHAPES]
    return pytest.mark.parametrize(("name", "shape"), cases)


every_case = on_each_shape(search_spaces.names())


def space(name: str, shape: Shape) -> keras_tuner.HyperParameters:
    """The hyperparameters that one build of the default candidate declares."""
    return search_spaces.load(name)(shape, CLASSES).space()


@cache
def samples(name: str, shape: Shape) -> tuple[Values, ...]:
    """Candidates of random search."""
    return tuple(map(dict, random_candidates(make_spec(family=name), space(name, shape), SAMPLES)))


def build(name: str, shape: Shape, values: Values) -> keras.Model:
    """The model of one candidate, with layer names as in a new process."""
    keras.utils.clear_session()
    return search_spaces.load(name)(shape, CLASSES, training_steps=100).build_from(values)


@cache
def sampled_model(name: str, shape: Shape, number: int) -> tuple[keras.Model, keras_tuner.HyperParameters]:
    """The model of a sample, and what its build declared; tests share them, since builds take most of their time."""
    keras.utils.clear_session()
    hp = keras_tuner.HyperParameters()
    hp.values = dict(samples(name, shape)[number])
    model = search_spaces.load(name)(shape, CLASSES, training_steps=100).build(hp)
    gc.freeze()  # clear_session need not look for garbage among models that stay
    return model, hp


def others(parameter: Parameter, values: Values) -> Iterator[Values]:
    """`values` with another value of `parameter`."""
    for value in parameter.values:
        if value != values[parameter.name]:
            yield values | {parameter.name: value}


def description(model: keras.Model) -> str:
    """Everything that a candidate's hyperparameters can change."""
    return json.dumps([model.get_config(), model.optimizer.get_config()], sort_keys=True, default=str)


@every_case
def test_one_build_declares_the_whole_space(name: str, shape: Shape) -> None:
    declared = {parameter.name for parameter in parameters(space(name, shape))}
    for number, values in enumerate(samples(name, shape)):
        _, hp = sampled_model(name, shape, number)
        assert {parameter.name for parameter in hp.space} == declared
        assert hp.values == values  # no active hyperparameter was missing


@every_case
def test_model_maps_uint8_pixels_to_float32_logits(name: str, shape: Shape) -> None:
    for number in range(SAMPLES):
        model, _ = sampled_model(name, shape, number)
        (pixels,), (logits,) = model.inputs, model.outputs
        assert (pixels.shape, pixels.dtype) == ((None, *shape), "uint8")
        assert (logits.shape, logits.dtype) == ((None, CLASSES), "float32")
        assert model.layers[-1].activation is keras.activations.linear
        assert model.loss.from_logits


@every_family
def test_pixels_are_scaled_to_fractions(name: str) -> None:
    model, _ = sampled_model(name, SHAPES[0], 0)
    pixels = np.resize(np.array([0, 51, 255], np.uint8), (1, *SHAPES[0]))
    scaled = keras.Model(model.input, model.get_layer("scale").output)(pixels)
    # 51 / 255 = 0.2
    assert scaled.numpy().ravel()[:3].tolist() == pytest.approx([0, 0.2, 1])


@every_family
@pytest.mark.parametrize("number", [0, 1])
def test_every_active_hyperparameter_changes_the_model(name: str, number: int) -> None:
    # One that changes nothing belongs to an absent layer: a record would list a layer that does not exist.
    shape = SHAPES[1]
    by_name = {parameter.name: parameter for parameter in parameters(space(name, shape))}
    values = samples(name, shape)[number]
    before = description(sampled_model(name, shape, number)[0])
    for active in values:
        other = build(name, shape, next(others(by_name[active], values)))
        assert description(other) != before, f"{active} changes nothing in {values}"


@every_case
def test_space_is_finite(name: str, shape: Shape) -> None:
    size = count_candidates(parameters(space(name, shape)))
    assert size is not None
    assert size >= 2


@on_each_shape(["cnn"])
def test_no_candidate_of_cnn_exceeds_the_cap_on_multiply_adds(name: str, shape: Shape) -> None:
    every = convolutional_parts(shape)
    cap = cnn.DEFAULT_MULTIPLY_ADDS_PER_PIXEL * shape[0] * shape[1]
    for number in np.random.default_rng(0).choice(len(every), 10, replace=False):
        assert multiply_adds(build(name, shape, every[number])) <= cap, every[number]


def convolutional_parts(shape: Shape) -> list[Values]:
    """Every combination of the hyperparameters of convolutions, all others at their first value."""
    rest = {"dense_units", "dropout", "horizontal_flips", "learning_rate", "random_shifts"}
    declared = parameters(space("cnn", shape))
    fixed: Values = {parameter.name: parameter.values[0] for parameter in declared if parameter.name in rest}
    convolutional = [parameter for parameter in declared if parameter.name not in rest]
    return [values | fixed for values in enumerate_candidates(convolutional)]


@on_each_shape(["resnet", "mixer"])
def test_candidates_use_at_least_half_of_the_multiply_adds_that_the_limit_allows(name: str, shape: Shape) -> None:
    pixels = shape[0] * shape[1]
    limit = {"resnet": resnet, "mixer": mixer}[name].DEFAULT_MULTIPLY_ADDS_PER_PIXEL * pixels
    for number, values in enumerate(samples(name, shape)):
        model, _ = sampled_model(name, shape, number)
        assert limit / 2 < size.multiply_adds(model) - np.prod(model.layers[-1].kernel.shape) <= limit, values


@pytest.mark.parametrize(
    ("patch", "blocks", "expansion", "channels", "cost"),
    [
        # 16 patches: 49 x 16 x channels for the embedding, then two layers on each of the channels (16 x 16) and on
        # each of the patches (channels x channels). 152: 119,168 + 2 x (38,912 + 369,664), 160 would be 1,026,560.
        (7, 1, 1, 152, 936_320),
        # 49 patches, two blocks, hidden layers twice as wide. 24: 18,816 + 8 x (57,624 + 28,224), 32 would be too many.
        (4, 2, 2, 24, 705_600),
    ],
)
def test_channels_of_mixer_are_the_most_that_the_limit_allows(
    patch: int, blocks: int, expansion: int, channels: int, cost: int
) -> None:
    values: Values = {"patch": patch, "blocks": blocks, "expansion": expansion}
    model = mixer.Mixer(SHAPES[0], CLASSES, multiply_adds=1_000_000).build_from(values)
    assert model.layers[-1].input.shape == (None, channels)
    assert size.multiply_adds(model) == cost + channels * CLASSES


def test_mixer_refuses_a_limit_that_no_network_meets() -> None:
    with pytest.raises(ValueError, match=r"allows no size of patches for images of shape \(28, 28, 1\)"):
        mixer.Mixer(SHAPES[0], CLASSES, multiply_adds=50_000).space()


def test_mixer_pads_images_whose_sides_are_no_multiples_of_a_patch() -> None:
    # 31 is a prime number: 4x4 pixels give 8x8 patches.
    model = mixer.Mixer((31, 31, 1), CLASSES).build_from({"patch": 4})
    assert next(layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)).output.shape[1:3] == (8, 8)


def multiply_adds(model: keras.Model) -> int:
    """Multiply-adds of the convolutions for one image, by the shapes of their outputs and kernels."""
    return sum(
        int(np.prod(layer.output.shape[1:3]) * np.prod(layer.kernel.shape))
        for layer in model.layers
        if isinstance(layer, keras.layers.Conv2D)
    )


def test_models_with_flips_predict_the_same_for_mirror_images() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, *SHAPES[0]), dtype=np.uint8)
    mirrored = images[:, :, ::-1]
    for flips in (True, False):
        model = build("cnn", SHAPES[0], {**samples("cnn", SHAPES[0])[0], "horizontal_flips": flips})
        logits = model(images, training=False)
        assert logits.shape == (3, CLASSES)
        assert np.allclose(logits, model(mirrored, training=False), atol=1e-5) == flips
        assert model(images, training=True).shape == (3, CLASSES)


def test_saved_models_load_without_the_code_of_their_family(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, *SHAPES[1]), dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)
    expected = {}
    for name in search_spaces.names():
        for flips in (True, False):
            model = build(name, SHAPES[1], {**samples(name, SHAPES[1])[0], "horizontal_flips": flips})
            portable(model).save(tmp_path / f"{name}-{flips}.keras")
            expected[f"{name}-{flips}"] = model(images, training=False).numpy()
    code = """if True:
        import pathlib, sys
        import keras, numpy
        folder = pathlib.Path(sys.argv[1])
        for file in folder.glob("*.keras"):
            model = keras.models.load_model(file)
            logits = model(numpy.load(folder / "images.npy"), training=False).numpy()
            numpy.save(file.with_suffix(".logits.npy"), logits)
        assert not {name for name in sys.modules if name.split(".")[0] in ("bench", "search_spaces", "keras_tuner")}
    """
    subprocess.run([sys.executable, "-c", code, tmp_path], check=True, cwd=tmp_path)
    for name, logits in expected.items():
        loaded = np.load(tmp_path / f"{name}.logits.npy")
        assert loaded.dtype == np.float32
        assert np.allclose(loaded, logits, atol=1e-5)


# Keras Tuner loads weights before the optimizer has seen the model's variables.
@pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer:UserWarning")
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == "dense" else [pytest.mark.long]) for name in search_spaces.names()]
)
def test_family_is_an_ordinary_hypermodel_of_keras_tuner(name: str, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (64, 28, 28, 1), dtype=np.uint8)
    labels = np.arange(64) % CLASSES
    family = search_spaces.load(name)
    tuner = keras_tuner.RandomSearch(
        family(input_shape=(28, 28, 1), classes=10),
        objective="val_accuracy",
        max_trials=2,
        seed=1,
        directory=tmp_path,
        project_name=name,
    )
    tuner.search(images, labels, epochs=1, validation_data=(images, labels), verbose=0)
    assert [trial.status for trial in tuner.oracle.trials.values()] == ["COMPLETED"] * 2
    best = tuner.get_best_models()[0]
    assert best(images[:2]).shape == (2, CLASSES)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("class A(Family):\n    pass\n\n\nclass B(Family):\n    pass\n", 2),
        ("from search_spaces.dense import Dense\n", 0),
    ],
    ids=["two defined", "only an imported one"],
)
def test_file_must_define_exactly_one_family(
    content: str, found: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"defines_{found}"
    (tmp_path / f"{name}.py").write_text(f"from search_spaces import Family\n\n\n{content}")
    monkeypatch.setattr(search_spaces, "__path__", [*search_spaces.__path__, str(tmp_path)])
    with pytest.raises(ValueError, match=rf"{name}\.py must define one subclass of Family, found {found}"):
        search_spaces.load(name)


def test_family_must_define_its_architecture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hollow.py").write_text("from search_spaces import Family\n\n\nclass Hollow(Family):\n    pass\n")
    monkeypatch.setattr(search_spaces, "__path__", [*search_spaces.__path__, str(tmp_path)])
    with pytest.raises(ValueError, match=r"hollow\.py: Hollow must define architecture\(hp, images\)"):
        search_spaces.load("hollow")


def test_file_that_imports_its_base_class_from_another_family_defines_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wider.py").write_text("from search_spaces.dense import Dense\n\n\nclass Wider(Dense):\n    pass\n")
    monkeypatch.setattr(search_spaces, "__path__", [*search_spaces.__path__, str(tmp_path)])
    assert search_spaces.load("wider").__name__ == "Wider"


@pytest.mark.parametrize(
    ("value", "kind"),
    [("entry_family:Mine", SuiteFamily), ("entry_family:build_model", CustomFamily), ("entry_family:MODELS", None)],
)
def test_entry_point_may_be_a_family_or_any_hypermodel(
    value: str, kind: type | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "entry_family.py").write_text(
        "from search_spaces import Family\n\n\nclass Mine(Family):\n    pass\n\n\n"
        "def build_model(hp):\n    pass\n\n\nMODELS = 3\n"
    )
    install(tmp_path, "entry-family", f"[keras_family_bench.families]\ntheirs = {value}\n")
    monkeypatch.syspath_prepend(tmp_path)
    location = search_spaces.locate("theirs")
    if kind is not None:
        assert isinstance(load_family(location, SHAPES[0], CLASSES), kind)
    else:
        with pytest.raises(UnsuitableModelError, match="it is 3: expected a subclass of Family"):
            load_family(location, SHAPES[0], CLASSES)
