"""Training one candidate on the digits: repeatable and resumable, with curves, time limits and failures."""

import json
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

import keras
import pytest

import search_spaces
from bench.data.catalog import DatasetLocation
from bench.data.development import load_development
from bench.data.splits import split
from bench.machine import supports_bfloat16
from bench.records.choices import Precision
from bench.records.record import Curve, RefitRecord
from bench.records.spec import TrialSpec, Value
from bench.training import epochs, fit
from bench.training.candidate import prepare
from bench.training.epochs import NonFiniteLossError
from bench.training.outcome import State, TrainedTrial
from builders import make_trial_spec
from machine import slowness

pytestmark = pytest.mark.slow

DIGITS = DatasetLocation("digits")
EPOCHS = 6
# Both with dropout and batch normalization, whose states must continue too.
CANDIDATES: dict[str, dict[str, Value]] = {
    "dense": {
        "dense_layers": 2,
        "batch_normalization": True,
        "units_1": 64,
        "activation_1": "relu",
        "dropout_1": 0.2,
        "units_2": 64,
        "activation_2": "gelu",
        "dropout_2": 0.3,
        "learning_rate": 0.002,
    },
    "cnn": {
        "filters": 8,
        "pooling_depth": 1,
        "convolutions": 1,
        "kernel_size": 3,
        "batch_normalization": True,
        "dense_units": 64,
        "dropout": 0.3,
        "learning_rate": 0.002,
    },
}


# Both take the same path, so one of them is enough in most runs.
one_candidate = pytest.mark.parametrize("model", [pytest.param("dense", marks=pytest.mark.long), "cnn"])


def make_spec(model: str = "dense", **changes: Any) -> TrialSpec:
    values = CANDIDATES.get(model, {"units": 16, "learning_rate": 0.002})
    fields: dict[str, Any] = {"values": values, "epochs": EPOCHS, "horizon": EPOCHS, "keep_state": True}
    return make_trial_spec(model=model, **fields | changes)


def train(spec: TrialSpec, state: State | None = None) -> TrainedTrial:
    return fit.train(spec, state, DIGITS, None, lambda *_: None)


@cache
def full_training(model: str, precision: Precision = "float32") -> TrainedTrial:
    """All epochs of a candidate; the tests that need it share it."""
    return train(make_spec(model, precision=precision))


@cache
def two_epochs(model: str, precision: Precision = "float32") -> TrainedTrial:
    """The first epochs of the same candidate."""
    return train(make_spec(model, precision=precision, epochs=2))


REFIT = make_spec(part="development", epochs=2, horizon=2, keep_state=False)


@cache
def refitted() -> tuple[RefitRecord, bytes]:
    """The dense candidate on all development images."""
    return fit.refit(REFIT, 0, DIGITS, lambda *_: None)


def assert_equal_states(first: TrainedTrial, second: TrainedTrial) -> None:
    """Weights, random states and the optimizer's variables, bit for bit."""
    assert first.state is not None
    assert second.state is not None
    pairs = list(zip(first.state, second.state, strict=True))
    assert len(pairs) > 5
    assert all(a.dtype == b.dtype and a.tobytes() == b.tobytes() for a, b in pairs)


# Tracing


@one_candidate
def test_training_step_and_validation_step_are_traced_once(model: str) -> None:
    candidate = prepare(make_spec(model), DIGITS)
    calls, compute_loss = list[None](), candidate.model.compute_loss

    def counted(*arguments: Any, **named: Any) -> Any:
        calls.append(None)
        return compute_loss(*arguments, **named)

    candidate.model.compute_loss = counted
    epochs.fit(candidate, make_spec(model, epochs=2), lambda *_: None)
    assert len(calls) == 2


# Equal weights


@pytest.mark.parametrize(
    ("model", "precision"),
    [pytest.param("dense", "float32", marks=pytest.mark.long), ("cnn", "float32"), ("cnn", "bfloat16")],
)
def test_promoted_trial_equals_one_trained_without_a_break(model: str, precision: Precision) -> None:
    if precision == "bfloat16" and not supports_bfloat16():
        pytest.skip("this processor has no bfloat16 arithmetic")
    start, full = two_epochs(model, precision), full_training(model, precision)
    rest = train(make_spec(model, precision=precision, initial_epoch=2), start.state)
    assert_equal_states(rest, full)
    assert start.curve + rest.curve == full.curve


def test_promoted_trial_without_its_state_is_retrained_and_equal() -> None:
    full = full_training("cnn")
    retrained = train(make_spec("cnn", initial_epoch=4))
    assert_equal_states(retrained, full)
    # Only the epochs that the spec asks for, as with the state.
    assert retrained.curve == Curve(**{name: getattr(full.curve, name)[4:] for name in Curve.__slots__})


@one_candidate
def test_same_spec_gives_the_same_weights_whatever_was_trained_before(model: str) -> None:
    first = two_epochs(model)
    other = train(make_spec(model, epochs=1, seed=2))
    assert other.curve.training_loss[0] != first.curve.training_loss[0]
    assert_equal_states(train(make_spec(model, epochs=2)), first)


@pytest.mark.usefixtures("families")
def test_learning_rate_falls_over_the_horizon_whatever_the_number_of_epochs() -> None:
    short, longer = (train(make_spec("tiny", epochs=epochs, horizon=EPOCHS)) for epochs in (2, 3))
    assert longer.curve.training_loss[:2] == short.curve.training_loss
    assert train(make_spec("tiny", epochs=2, horizon=2)).curve.training_loss != short.curve.training_loss


@pytest.mark.skipif(not supports_bfloat16(), reason="this processor has no bfloat16 arithmetic")
def test_bfloat16_changes_the_numbers_and_is_repeatable() -> None:
    low, exact = two_epochs("cnn", "bfloat16"), two_epochs("cnn")
    assert low.curve != exact.curve
    assert_equal_states(train(make_spec("cnn", epochs=2, precision="bfloat16")), low)
    assert_equal_states(train(make_spec("cnn", epochs=2)), exact)  # and float32 is back


def test_refit_after_other_trainings_equals_one_in_a_new_process() -> None:
    two_epochs("cnn", "bfloat16" if supports_bfloat16() else "float32")
    refit, _ = refitted()
    code = """if True:
        import json, sys
        from bench.training.fit import refit
        from bench.data.catalog import DatasetLocation
        from bench.records.spec import TrialSpec
        record, _ = refit(TrialSpec(**json.loads(sys.argv[1])), 0, DatasetLocation("digits"), lambda *_: None)
        print(json.dumps([record.weights_sha256, record.train_accuracy]))
    """
    fields = {name: getattr(REFIT, name) for name in TrialSpec.__slots__}
    done = subprocess.run([sys.executable, "-c", code, json.dumps(fields)], check=True, capture_output=True, text=True)
    assert json.loads(done.stdout) == [refit.weights_sha256, refit.train_accuracy]


# Curves and results


@pytest.mark.usefixtures("families")
def test_curves_have_a_value_for_each_epoch_and_each_epoch_is_reported() -> None:
    reports: list[tuple[int, float]] = []
    spec = make_spec("tiny", epochs=3, keep_state=False)
    trained = fit.train(spec, None, DIGITS, None, lambda *report: reports.append(report))
    curve = trained.curve
    assert {name: len(getattr(curve, name)) for name in Curve.__slots__} == dict.fromkeys(Curve.__slots__, 3)
    assert [epochs for epochs, _ in reports] == [1, 2, 3]
    assert all(seconds > 0 for _, seconds in reports)
    assert (trained.cut, trained.state) == (False, None)


@pytest.mark.usefixtures("families")
def test_time_limit_stops_a_trial_between_two_batches() -> None:
    started, limit = time.monotonic(), 6.0 * slowness()
    trained = fit.train(make_spec("tiny", epochs=5000, horizon=5000), None, DIGITS, limit, lambda *_: None)
    assert time.monotonic() - started < 5 * limit
    assert trained.cut
    assert trained.state is None
    assert 0 < len(trained.curve.validation_accuracy) < 5000


def test_resumed_trial_reports_epochs_counted_from_the_first() -> None:
    reports: list[int] = []
    spec = make_spec(initial_epoch=2, epochs=4)
    trained = fit.train(spec, two_epochs("dense").state, DIGITS, None, lambda epochs, _: reports.append(epochs))
    assert reports == [3, 4]
    assert len(trained.curve.training_loss) == 2


def test_score_is_the_accuracy_of_the_last_weights_on_the_validation_images() -> None:
    trained = two_epochs("dense")
    dataset = load_development(DIGITS)
    _, validation = split(dataset)
    model = search_spaces.load("dense")((8, 8, 1), 10).build_from(CANDIDATES["dense"])
    for variable, value in zip(model.variables, trained.state or [], strict=False):  # without the optimizer's
        variable.assign(value)
    predicted = model.predict(dataset.images[validation], verbose=0).argmax(axis=1)
    accuracy = (predicted == dataset.labels[validation]).mean()
    assert trained.curve.validation_accuracy[-1] == pytest.approx(accuracy, abs=1e-6)
    assert trained.parameters == model.count_params()


def test_refit_trains_on_all_development_images_and_saves_the_model(tmp_path: Path) -> None:
    refit, content = refitted()
    assert len(refit.curve.training_loss) == 2
    assert refit.curve.validation_accuracy == ()
    (tmp_path / "model.keras").write_bytes(content)
    model = keras.models.load_model(tmp_path / "model.keras")
    dataset = load_development(DIGITS)
    predicted = model.predict(dataset.images, verbose=0).argmax(axis=1)
    assert refit.train_accuracy == pytest.approx((predicted == dataset.labels).mean(), abs=1e-6)
    assert "logits (Dense)" in refit.summary
    assert refit.parameters == model.count_params()


def test_tutorial_is_refitted_by_its_own_recipe() -> None:
    spec = make_spec("tutorial-dense-256-dropout", part="reference", values={}, epochs=2, horizon=2)
    refit, _ = fit.refit(spec, 0, DIGITS, lambda *_: None)
    # It is scored on the images that it holds back.
    assert len(refit.curve.validation_accuracy) == 2
    assert "softmax (Dense)" in refit.summary


@pytest.mark.usefixtures("families")
def test_steps_are_timed_for_an_estimate_of_an_epoch() -> None:
    times = fit.time_steps(make_spec("tiny"), DIGITS)
    trained = train(make_spec("tiny", epochs=1))
    assert times.parameters == trained.parameters
    assert times.start_seconds > 0
    assert 0 < times.epoch_seconds < trained.task_seconds


# Failures


@pytest.mark.usefixtures("families")
def test_loss_that_is_not_finite_ends_the_trial_and_leaves_the_next_one_alone() -> None:
    before = train(make_spec("tiny", epochs=1))
    with pytest.raises(NonFiniteLossError, match=r"loss is nan.* after epoch 1"):
        train(make_spec("sometimes_nan"))
    after = train(make_spec("tiny", epochs=1))
    assert_equal_states(after, before)
    assert after.curve == before.curve


@pytest.mark.usefixtures("families")
@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        ("sometimes_raises", ValueError, "cannot have 16 units"),
        ("always_raises", RuntimeError, "this family cannot be trained"),
    ],
)
def test_error_of_a_family_is_raised_unchanged(model: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        train(make_spec(model))
