"""One candidate's training on the digits: repeatable, continuable, and told when it fails."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import search_spaces
from bench.data.development import development
from bench.data.splits import split
from bench.machine import supports_bfloat16
from bench.records.record import Curve
from bench.records.spec import TrialSpec, Value
from bench.training import fit as training
from bench.training.fit import NonFiniteLossError, State, Trained
from machine import slowness
from search_spaces._recipe import BATCH_SIZE

pytestmark = pytest.mark.slow

EPOCHS = 6
# Both with dropout and batch normalisation, whose states must go on too.
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

every_candidate = pytest.mark.parametrize("family", CANDIDATES)


def spec(family: str = "dense", **changes: Any) -> TrialSpec:
    fields: dict[str, Any] = {
        "dataset": "digits",
        "family": family,
        "values": CANDIDATES.get(family, {"units": 16, "learning_rate": 0.002}),
        "part": "train",
        "seed": 1,
        "initial_epoch": 0,
        "epochs": EPOCHS,
        "horizon": EPOCHS,
        "precision": "float32",
        "keep_state": True,
    }
    return TrialSpec(**fields | changes)


def train(asked: TrialSpec, state: State | None = None) -> Trained:
    return training.train(asked, state, None, None, lambda *_: None)


def assert_equal_states(first: Trained, second: Trained) -> None:
    """Weights, random states and the optimizer's variables, bit for bit."""
    assert first.state is not None
    assert second.state is not None
    pairs = list(zip(first.state, second.state, strict=True))
    assert len(pairs) > 10
    assert all(a.dtype == b.dtype and a.tobytes() == b.tobytes() for a, b in pairs)


# The same numbers


@pytest.mark.parametrize(("family", "precision"), [("dense", "float32"), ("cnn", "float32"), ("cnn", "bfloat16")])
def test_promoted_trial_equals_one_trained_in_one_go(family: str, precision: str) -> None:
    whole = train(spec(family, precision=precision))
    first = train(spec(family, precision=precision, epochs=2))
    rest = train(spec(family, precision=precision, initial_epoch=2), first.state)
    assert_equal_states(rest, whole)
    assert first.curve + rest.curve == whole.curve


def test_promoted_trial_without_its_state_is_trained_anew_and_equal() -> None:
    whole = train(spec(epochs=3))
    anew = train(spec(epochs=3, initial_epoch=2))
    assert_equal_states(anew, whole)
    # Only the epochs that were asked for, as with the state.
    assert anew.curve == Curve(**{name: getattr(whole.curve, name)[2:] for name in Curve.__slots__})


@every_candidate
def test_same_spec_gives_the_same_weights_whatever_was_trained_before(family: str) -> None:
    first = train(spec(family, epochs=2))
    other = train(spec(family, epochs=1, seed=2))
    assert_equal_states(train(spec(family, epochs=2)), first)
    assert other.curve.training_loss[0] != first.curve.training_loss[0]


@pytest.mark.usefixtures("families")
def test_learning_rate_falls_over_the_horizon_whatever_the_epochs() -> None:
    short, longer = (train(spec("tiny", epochs=epochs, horizon=EPOCHS)) for epochs in (2, 3))
    assert longer.curve.training_loss[:2] == short.curve.training_loss
    assert train(spec("tiny", epochs=2, horizon=2)).curve.training_loss != short.curve.training_loss


@pytest.mark.skipif(not supports_bfloat16(), reason="this processor has no bfloat16 arithmetic")
def test_bfloat16_changes_the_numbers_and_is_repeatable() -> None:
    exact = train(spec("cnn", epochs=1))
    first = train(spec("cnn", epochs=1, precision="bfloat16"))
    assert first.curve != exact.curve
    assert_equal_states(train(spec("cnn", epochs=1, precision="bfloat16")), first)
    assert_equal_states(train(spec("cnn", epochs=1)), exact)  # the switch works both ways


def test_refit_after_a_search_in_bfloat16_equals_one_in_a_fresh_process() -> None:
    asked: dict[str, Any] = {"part": "development", "epochs": 2, "horizon": 2, "keep_state": False}
    train(spec("cnn", epochs=1, precision="bfloat16"))
    refit = train(spec("cnn", **asked)).refit
    assert refit is not None
    code = """if True:
        import json, sys
        from bench.training import fit as training
        from bench.records.spec import TrialSpec
        trained = training.train(TrialSpec(**json.loads(sys.argv[1])), None, None, None, lambda *_: None)
        print(json.dumps([trained.refit.weights_sha256, trained.refit.train_accuracy]))
    """
    fields = {name: getattr(spec("cnn", **asked), name) for name in TrialSpec.__slots__}
    done = subprocess.run([sys.executable, "-c", code, json.dumps(fields)], check=True, capture_output=True, text=True)
    assert json.loads(done.stdout) == [refit.weights_sha256, refit.train_accuracy]


# What comes back


@pytest.mark.usefixtures("families")
def test_curves_have_a_value_for_each_epoch_and_each_epoch_is_reported() -> None:
    reports: list[tuple[int, float, float | None]] = []
    curve = training.train(spec("tiny", epochs=3), None, None, None, lambda *report: reports.append(report)).curve
    assert {name: len(getattr(curve, name)) for name in Curve.__slots__} == dict.fromkeys(Curve.__slots__, 3)
    assert [(epochs, accuracy) for epochs, _, accuracy in reports] == list(enumerate(curve.validation_accuracy, 1))
    assert all(seconds > 0 for _, seconds, _ in reports)


@pytest.mark.usefixtures("families")
def test_trial_is_cut_short_between_two_batches_when_its_time_is_up() -> None:
    begun, limit = time.monotonic(), 6.0 * slowness()
    asked = spec("tiny", epochs=5000, horizon=5000, keep_state=True)
    trained = training.train(asked, None, None, limit, lambda *_: None)
    assert time.monotonic() - begun < 5 * limit
    assert trained.cut
    assert trained.state is None
    assert 0 < len(trained.curve.validation_accuracy) < 5000


@pytest.mark.usefixtures("families")
def test_continued_trial_reports_its_epochs_counted_from_the_first() -> None:
    reports: list[int] = []
    state = train(spec(epochs=2)).state
    curve = training.train(
        spec(initial_epoch=2, epochs=4), state, None, None, lambda epochs, *_: reports.append(epochs)
    ).curve
    assert reports == [3, 4]
    assert len(curve.training_loss) == 2


def test_score_is_the_accuracy_of_the_last_weights_on_the_held_back_images() -> None:
    trained = train(spec(epochs=2))
    data = development("digits")
    _, held_back = split(data)
    model = search_spaces.load("dense")((8, 8, 1), 10).build_from(CANDIDATES["dense"])
    for variable, value in zip(model.variables, trained.state or [], strict=False):  # the optimizer's are left
        variable.assign(value)
    predicted = model.predict(data.images[held_back], verbose=0).argmax(axis=1)
    accuracy = (predicted == data.labels[held_back]).mean()
    assert trained.curve.validation_accuracy[-1] == pytest.approx(accuracy, abs=1e-6)
    assert trained.parameters == model.count_params()


@pytest.mark.usefixtures("families")
def test_state_and_refit_come_only_where_they_are_asked_for() -> None:
    trained = train(spec("tiny", epochs=1, keep_state=False))
    assert (trained.state, trained.refit) == (None, None)


def test_refit_trains_on_the_whole_development_part_and_tells_how_well(tmp_path: Path) -> None:
    trained = train(spec(part="development", epochs=2, keep_state=False))
    refit = trained.refit
    assert refit is not None
    assert len(trained.curve.training_loss) == 2
    assert trained.curve.validation_accuracy == ()
    (tmp_path / "model.keras").write_bytes(refit.model)
    model = keras.models.load_model(tmp_path / "model.keras")
    data = development("digits")
    predicted = model.predict(data.images, verbose=0).argmax(axis=1)
    assert refit.train_accuracy == pytest.approx((predicted == data.labels).mean(), abs=1e-6)
    assert "logits (Dense)" in refit.summary
    assert trained.parameters == model.count_params()


# Failures


@pytest.mark.usefixtures("families")
def test_loss_that_is_no_number_ends_the_trial() -> None:
    assert train(spec("sometimes_nan", epochs=1, values={"units": 8, "learning_rate": 0.002})).parameters > 0
    with pytest.raises(NonFiniteLossError, match=r"loss is nan.* after epoch 1"):
        train(spec("sometimes_nan"))


@pytest.mark.usefixtures("families")
@pytest.mark.parametrize(
    ("family", "error", "message"),
    [
        ("sometimes_raises", ValueError, "16 units are more than"),
        ("always_raises", RuntimeError, "this family cannot be trained"),
    ],
)
def test_error_of_a_family_is_raised_as_it_is(family: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        train(spec(family))


@pytest.mark.usefixtures("families")
def test_trial_after_a_failed_one_is_not_harmed() -> None:
    before = train(spec("tiny", epochs=1))
    with pytest.raises(NonFiniteLossError):
        train(spec("sometimes_nan", epochs=1))
    assert_equal_tiny(train(spec("tiny", epochs=1)), before)


def assert_equal_tiny(first: Trained, second: Trained) -> None:
    assert first.curve == second.curve
    assert all(np.array_equal(a, b) for a, b in zip(first.state or [], second.state or [], strict=True))


# The order of images


@pytest.mark.parametrize("n", [BATCH_SIZE // 2, BATCH_SIZE, 1198])
def test_each_epoch_takes_each_image_at_most_once(n: int) -> None:
    steps, _ = training.steps_of_an_epoch(n)
    rows = training.epoch_orders(1, n, 0, 3)
    assert rows.shape == (3 * steps, min(n, BATCH_SIZE))
    for epoch in np.split(rows, 3):
        assert len(set(epoch.ravel().tolist())) == epoch.size
        assert set(epoch.ravel().tolist()) <= set(range(n))


def test_order_of_an_epoch_depends_on_seed_and_epoch_only() -> None:
    whole = np.split(training.epoch_orders(1, 1198, 0, 4), 4)
    assert np.array_equal(training.epoch_orders(1, 1198, 2, 4), np.concatenate(whole[2:]))
    assert not np.array_equal(whole[0], whole[1])
    assert not np.array_equal(training.epoch_orders(2, 1198, 0, 1), whole[0])


def test_what_a_model_sees_is_that_order() -> None:
    data = development("digits")
    indices, _ = split(data)
    orders = training.epoch_orders(1, len(indices), 0, 2)
    seen = list(training.ordered_batches(data, indices, orders))
    assert len(seen) == len(orders)
    for row, (images, labels) in zip(orders, seen, strict=True):
        assert np.array_equal(images.numpy(), data.images[indices[row]])
        assert np.array_equal(labels.numpy(), data.labels[indices[row]])


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        # 390 batches of 128: 15 at once leave none out; 16 would leave 6, more than half a percent.
        (50_000, (390, 15)),
        # 468 batches: 13 at once leave none out, 14 would leave 6, 15 would leave 3, 16 would leave 4.
        (60_000, (468, 13)),
        # 9 batches: none may be left out.
        (1198, (9, 9)),
        (10, (1, 1)),
    ],
)
def test_steps_of_an_epoch_are_whole_executions(n: int, expected: tuple[int, int]) -> None:
    assert training.steps_of_an_epoch(n) == expected
