"""Training models that are not a Family on the digits: scores, promotion, own `fit`, refits, evaluation."""

import os
import sys
import warnings
from dataclasses import replace
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from bench.data.development import load_development
from bench.data.held_out import HeldOutTestSet
from bench.data.loaders import folders
from bench.data.splits import split
from bench.errors import SearchError
from bench.records.evaluation_log import EvaluationLog
from bench.training import epochs, fit, predict
from bench.training import family as families
from bench.training.candidate import prepare
from bench.training.check import check_candidate
from bench.training.custom import UnsuitableModelError, shared_arrays
from bench.training.outcome import TrainedTrial
from bench.training.precision import prepare_process
from custom_models import CLASSES, DIGITS, FILE, custom, location, make_spec
from search_spaces import FamilyLocation, source_digest

pytestmark = pytest.mark.slow

KINDS = [
    "build_model",
    "model_builder",
    "build_cnn",
    "build_uint8",
    "build_flat",
    "build_rows",
    "build_own_parts",
    "build_averaged",
    "build_half",
    "build_functions",
    "build_subclass",
    "INSTANCE",
    "StopsEarly",
    "AveragesWeights",
    "OwnLoop",
]
# Saved and predicted with as others are.
SAVED_ALIKE = ("build_model", "model_builder", "build_averaged", "StopsEarly")
REPEATED = ("build_model", "build_subclass", "StopsEarly", "OwnLoop")


def train(obj: str, state: Any = None, **changes: Any) -> TrainedTrial:
    return fit.train(make_spec(obj, **changes), state, DIGITS, None, lambda *_: None)


@cache
def reported(obj: str) -> tuple[TrainedTrial, list[tuple[int, float]]]:
    """The default candidate, and the epochs and seconds that were reported."""
    reports: list[tuple[int, float]] = []
    spec = make_spec(obj, keep_state=True)
    return fit.train(spec, None, DIGITS, None, lambda *report: reports.append(report)), reports


def trained(obj: str) -> TrainedTrial:
    return reported(obj)[0]


def score(trial: TrainedTrial) -> float:
    return trial.curve.validation_accuracy[-1] if trial.objective_score is None else trial.objective_score


@pytest.mark.parametrize("obj", KINDS)
def test_every_kind_of_model_trains_and_some_of_each_sort_repeat_exactly(obj: str) -> None:
    first = trained(obj)
    assert 0.05 < score(first) < 1
    if obj in REPEATED:
        second = train(obj, keep_state=True)
        assert score(first) == score(second)
        assert first.curve == second.curve


@pytest.mark.parametrize(
    "obj",
    [
        *(pytest.param(obj, marks=pytest.mark.long) for obj in ("build_model", "build_cnn")),  # as in a Family
        "build_rows",
        "build_averaged",
        "build_half",
    ],
)
def test_promoted_trial_equals_one_trained_without_a_break(obj: str) -> None:
    start = train(obj, keep_state=True, epochs=1)
    rest = train(obj, start.state, initial_epoch=1, keep_state=True)
    full = trained(obj)
    assert rest.state is not None
    assert full.state is not None
    assert all(np.array_equal(a, b) for a, b in zip(rest.state, full.state, strict=True))
    assert start.curve + rest.curve == full.curve
    assert (rest.retrained_epochs, full.retrained_epochs) == (0, 0)


def test_softmax_before_a_loss_of_logits_is_reported_once_and_not_for_each_candidate() -> None:
    with pytest.warns(UserWarning, match="from_logits=True, but its outputs are probabilities"):
        custom("build_softmax_as_logits").recipe()
    with warnings.catch_warnings():  # as errors
        train("build_softmax_as_logits", epochs=1)


def test_candidate_whose_outputs_are_no_probabilities_fails() -> None:
    train("build_sigmoid", values={"output": "softmax"}, epochs=1)
    with pytest.raises(UnsuitableModelError, match="the loss expects probabilities, but the outputs do not sum to 1"):
        train("build_sigmoid", values={"output": "sigmoid"}, epochs=1)


def test_promoted_trial_with_its_own_fit_is_retrained_and_the_cost_is_counted() -> None:
    start, full = train("INSTANCE", keep_state=True, epochs=1), trained("INSTANCE")
    assert start.state is None
    rest = train("INSTANCE", initial_epoch=1)
    assert (rest.curve, rest.objective_score) == (full.curve, full.objective_score)
    assert (rest.retrained_epochs, full.retrained_epochs) == (1, 0)


def test_score_is_measured_on_the_validation_images_whatever_the_metrics_are_called() -> None:
    # build_cnn has no metrics, build_uint8 calls its accuracy "acc".
    dataset = load_development(DIGITS)
    _, validation = split(dataset)
    for obj in ("build_cnn", "build_uint8", "model_builder"):
        candidate = prepare(make_spec(obj), DIGITS)
        trial = trained(obj)
        for variable, value in zip(candidate.model.variables, trial.state or [], strict=False):
            variable.assign(value)
        assert candidate.custom is not None
        outputs = candidate.model.predict(candidate.custom.interface.arrays(dataset.images[validation]), verbose=0)
        accuracy = (outputs.argmax(axis=1) == dataset.labels[validation]).mean()
        assert trial.curve.validation_accuracy[-1] == pytest.approx(accuracy, abs=1e-6)
        assert len(trial.curve.validation_loss) == 3
    assert trained("build_cnn").curve.training_accuracy == ()
    assert len(trained("build_uint8").curve.training_accuracy) == 3


def test_every_epoch_is_scored_with_the_averaged_weights_with_which_fit_would_end() -> None:
    spec = make_spec("build_averaged")
    candidate = prepare(spec, DIGITS)
    fitted = epochs.fit(candidate, spec, lambda *_: None)
    scorer = candidate.validation_scorer()
    assert scorer is not None
    last = fitted.logs[-1]
    assert (last["val_loss"], last["val_accuracy"]) == (scorer().loss, scorer().accuracy)


def test_hyperparameters_of_fit_reach_it() -> None:
    curves = {
        size: train("INSTANCE", values={"units": 16, "batch_size": size, "shuffle": False}).curve for size in (16, 64)
    }
    assert curves[16] != curves[64]


def test_fit_that_stops_early_has_a_short_curve_and_the_score_of_the_restored_weights() -> None:
    trial = train("StopsEarly", epochs=10, horizon=10)
    assert len(trial.curve.validation_accuracy) < 10
    assert not trial.cut
    assert trial.objective_score is not None
    assert min(abs(trial.objective_score - each) for each in trial.curve.validation_accuracy) < 0.01


def test_fit_with_its_own_loop_is_scored_without_a_curve() -> None:
    trial = trained("OwnLoop")
    assert trial.curve.validation_accuracy == ()
    assert trial.objective_score is not None
    assert trial.objective_score > 0.5


@pytest.mark.parametrize(("obj", "expected"), [("INSTANCE", [1, 2, 3]), ("OwnLoop", [3])])
def test_own_fit_reports_the_seconds_of_single_epochs(obj: str, expected: list[int]) -> None:
    trial, reports = reported(obj)
    assert [epochs for epochs, _ in reports] == expected
    assert 0 < 3 * fmean(seconds for _, seconds in reports) <= trial.fit_seconds


def test_preprocessing_in_fit_is_refused_with_the_advice_to_move_it_into_the_model() -> None:
    assert train("Preprocesses", values={"inverted": False}).objective_score is not None
    with pytest.raises(UnsuitableModelError, match=r"fit reported .* has accuracy .*: move preprocessing, .* into the"):
        train("Preprocesses", values={"inverted": True})


def test_hyperparameter_that_is_not_in_the_space_keeps_its_default_and_is_reported() -> None:
    trial = train("build_late", values={"units": 23})
    assert trial.unsearched == {"late_rate": 0.2}
    assert train("build_late", values={"units": 22}).unsearched == {}


def test_late_hyperparameter_of_fit_is_reported() -> None:
    trial = train("INSTANCE", values={"units": 16, "batch_size": 16, "shuffle": True, "weight_0": 1.0})
    assert trial.unsearched == {"weighted": False}


def test_changed_code_is_not_trained() -> None:
    with pytest.raises(SearchError, match=r"the code of family 'build_model' has changed .* from digest 0{12} to"):
        train("build_model", source="0" * 12)


@pytest.mark.parametrize("obj", ["build_model", "INSTANCE"])
def test_time_limit_stops_a_trial(obj: str) -> None:
    limit = 2 * trained(obj).task_seconds  # that of three epochs: enough for one, even if the machine is slow
    trial = fit.train(make_spec(obj, epochs=4000, horizon=4000), None, DIGITS, limit, lambda *_: None)
    assert trial.cut
    assert 0 < len(trial.curve.validation_accuracy) < 4000
    assert trial.objective_score is None


def test_steps_are_timed() -> None:
    for obj in ("build_model", "INSTANCE"):
        times = fit.time_steps(make_spec(obj), DIGITS)
        assert times.epoch_seconds > 0


WITHOUT_LOSS = """
import keras
from keras import layers

class Net(keras.Sequential):
    def train_step(self, data):
        return {"cross_entropy": super().train_step(data)["loss"]}

def build_model(hp):
    model = Net([layers.Flatten(), layers.Dense(10, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    return model
"""


def test_candidate_whose_training_step_reports_no_loss_can_be_checked(tmp_path: Path) -> None:
    file = tmp_path / "without_loss.py"
    file.write_text(WITHOUT_LOSS)
    spec = make_spec("build_model", definition=f"{file.name}:build_model", file=str(file))
    assert check_candidate(spec, DIGITS).step_seconds > 0


# Objectives and class weights


@pytest.mark.parametrize(("obj", "objective"), [("build_model", "macro-f1"), ("INSTANCE", "balanced-accuracy")])
def test_objective_is_measured_after_training(obj: str, objective: str) -> None:
    from sklearn.metrics import balanced_accuracy_score, f1_score

    spec = make_spec(obj, objective=objective)
    candidate = prepare(spec, DIGITS)
    fitted = epochs.fit(candidate, spec, lambda *_: None)
    scorer = candidate.validation_scorer()
    assert scorer is not None
    scored = scorer()
    expected = (
        f1_score(scored.labels, scored.predicted, average="macro")
        if objective == "macro-f1"
        else balanced_accuracy_score(scored.labels, scored.predicted)
    )
    assert fitted.score == pytest.approx(expected)


def test_objective_of_a_family_leaves_its_training_as_it_is() -> None:
    values = {"dense_layers": 1, "units_1": 128, "activation": "relu", "dropout": 0.0, "learning_rate": 0.004}
    family = {"definition": None, "file": None, "model": "dense", "values": values}
    plain, other = (train("dense", **family, objective=objective) for objective in (None, "balanced-accuracy"))
    assert plain.curve == other.curve
    assert plain.objective_score is None
    assert other.objective_score is not None
    weighted = train("dense", **family, class_weights="balanced")
    assert weighted.curve.training_loss != plain.curve.training_loss


def test_balanced_class_weights_are_inversely_proportional_to_the_number_of_images() -> None:
    spec = make_spec("build_model", class_weights="balanced")
    data = prepare(spec, DIGITS).data
    counts = np.bincount(data.dataset.labels[data.fitted])
    assert data.class_weights is not None
    assert data.class_weights.tolist() == pytest.approx((len(data.fitted) / (CLASSES * counts)).tolist())
    _, labels, weights = next(iter(data.training_batches(1, 0, 1)))
    assert weights.numpy().tolist() == data.class_weights[labels.numpy().argmax(axis=1)].tolist()
    assert train("build_model", class_weights="balanced").curve != trained("build_model").curve


def test_own_fit_gets_the_class_weights_or_fails() -> None:
    # INSTANCE passes its own class_weight to model.fit as well.
    with pytest.raises(UnsuitableModelError, match="its fit passes its own class_weight"):
        train("INSTANCE", class_weights="balanced")
    assert train("OwnLoop", class_weights="balanced").objective_score == trained("OwnLoop").objective_score


# Refits


@pytest.mark.parametrize(
    "obj", [pytest.param(obj, marks=[pytest.mark.long] if obj in SAVED_ALIKE else []) for obj in KINDS]
)
def test_refit_is_saved_with_its_conversion_and_evaluated_on_the_test_images(obj: str, tmp_path: Path) -> None:
    spec = make_spec(obj, part="development", epochs=2, horizon=2)
    record, content = fit.refit(spec, 0, DIGITS, lambda *_: None)
    assert 0.05 < record.train_accuracy < 1
    assert record.summary.startswith("Model: ")
    log = EvaluationLog(tmp_path, "digits")
    predictions, latency = predict.evaluate([content], HeldOutTestSet(DIGITS, "run", log), [1], location(obj))
    assert latency.microseconds_per_image > 0
    probabilities = np.exp(predictions.log_probabilities[0].astype(np.float64))
    assert np.allclose(probabilities.sum(axis=1), 1, atol=0.01)
    assert (probabilities.argmax(axis=1) == predictions.labels).mean() == pytest.approx(record.train_accuracy, abs=0.1)


def test_layers_edited_after_the_refits_are_not_evaluated(tmp_path: Path) -> None:
    file, code = tmp_path / "edited.py", FILE.read_text()
    file.write_text(code)
    spec = make_spec("build_own_parts", definition="edited.py:build_own_parts", file=str(file), part="development")
    source = source_digest(spec.family)
    _, content = fit.refit(replace(spec, source=source, epochs=1, horizon=1), 0, DIGITS, lambda *_: None)
    images = load_development(DIGITS).images[:50]

    def predicted(family: FamilyLocation) -> Any:
        return predict.load_model(content, family, source)(images).numpy()

    before = predicted(spec.family)
    file.write_text(code.replace("return x * self.factor", "return x * 0"))
    assert np.array_equal(predicted(spec.family), before)
    # As in a process that has not trained: under another name, the family is imported again.
    with pytest.raises(SearchError, match="the code of family 'other' has changed since the run was started"):
        predicted(replace(spec.family, name="other"))


SCALED = """
import keras
from keras import layers

{decorator}
class Scaled(layers.Layer):
    def call(self, x):
        return {factor} * x

def build_model(hp):
    model = keras.Sequential([layers.Flatten(), Scaled(), layers.Dense(10, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    return model
"""


@pytest.mark.parametrize("decorator", ["", "@keras.saving.register_keras_serializable()"])
def test_layers_are_those_of_the_family_although_another_file_has_the_same_name(
    decorator: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"same_name_{len(decorator)}.py"
    specs = []
    for factor in (1, 0):
        (tmp_path / str(factor)).mkdir()
        file = tmp_path / str(factor) / name
        file.write_text(SCALED.format(decorator=decorator, factor=factor))
        specs.append(make_spec("build_model", definition=f"{name}:build_model", file=str(file)))
    images = load_development(DIGITS).images[:50]
    content = prepare(specs[0], DIGITS).saved()
    expected = predict.load_model(content, specs[0].family)(images).numpy()
    if not decorator:  # as in another worker, in which the other file is imported first
        monkeypatch.delitem(sys.modules, Path(name).stem)
    prepare(specs[1], DIGITS)
    assert np.array_equal(predict.load_model(content, specs[0].family)(images).numpy(), expected)


GLOBALS = """
import keras
import tensorflow as tf

keras.config.set_floatx("float64")
keras.config.set_image_data_format("channels_first")
tf.config.optimizer.set_jit(True)
INITIAL = keras.initializers.HeNormal()

def build_model(hp):
    tf.config.run_functions_eagerly(True)
    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(10, "softmax", kernel_initializer=INITIAL)])
    model.compile("adam", "sparse_categorical_crossentropy")
    return model
"""


def test_candidates_depend_neither_on_the_process_nor_on_settings_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "globals_net.py").write_text(GLOBALS)
    spec = make_spec("build_model", definition="globals_net.py:build_model", file=str(tmp_path / "globals_net.py"))
    spec = replace(spec, source=source_digest(spec.family))
    weights = []
    for _ in range(2):  # as in two workers
        prepare_process("float32")
        weights.append(prepare(spec, DIGITS).model.get_weights()[0])
        monkeypatch.delitem(sys.modules, "globals_net")
        families._checked_object.cache_clear()
    assert np.array_equal(*weights)
    assert weights[0].dtype == np.float32
    assert keras.config.image_data_format() == "channels_last"
    assert not tf.config.optimizer.get_jit()
    prepare_process("float32")
    assert not tf.config.functions_run_eagerly()


def test_refit_with_its_own_fit_is_trained_on_the_training_images_of_the_search() -> None:
    spec = make_spec("INSTANCE", part="development", split=2)
    candidate = prepare(spec, DIGITS)
    train_indices, validation = split(load_development(DIGITS), 2)
    assert np.array_equal(candidate.data.fitted, train_indices)
    assert candidate.data.held_back is not None
    assert np.array_equal(candidate.data.held_back, validation)


def test_saved_model_of_built_in_layers_loads_without_other_code_and_predicts_the_same(tmp_path: Path) -> None:
    spec = make_spec("build_cnn", part="development", epochs=1, horizon=1)
    candidate = prepare(spec, DIGITS)
    epochs.fit(candidate, spec, lambda *_: None)
    (tmp_path / "model.keras").write_bytes(candidate.saved())
    loaded = keras.models.load_model(tmp_path / "model.keras")
    images = load_development(DIGITS).images[:50]
    assert candidate.custom is not None
    expected = candidate.model(candidate.custom.interface.arrays(images)).numpy()
    assert np.allclose(loaded(images).numpy(), expected, atol=1e-6)
    assert len(loaded.variables) == len(candidate.model.variables)  # no optimizer
    # Nor is the code of the family needed, unless the model has layers of its own.
    moved = replace(spec.family, file=str(tmp_path / "moved.py"))
    assert predict.load_model(candidate.saved(), moved)(images).shape == (50, CLASSES)
    own = prepare(make_spec("build_own_parts", part="development"), DIGITS).saved()
    with pytest.raises(ValueError, match=r"moved\.py does not exist: restore it"):
        predict.load_model(own, moved)


# A `fit` that sets arguments of `model.fit` itself


def test_fit_may_set_the_number_of_epochs() -> None:
    trial = train("OwnEpochs", values={"epochs": 3})
    assert len(trial.curve.validation_accuracy) == 3
    family = custom("OwnEpochs")
    assert "epochs" in [each.name for each in family.space().space]
    assert family.recipe().training.endswith("its own fit, which sets the number of epochs")


@pytest.mark.parametrize(
    ("obj", "message"),
    [
        ("OwnCallbacks", r"its fit passes its own callbacks to model\.fit: use .* kwargs\['callbacks'\]"),
        ("FewArguments", r"its fit does not take \w+: expected def fit\(self, hp, model, \*args, \*\*kwargs\)"),
    ],
)
def test_fit_that_does_not_take_the_arguments_is_refused_with_what_to_change(obj: str, message: str) -> None:
    with pytest.raises(UnsuitableModelError, match=message):
        custom(obj).recipe()


def test_large_arrays_of_a_fit_are_shared_by_all_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = trained("INSTANCE")
    monkeypatch.setattr(shared_arrays, "MIN_BYTES", 1)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    arrays = folders.cache_folder() / "arrays"
    arrays.mkdir(parents=True)
    for name in ("unused.npy", "unused.part"):
        (arrays / name).touch()
        os.utime(arrays / name, (0, 0))
    assert train("INSTANCE").curve == expected.curve
    assert not list(arrays.glob("unused.*"))
    files = sorted(arrays.glob("*.npy"))
    # A sixth of the 1,437 development images is for validation.
    assert sorted(len(np.load(file)) for file in files) == [239, 1198]
    assert train("INSTANCE").curve == expected.curve
    assert sorted(arrays.glob("*.npy")) == files
    # What a `fit` does to its arrays does not reach the files.
    images = shared_arrays.shared_inputs(
        load_development(DIGITS), np.arange(100), custom("INSTANCE").build({}, seed=1).interface
    )
    before = images.copy()
    images *= 0
    again = shared_arrays.shared_inputs(
        load_development(DIGITS), np.arange(100), custom("INSTANCE").build({}, seed=1).interface
    )
    assert np.array_equal(again, before)
