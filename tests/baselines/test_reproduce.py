"""Tutorials and floor, trained for real on digits."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from keras_tuner import HyperParameters

from bench.baselines import tutorials as _references
from bench.baselines.catalog import CLASSIFIERS, NAMES, TUTORIALS
from bench.baselines.tutorials import Reference, find
from bench.records.spec import TrialSpec, Value
from bench.records.store import all_folders, count_test_readings
from bench.report.runs import load
from command_line import run, started
from search_spaces import cnn, dense

pytestmark = pytest.mark.slow

REPRODUCE = ("reproduce", "--dataset", "digits", "--seeds", "2")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All references on digits."""
    cwd = tmp_path_factory.mktemp("reproduce")
    run(*REPRODUCE, cwd=cwd)
    return cwd / "results"


def test_every_reference_is_a_row(results: Path) -> None:
    found = {run.label: run for run in load(results).runs}
    # The convolutional network needs larger images.
    suitable = set(NAMES) - {"tutorial-cnn"}
    assert set(found) == suitable
    assert count_test_readings(results, "digits") == len(suitable)
    majority = found["baseline-majority"].scores.accuracy
    assert majority < 0.15
    for name in suitable - {"baseline-majority"}:
        assert found[name].scores.accuracy > 0.75, name
    assert all(np.isfinite(found[name].scores.log_loss) for name in CLASSIFIERS)


def test_report_is_that_of_the_records(results: Path) -> None:
    run("report", "--check", cwd=results.parent)
    assert "tutorial-linear" in (results / "tutorials.md").read_text()


def test_finished_references_are_not_trained_again(results: Path) -> None:
    done = run(*REPRODUCE, "baseline-majority", cwd=results.parent)
    assert "Finished before" in done.stderr


def test_killed_reproduction_goes_on(results: Path, tmp_path: Path) -> None:
    arguments = (*REPRODUCE, "tutorial-dense-128", "--workers", "1")
    with started(*arguments, cwd=tmp_path) as running:
        running.wait_until(
            lambda: any(f.ledger.exists() and f.events()[1:] for f in all_folders(tmp_path / "results")), "a refit"
        )
        running.process.kill()
        running.end()
    assert "tutorial-dense-128" in run("runs", cwd=tmp_path).stdout
    run(*arguments, cwd=tmp_path)
    (folder,) = all_folders(tmp_path / "results")
    (whole,) = [each for each in all_folders(results) if each.path.name == folder.path.name]
    assert folder.read_record().resumed == 1
    assert folder.read_record().predictions_sha256 == whole.read_record().predictions_sha256


def test_a_model_that_the_images_are_too_small_for_is_refused(tmp_path: Path) -> None:
    done = run("reproduce", "tutorial-cnn", "--dataset", "digits", cwd=tmp_path, code=2)
    assert "tutorial-cnn needs images of at least 10 x 10 pixels, digits has 8 x 8" in done.stderr
    assert list(all_folders(tmp_path / "results")) == []


def test_unknown_reference_is_refused(tmp_path: Path) -> None:
    assert "Did you mean tutorial-linear?" in run("reproduce", "tutorial-linea", cwd=tmp_path, code=2).stderr


# Forms that are said to be the same


def weights(reference: Reference, monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """Of `reference` after two epochs on digits."""
    from bench.training import fit as training

    monkeypatch.setattr(_references, "REFERENCES", (reference,))
    spec = TrialSpec(
        dataset="digits",
        family=reference.name,
        values={},
        part="reference",
        seed=1,
        initial_epoch=0,
        epochs=2,
        horizon=2,
        precision="float32",
        keep_state=True,
    )
    trained = training.train(spec, None, None, None, lambda *_: None)
    assert trained.state is not None
    return trained.state


def same(one: list[np.ndarray], other: list[np.ndarray]) -> None:
    for here, there in zip(one, other, strict=True):
        np.testing.assert_allclose(here, there, rtol=1e-4, atol=1e-5)


def test_softmax_and_logits_give_the_same_training(monkeypatch: pytest.MonkeyPatch) -> None:
    softmax, logits = find("tutorial-dense-128"), find("tutorial-dense-128-logits")
    assert (softmax.output, logits.output) == ("softmax", "logits")
    same(weights(softmax, monkeypatch), weights(logits, monkeypatch))


def test_integers_and_one_hot_labels_give_the_same_training(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find("tutorial-cnn").labels == "one-hot"
    integers = find("tutorial-dense-256-dropout")
    same(weights(integers, monkeypatch), weights(replace(integers, labels="one-hot"), monkeypatch))


# The searched spaces contain the tutorials' architectures


def shapes(model: keras.Model) -> list[tuple[str, tuple[int, ...]]]:
    """Kinds of layers with weights, and the shapes of these, in their order."""
    return [(type(layer).__name__, tuple(w.shape)) for layer in model.layers for w in layer.weights]


def test_dense_contains_the_tutorials_dense_models() -> None:
    family = dense.Dense((28, 28, 1), 10)
    tutorials: dict[str, dict[str, Value]] = {
        "tutorial-dense-128": {"dense_layers": 1, "units_1": 128, "activation_1": "relu", "dropout_1": 0.0},
        "tutorial-dense-256-dropout": {"dense_layers": 1, "units_1": 256, "activation_1": "relu", "dropout_1": 0.2},
    }
    for name, values in tutorials.items():
        assert_in_space(family.space(), values)
        model = family.build_from(values)
        assert [shape for _, shape in shapes(model)] == [
            shape for _, shape in shapes(find(name).build((28, 28, 1), 10))
        ]


def test_cnn_contains_the_tutorials_cnn() -> None:
    family = cnn.CNN((28, 28, 1), 10)
    values: dict[str, Value] = {
        "filters": 32,
        "pooling_depth": 2,
        "padding": "valid",
        "dense_units": 128,
        "dropout": 0.5,
        "batch_normalization": False,
    }
    assert_in_space(family.space(), values)
    model = family.build_from(values)
    assert shapes(model) == shapes(find("tutorial-cnn").build((28, 28, 1), 10))


def assert_in_space(space: HyperParameters, values: dict[str, Value]) -> None:
    for name, value in values.items():
        (parameter,) = {str(hp.values): hp for hp in space.space if hp.name == name}.values()
        assert value in parameter.values, name


def test_every_tutorial_names_its_published_layers() -> None:
    counts = {name: tutorial.build((28, 28, 1), 10).count_params() for name, tutorial in TUTORIALS.items()}
    # 784 x 10 + 10; 784 x 128 + 128 + 128 x 10 + 10; the same with 256; 320 + 18,496 + 1600 x 128 + 128 + 1290.
    assert counts == {
        "tutorial-linear": 7_850,
        "tutorial-dense-128": 101_770,
        "tutorial-dense-128-logits": 101_770,
        "tutorial-dense-256-dropout": 203_530,
        "tutorial-cnn": 225_034,
    }
