"""bench predict on real image files with the models of a real run."""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from bench.cli.predict import _inferred
from bench.data import catalog
from bench.data.development import load_development
from bench.errors import DataError
from bench.records.evaluation_log import EvaluationLog
from command_line import call
from whole_runs import Finished

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("families")]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five digits in several formats, sizes and colors; the first three are the same digit."""
    folder = tmp_path_factory.mktemp("photos")
    images = load_development(catalog.locate("digits")).images
    digit = Image.fromarray(images[3, :, :, 0])
    digit.save(folder / "same.png")
    np.save(folder / "same.npy", images[3])
    Image.fromarray(255 - images[3, :, :, 0]).convert("RGB").save(folder / "light.png")
    digit.resize((120, 120)).save(folder / "large.jpg")
    np.save(folder / "several.npy", images[:4])
    return folder


def expected(tiny: Finished, refits: int) -> np.ndarray:
    """Probabilities of the digit by Keras' own `predict`."""
    images = load_development(catalog.locate("digits")).images[3:4]
    files = [tiny.folder.model_file(number) for number in range(refits)]
    logits = np.stack([keras.models.load_model(file).predict(images, verbose=0)[0] for file in files])
    exponentials = np.exp(logits.astype(np.float64))
    probabilities: np.ndarray = (exponentials / exponentials.sum(axis=1, keepdims=True)).mean(axis=0)
    return probabilities


@pytest.mark.smoke
def test_files_of_every_kind_are_classified(tiny: Finished, photos: Path) -> None:
    files = [photos / name for name in ("same.png", "same.npy", "light.png", "large.jpg", "several.npy")]
    done = call("predict", "tiny", *files, "--json", cwd=tiny.results.parent)
    values = json.loads(done.stdout)
    names = ["same.png", "same.npy", "light.png", "large.jpg", *(f"several.npy[{number}]" for number in range(4))]
    assert [value["image"] for value in values] == [str(photos / name) for name in names]
    assert [value["inverted"] for value in values] == [False, False, True, *[False] * 5]
    assert "light.png: inverted, since the training images have a dark background" in done.stderr
    assert "Classifying 8 images with 1 model\n" in done.stderr
    probabilities = expected(tiny, 1)
    for value in (*values[:3], values[7]):
        (first,) = value["predictions"]
        assert (first["label"], first["class"]) == (probabilities.argmax(), str(probabilities.argmax()))
        assert first["probability"] == pytest.approx(probabilities.max(), abs=1e-5)


def test_ensemble_averages_all_refits_and_top_lists_several_classes(tiny: Finished, photos: Path) -> None:
    command = ("predict", "tiny", photos / "same.png", "--ensemble", "--top", 3)
    (value,) = json.loads(call(*command, "--json", cwd=tiny.results.parent).stdout)
    probabilities = expected(tiny, 2)
    best = np.argsort(-probabilities)[:3]
    assert [each["label"] for each in value["predictions"]] == best.tolist()
    assert [each["probability"] for each in value["predictions"]] == pytest.approx(probabilities[best], abs=1e-5)
    lines = call(*command, cwd=tiny.results.parent).stdout.splitlines()
    assert lines[0].split() == ["image", "class", "probability"]
    assert [line.split()[:2] for line in lines[-3:]] == [[str(photos / "same.png"), str(label)] for label in best]


def test_prediction_opens_no_test_image(tiny: Finished, photos: Path) -> None:
    log = EvaluationLog(tiny.results, "digits")
    before = log.read()
    call("predict", tiny.record.run_id, photos / "same.png", cwd=tiny.results.parent)
    assert log.read() == before


def test_background_can_be_given_and_then_needs_no_dataset(tiny: Finished, photos: Path) -> None:
    command = ("predict", "tiny", photos / "light.png", "--background", "light", "--json")
    (value,) = json.loads(call(*command, cwd=tiny.results.parent).stdout)
    assert not value["inverted"]
    with pytest.raises(DataError, match="or name the background of the training images with --background"):
        _inferred(catalog.DatasetLocation(name="absent", digest="0" * 64))


def test_files_that_cannot_be_read_are_named(tiny: Finished, photos: Path) -> None:
    (photos / "text.png").write_text("no image")
    failed = call("predict", "tiny", photos / "text.png", photos / "absent.png", cwd=tiny.results.parent, code=2)
    assert "text.png cannot be read as an image" in failed.stderr
    assert "absent.png: does not exist" in failed.stderr


def test_dataset_that_is_not_that_of_the_run_is_refused(tiny: Finished, photos: Path) -> None:
    command = ("predict", "tiny", photos / "same.png", "--dataset", "mnist")
    failed = call(*command, cwd=tiny.results.parent, code=2)
    assert f"the run {tiny.record.run_id} was trained on digits, got --dataset mnist" in failed.stderr


def test_published_run_without_models_names_the_command_that_trains_them(
    tiny: Finished, photos: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny.results, tmp_path / "results", ignore=shutil.ignore_patterns("models"))
    failed = call("predict", "tiny", photos / "same.png", cwd=tmp_path, code=2)
    command = "python -m bench run --family tiny --trials 5 --epochs 10 --refit-seeds 2 --tuner random --dataset digits"
    assert f"{tiny.record.run_id} was published without its models" in failed.stderr
    assert command in failed.stderr
    # The command repeats the run.
    plan = call(*command.split()[3:], "--dry-run", "--no-estimate", cwd=tmp_path).stdout
    assert f"/{tiny.record.run_id}-repeat2\n" in plan


def test_damaged_model_is_named(tiny: Finished, photos: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny.results, tmp_path / "results")
    model = tmp_path / "results" / tiny.folder.model_file(0).relative_to(tiny.results)
    model.write_bytes(model.read_bytes()[:1000])
    failed = call("predict", "tiny", photos / "same.png", cwd=tmp_path, code=2)
    assert "refit-0.keras: cannot be loaded as a Keras model" in failed.stderr
