"""The evaluation of models on digits: predictions are those of Keras with the saved models, in float32."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from bench.data import catalog
from bench.errors import RecordError
from bench.machine import supports_bfloat16
from bench.records.choices import Precision
from bench.records.evaluation_log import EvaluationLog
from bench.records.predictions import Predictions
from bench.records.record import Latency
from bench.records.spec import Value
from bench.training import fit
from bench.training.predict import WRONG_IMAGES, evaluate, kept_wrong_images, most_confidently_wrong
from bench.workers import tasks
from builders import make_trial_spec
from held_out import held_out, open_test_set

pytestmark = pytest.mark.slow

SEEDS = (1, 2)
VALUES: dict[str, Value] = {
    "dense_layers": 1,
    "batch_normalization": False,
    "units_1": 64,
    "activation_1": "relu",
    "dropout_1": 0.0,
    "learning_rate": 0.004,
}


def trained(seed: int, precision: Precision = "float32") -> bytes:
    """The .keras file of a model after one epoch."""
    spec = make_trial_spec(values=VALUES, part="development", seed=seed, epochs=1, precision=precision)
    _, model = fit.refit(spec, 0, catalog.locate("digits"), lambda *_: None)
    return model


@pytest.fixture(scope="module")
def models() -> list[bytes]:
    return [trained(seed) for seed in SEEDS]


@pytest.fixture(scope="module")
def evaluated(models: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> tuple[Predictions, Latency]:
    return evaluate(models, held_out("digits", tmp_path_factory.mktemp("results")), SEEDS)


@pytest.fixture(scope="module")
def predictions(evaluated: tuple[Predictions, Latency]) -> Predictions:
    return evaluated[0]


def keras_log_probabilities(models: Sequence[bytes], folder: Path) -> NDArray[np.float64]:
    """With Keras' own `predict` and log-softmax."""
    images = open_test_set("digits", folder).images
    log_probabilities = []
    for number, content in enumerate(models):
        path = folder / f"{number}.keras"
        path.write_bytes(content)
        logits = keras.models.load_model(path).predict(images, verbose=0)
        log_probabilities.append(keras.ops.convert_to_numpy(keras.ops.log_softmax(logits.astype(np.float64))))
    return np.stack(log_probabilities)


def test_log_probabilities_are_those_of_keras(predictions: Predictions, models: list[bytes], tmp_path: Path) -> None:
    expected = keras_log_probabilities(models, tmp_path)
    assert predictions.log_probabilities.shape == (2, 360, 10)
    assert predictions.log_probabilities.dtype == np.float16
    # float16 has 11 significant bits: a relative error of 2**-11.
    assert np.allclose(predictions.log_probabilities, expected, rtol=2**-11, atol=1e-4)
    assert predictions.seeds.tolist() == [1, 2]


def test_probabilities_of_each_image_sum_to_one(predictions: Predictions) -> None:
    log_probabilities = predictions.log_probabilities.astype(np.float64)
    assert np.allclose(np.exp(log_probabilities).sum(axis=2), 1, atol=2e-3)
    assert (log_probabilities <= 0).all()


def test_labels_and_wrong_images_are_those_of_the_test_set(predictions: Predictions, tmp_path: Path) -> None:
    test = open_test_set("digits", tmp_path)
    assert np.array_equal(predictions.labels, test.labels)
    predicted = np.exp(predictions.log_probabilities.astype(np.float64)).mean(axis=0).argmax(axis=1)
    assert set(predictions.wrong_indices.tolist()) == set(np.flatnonzero(predicted != test.labels).tolist())
    assert 0 < len(predictions.wrong_indices) < WRONG_IMAGES
    assert np.array_equal(predictions.wrong_images, test.images[predictions.wrong_indices])


def test_wrong_images_follow_from_the_stored_predictions(predictions: Predictions) -> None:
    arrays = predictions.log_probabilities, predictions.labels
    assert np.array_equal(most_confidently_wrong(*arrays, WRONG_IMAGES), predictions.wrong_indices)
    assert np.array_equal(most_confidently_wrong(*arrays, 10), predictions.wrong_indices[:10])


def test_latency_says_how_it_was_measured(evaluated: tuple[Predictions, Latency]) -> None:
    _, latency = evaluated
    # Ten batches of 256 of the 360 images.
    assert (latency.batch_size, latency.images, latency.threads) == (256, 2560, 1)
    assert 0 < latency.microseconds_per_image < 10_000


def test_evaluation_is_logged_once_and_spends_its_test_set(models: list[bytes], tmp_path: Path) -> None:
    test_set = held_out("digits", tmp_path)
    evaluate(models[:1], test_set, [1])
    assert len(EvaluationLog(tmp_path, "digits").read()) == 1
    with pytest.raises(RuntimeError, match="already opened"):
        evaluate(models[:1], test_set, [1])


def test_model_that_cannot_be_loaded_leaves_the_test_set_closed(tmp_path: Path) -> None:
    test_set = held_out("digits", tmp_path)
    with pytest.raises(Exception, match=r"model\.keras"):
        evaluate([b"not a model"], test_set, [1])
    assert len(test_set.open()) == 360


# Functions, as scikit-learn classifiers give them


def constant(probabilities: Sequence[float]) -> Callable[[NDArray[np.uint8]], NDArray[np.float64]]:
    return lambda images: np.tile(np.log(probabilities), (len(images), 1))


def test_functions_are_evaluated_like_saved_models(tmp_path: Path) -> None:
    # Always class 3 with 0.55, others with 0.05 each.
    probabilities = [0.05] * 3 + [0.55] + [0.05] * 6
    predictions, latency = evaluate([constant(probabilities)], held_out("digits", tmp_path), [7])
    assert np.array_equal(predictions.log_probabilities[0, 0], np.log(probabilities).astype(np.float16))
    assert len(predictions.wrong_indices) == int((predictions.labels != 3).sum())
    assert latency.images == 2560


def test_nan_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="log_probabilities contain NaN"):
        evaluate([constant([np.nan] * 10)], held_out("digits", tmp_path), [7])


# Workers


def test_new_worker_predicts_with_one_thread(models: list[bytes], tmp_path: Path) -> None:
    (tmp_path / "model.keras").write_bytes(models[0])
    code = """if True:
        import pathlib, sys
        from bench.workers import tasks
        from held_out import held_out
        model = pathlib.Path(sys.argv[1]).read_bytes()
        _, latency = tasks.evaluate([model], held_out("digits", pathlib.Path(sys.argv[2])), [1], None, "", print)
        print(latency.threads)
    """
    command = [sys.executable, "-c", code, str(tmp_path / "model.keras"), str(tmp_path)]
    done = subprocess.run(command, check=True, capture_output=True, cwd=Path(__file__).parents[1])
    assert done.stdout.strip() == b"1"


@pytest.mark.skipif(not supports_bfloat16(), reason="this CPU has no bfloat16 arithmetic")
def test_worker_that_searched_in_bfloat16_predicts_in_float32(
    models: list[bytes], predictions: Predictions, tmp_path: Path
) -> None:
    trained(3, precision="bfloat16")
    after, latency = tasks.evaluate(models, held_out("digits", tmp_path), SEEDS, None, "", lambda *_: None)
    assert after.digest() == predictions.digest()
    assert latency.threads == 1


# Order of the wrong images


def test_most_confidently_wrong_by_hand() -> None:
    # Two models, four images of class 0, three classes. By mean probability the first image, (0.6, 0.3, 0.1), is right.
    # Wrong are (0.2, 0.7, 0.1) with 0.7, (0.1, 0.0, 0.9) with 0.9, and (0.4, 0.5, 0.1) with 0.5.
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


def test_no_image_is_wrong_if_all_are_right() -> None:
    log_probabilities = np.log([[[0.9, 0.1], [0.2, 0.8]]])
    assert most_confidently_wrong(log_probabilities, np.array([0, 1]), top=5).tolist() == []


def test_equally_confident_errors_keep_their_order() -> None:
    log_probabilities = np.log([[[0.9, 0.1], [0.9, 0.1], [0.9, 0.1]]])
    assert most_confidently_wrong(log_probabilities, np.array([1, 0, 1]), top=5).tolist() == [0, 2]


def test_fewer_misclassified_images_are_kept_if_they_are_large() -> None:
    assert kept_wrong_images((32, 32, 3)) == WRONG_IMAGES
    # 8 MiB / (224 * 224 * 3) = 55.7; a page shows 25.
    assert kept_wrong_images((224, 224, 3)) == 55
    assert kept_wrong_images((4000, 3000, 3)) == 25
