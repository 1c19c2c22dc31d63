"""The judge on the digits: what it says is what the saved models notify, in float32."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from bench.data.held_out import sealed_test
from bench.machine import supports_bfloat16
from bench.records.spec import Precision, TrialSpec, Value
from bench.training import fit as training
from bench.training.predict import WRONG_IMAGES, Judgement, judge, most_confidently_wrong
from bench.workers import tasks as worker

pytestmark = pytest.mark.slow

VALUES: dict[str, Value] = {
    "dense_layers": 1,
    "batch_normalization": False,
    "units_1": 64,
    "activation_1": "relu",
    "dropout_1": 0.0,
    "learning_rate": 0.004,
}


def saved(seed: int, precision: Precision = "float32") -> bytes:
    """A model after one epoch of training, as its .keras file."""
    spec = TrialSpec(
        dataset="digits",
        family="dense",
        values=VALUES,
        part="development",
        seed=seed,
        initial_epoch=0,
        epochs=1,
        horizon=1,
        precision=precision,
        keep_state=False,
    )
    refit = training.train(spec, None, None, None, lambda *_: None).refit
    assert refit is not None
    return refit.model


@pytest.fixture(scope="module")
def models() -> list[bytes]:
    return [saved(seed) for seed in (1, 2)]


def keras_log_probabilities(models: Sequence[bytes], folder: Path) -> NDArray[np.float64]:
    """By Keras' own `predict` and its own softmax."""
    found = []
    for number, content in enumerate(models):
        path = folder / f"{number}.keras"
        path.write_bytes(content)
        logits = keras.models.load_model(path).predict(sealed_test("digits").images, verbose=0)
        found.append(keras.ops.convert_to_numpy(keras.ops.log_softmax(logits.astype(np.float64))))
    return np.stack(found)


def test_log_probabilities_are_those_of_keras(models: list[bytes], tmp_path: Path) -> None:
    judgement = judge(models, "digits", None)
    expected = keras_log_probabilities(models, tmp_path)
    assert judgement.log_probabilities.shape == (2, 360, 10)
    assert judgement.log_probabilities.dtype == np.float16
    # float16 keeps 11 bits: a relative error of 2**-11.
    assert np.allclose(judgement.log_probabilities, expected, rtol=2**-11, atol=1e-4)


def test_probabilities_of_each_image_add_up_to_one(models: list[bytes]) -> None:
    log_probabilities = judge(models, "digits", None).log_probabilities.astype(np.float64)
    assert np.allclose(np.exp(log_probabilities).sum(axis=2), 1, atol=2e-3)
    assert (log_probabilities <= 0).all()


def test_labels_and_wrong_images_are_those_of_the_test_part(models: list[bytes]) -> None:
    judgement = judge(models, "digits", None)
    test = sealed_test("digits")
    assert np.array_equal(judgement.labels, test.labels)
    together = np.exp(judgement.log_probabilities.astype(np.float64)).mean(axis=0).argmax(axis=1)
    assert set(judgement.wrong_indices.tolist()) == set(np.flatnonzero(together != test.labels).tolist())
    assert 0 < len(judgement.wrong_indices) < WRONG_IMAGES
    assert np.array_equal(judgement.wrong_images, test.images[judgement.wrong_indices])


def test_wrong_images_can_be_found_again_in_what_is_kept(models: list[bytes]) -> None:
    judgement = judge(models, "digits", None)
    found = most_confidently_wrong(judgement.log_probabilities, judgement.labels, WRONG_IMAGES)
    assert np.array_equal(found, judgement.wrong_indices)
    few = most_confidently_wrong(judgement.log_probabilities, judgement.labels, 10)
    assert np.array_equal(few, judgement.wrong_indices[:10])


def test_latency_says_how_it_was_measured(models: list[bytes]) -> None:
    latency = judge(models, "digits", None).latency
    # Ten batches of 256 of the 360 images.
    assert (latency.batch_size, latency.images, latency.threads) == (256, 2560, 1)
    assert 0 < latency.microseconds_per_image < 10_000


def test_new_worker_judges_with_one_thread(models: list[bytes], tmp_path: Path) -> None:
    (tmp_path / "model.keras").write_bytes(models[0])
    code = """if True:
        import pathlib, sys
        from bench.workers import tasks as worker
        print(worker.judge([pathlib.Path(sys.argv[1]).read_bytes()], "digits", None, None).latency.threads)
    """
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "model.keras"], check=True, capture_output=True)
    assert done.stdout.strip() == b"1"


@pytest.mark.skipif(not supports_bfloat16(), reason="this processor has no bfloat16 arithmetic")
def test_worker_that_searched_in_bfloat16_judges_in_float32(models: list[bytes]) -> None:
    expected = judged(models)
    saved(3, precision="bfloat16")
    found = judged(models)
    assert np.array_equal(found.log_probabilities, expected.log_probabilities)
    assert found.latency.threads == 1


def judged(models: Sequence[bytes]) -> Judgement:
    return worker.judge(models, "digits", None, lambda *_: None)


def test_most_confidently_wrong_by_hand() -> None:
    # Two models, four images of class 0, three classes. By mean probabilities (0.6, 0.3, 0.1) is right, and wrong are
    # (0.2, 0.7, 0.1) with 0.7, (0.1, 0.0, 0.9) with 0.9, and (0.4, 0.5, 0.1) with 0.5.
    probabilities = np.array(
        [
            [[0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.1, 0.0, 0.9], [0.6, 0.3, 0.1]],
            [[0.6, 0.3, 0.1], [0.3, 0.6, 0.1], [0.1, 0.0, 0.9], [0.2, 0.7, 0.1]],
        ]
    )
    with np.errstate(divide="ignore"):
        log_probabilities = np.log(probabilities)
    labels = np.array([0, 0, 0, 0])
    assert most_confidently_wrong(log_probabilities, labels, top=5).tolist() == [2, 1, 3]
    assert most_confidently_wrong(log_probabilities, labels, top=2).tolist() == [2, 1]


def test_nothing_is_wrong_where_all_are_right() -> None:
    log_probabilities = np.log([[[0.9, 0.1], [0.2, 0.8]]])
    assert most_confidently_wrong(log_probabilities, np.array([0, 1]), top=5).tolist() == []


def test_of_equally_confident_mistakes_the_first_comes_first() -> None:
    log_probabilities = np.log([[[0.9, 0.1], [0.9, 0.1], [0.9, 0.1]]])
    assert most_confidently_wrong(log_probabilities, np.array([1, 0, 1]), top=5).tolist() == [0, 2]
