"""bench export: every format gives the probabilities of the saved model on all validation images."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

import search_spaces
from bench.data import catalog
from bench.data.development import load_development
from bench.data.splits import split
from bench.errors import DataError, ModelError
from bench.execution.export import export_model
from bench.records.choices import ModelFormat
from bench.records.evaluation_log import EvaluationLog
from bench.training import export, fit
from bench.training.custom.saving import self_contained_bytes
from bench.training.inference import class_probabilities
from builders import make_trial_spec
from command_line import call, run
from custom_models import SHAPE, custom, location
from image_files import announced_digits
from search_spaces._mirror import portable
from whole_runs import Finished

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def images() -> NDArray[np.uint8]:
    """All validation images of split 0."""
    digits = load_development(catalog.locate("digits"))
    return digits.images[split(digits)[1]]


def predictions(path: Path, kind: str, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """As a user of the exported file gets them, without this package."""
    if kind == "keras":
        result: NDArray[np.float32] = keras.models.load_model(path).predict(images, verbose=0)
    elif kind == "savedmodel":
        loaded = tf.saved_model.load(str(path))  # a variable, since `serve` does not keep it alive
        result = loaded.serve(images).numpy()
    else:
        import onnxruntime

        result = onnxruntime.InferenceSession(str(path)).run(None, {"pixels": images})[0]
    return result


@pytest.mark.parametrize("kind", ["keras", "savedmodel", "onnx"])
def test_exported_model_gives_the_same_probabilities(
    kind: str, tiny: Finished, images: NDArray[np.uint8], tmp_path: Path
) -> None:
    if kind == "onnx":
        pytest.importorskip("tf2onnx")
    log = EvaluationLog(tiny.results, "digits")
    before = log.read()
    target = tmp_path / "exported.model" if kind == "savedmodel" else tmp_path / f"exported.{kind}"
    command = ("export", "tiny", "--format", kind, "--refit", 1, "--output", target)
    export_here = run if kind == "onnx" else call  # TensorFlow's own messages are seen from outside only
    done = export_here(*command, cwd=tiny.results.parent)
    assert f"all {len(images):,} validation images differ by at most" in done.stdout
    assert len(done.stdout.splitlines()) == 1
    assert "single_machine" not in done.stderr  # a message of TensorFlow
    expected = class_probabilities([tiny.folder.model_file(1)], images)[0]
    found = predictions(target, kind, images)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-5
    assert np.allclose(found.sum(axis=1), 1, atol=1e-5)
    assert log.read() == before
    assert [path.name for path in tmp_path.iterdir()] == [target.name]
    assert "exists: delete it" in call(*command, cwd=tiny.results.parent, code=2).stderr


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained model that averages over mirror images."""
    values = {
        "filters": 8,
        "blocks": 1,
        "dense_units": 64,
        "random_shifts": True,
        "horizontal_flips": True,
        "learning_rate": 0.004,
        "dropout": 0.1,
    }
    spec = make_trial_spec(model="cnn", values=values, part="development", seed=3, epochs=1)
    _, content = fit.refit(spec, 0, catalog.locate("digits"), lambda *_: None)
    file = tmp_path_factory.mktemp("mirrored") / "model.keras"
    file.write_bytes(content)
    return file


@pytest.mark.parametrize("kind", ["keras", "savedmodel", "onnx"])
def test_model_that_averages_over_mirror_images_is_exported(
    kind: ModelFormat, mirrored: Path, images: NDArray[np.uint8], tmp_path: Path
) -> None:
    if kind == "onnx":
        pytest.importorskip("tf2onnx")
    target = tmp_path / ("exported.keras" if kind == "keras" else "exported")
    export.export(mirrored, target, kind)
    assert export.largest_difference(mirrored, target, kind, images) <= 1e-5
    found = predictions(target, kind, images)
    reflected = predictions(target, kind, np.ascontiguousarray(images[:, :, ::-1]))
    assert np.abs(found - reflected).max() <= 1e-5


@pytest.mark.long
@pytest.mark.parametrize("family", ["resnet", "mixer"])
@pytest.mark.parametrize("kind", ["keras", "savedmodel", "onnx"])
def test_other_families_are_exported(family: str, kind: ModelFormat, images: NDArray[np.uint8], tmp_path: Path) -> None:
    if kind == "onnx":
        pytest.importorskip("tf2onnx")
    values = {"activation": "gelu", "random_shifts": True}
    model = search_spaces.load(family)(images.shape[1:], 10, multiply_adds=100_000).build_from(values)
    model.fit(images, np.arange(len(images)) % 10, verbose=0)  # changes what batch normalization does at inference
    file, target = tmp_path / "model.keras", tmp_path / ("exported.keras" if kind == "keras" else "exported")
    portable(model).save(file)
    export.export(file, target, kind)
    found = predictions(target, kind, images)
    assert np.abs(found - class_probabilities([file], images)[0]).max() <= 1e-5
    assert np.allclose(found.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("kind", ["keras", "savedmodel"])
def test_model_with_own_layers_is_exported(kind: ModelFormat, images: NDArray[np.uint8], tmp_path: Path) -> None:
    built, family = custom("build_own_parts").build({}, seed=1), location("build_own_parts")
    file, target = tmp_path / "model.keras", tmp_path / ("exported.keras" if kind == "keras" else "exported")
    file.write_bytes(self_contained_bytes(built.model, built.interface, SHAPE))
    export.export(file, target, kind, family)
    assert export.largest_difference(file, target, kind, images, family) <= 1e-5


def test_exported_file_loads_without_this_package(tiny: Finished, tmp_path: Path) -> None:
    call("export", "tiny", "--format", "keras", "--output", tmp_path / "tiny.keras", cwd=tiny.results.parent)
    code = (
        'import sys; sys.modules["bench"] = sys.modules["search_spaces"] = None\n'
        'import keras; print(keras.models.load_model("tiny.keras").output_shape)'
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "(None, 10)"


def test_export_shows_the_download_of_images_and_what_it_does(
    tiny: Finished, images: NDArray[np.uint8], tmp_path: Path
) -> None:
    dataset, target = announced_digits(tmp_path / "announced.py"), tmp_path / "tiny.keras"
    command = ("export", "tiny", "--format", "keras", "--dataset", dataset, "--output", target)
    lines = call(*command, cwd=tiny.results.parent).stderr.splitlines()
    assert lines[:2] == [
        "loading digits",
        f"Exporting refit-0.keras as keras, and checking it on {len(images)} validation images",
    ]


def test_refit_that_does_not_exist_is_refused(tiny: Finished, tmp_path: Path) -> None:
    failed = call("export", "tiny", "--format", "keras", "--refit", 2, cwd=tiny.results.parent, code=2)
    assert re.search(r"there is no refit 2: tiny-random-\w+ has refits 0 to 1", failed.stderr)


def test_export_that_differs_is_not_written(tiny: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "MAX_DIFFERENCE", -1.0)
    target = tmp_path / "tiny.keras"
    with pytest.raises(ModelError, match="nothing was written"):
        export_model(tiny.folder.model_file(0), tiny.record, catalog.locate("digits"), target=target, kind="keras")
    assert not list(tmp_path.iterdir())


def test_other_data_than_that_of_the_run_is_refused(tiny: Finished, tmp_path: Path) -> None:
    other = replace(tiny.record, dataset=replace(tiny.record.dataset, checksum="0" * 64))
    with pytest.raises(DataError, match="the run was trained on data with checksum 000000000000"):
        export_model(
            tiny.folder.model_file(0), other, catalog.locate("digits"), target=tmp_path / "tiny.keras", kind="keras"
        )


def test_missing_packages_of_onnx_are_named_first(
    tiny: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    file, messages = tiny.folder.model_file(0), list[str]()
    with pytest.raises(ModelError, match="ONNX needs tf2onnx and onnxruntime, which are not all installed: run `"):
        export_model(
            file, tiny.record, catalog.locate("digits"), target=tmp_path / "a", kind="onnx", notify=messages.append
        )
    assert messages == []
