"""Runs on images given by path: resumed, repeated, verified, and never mixed with runs on other content."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bench.records.store import all_folders
from command_line import Called, call, training_here
from image_files import class_folders, noise, save

pytestmark = pytest.mark.slow

SMALL = ("--tuner", "random", "--trials", 2, "--epochs", 1, "--refit-seeds", 1, "--workers", 1)


@pytest.fixture(scope="module", autouse=True)
def _here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """`call` may train, with a cache of its own."""
    with training_here(XDG_CACHE_HOME=tmp_path_factory.mktemp("cache")):
        yield


@pytest.fixture(scope="module")
def cwd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photos of 60 images, and a finished run on them."""
    folder = tmp_path_factory.mktemp("own")
    class_folders(folder / "photos", per_class=30)
    done = train(folder)
    assert re.search(
        r"Data: photos, 40 training, 8 validation and 12 test images, from .*/photos \(the test", done.stderr
    )
    return folder


def train(cwd: Path) -> Called:
    return call("run", "--family", "tiny", "--dataset", "photos", *SMALL, cwd=cwd)


def test_run_has_its_record_and_its_page(cwd: Path) -> None:
    (folder,) = [folder for folder in all_folders(cwd / "results") if folder.finished]
    record = folder.read_record()
    assert (record.dataset.name, record.dataset.class_names, record.dataset.n_test) == ("photos", ("cat", "dog"), 12)
    assert record.dataset.duplicates is not None
    assert record.spec.data is not None
    assert "photos" in (cwd / "results" / "leaderboard.md").read_text()


def test_same_command_trains_nothing(cwd: Path) -> None:
    assert "Already complete" in train(cwd).stderr


def test_run_is_verified_without_naming_its_path(cwd: Path) -> None:
    done = call("verify", "tiny", cwd=cwd)
    assert "data: checksum" in done.stdout
    assert "tiny: VERIFIED" in done.stdout
    refused = call("verify", "tiny", "--data-dir", ".", cwd=cwd, code=2)
    assert "--data-dir is for datasets given by name" in refused.stderr


def test_changed_folder_is_another_run_in_another_table(cwd: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(cwd, copy)
    save(copy / "photos" / "cat" / "new.png", noise(1, seed=7)[0])
    train(copy)
    checksums = {folder.read_record().dataset.checksum for folder in all_folders(copy / "results")}
    assert len(checksums) == 2
    leaderboard = (copy / "results" / "leaderboard.md").read_text()
    assert re.search("Ranked separately there: .*dataset checksum ", leaderboard)  # one of the conditions that differ
    # The original content under the same name is complete, and found by its path.
    (copy / "photos" / "cat" / "new.png").unlink()
    assert "Already complete" in train(copy).stderr


def test_interrupted_run_is_resumed_after_the_folder_is_gone(tmp_path: Path) -> None:
    np.savez(tmp_path / "photos.npz", x=noise(60, 6, 6, 3), y=np.arange(60) % 3)
    command = ("run", "--family", "tiny", "--dataset", "photos.npz", *SMALL)
    call(*command, cwd=tmp_path)
    (folder,) = all_folders(tmp_path / "results")
    expected = folder.read_record().predictions_sha256
    folder.record_file.unlink()
    folder.predictions_file.unlink()
    (tmp_path / "photos.npz").unlink()
    done = call("resume", cwd=tmp_path)
    assert folder.read_record().predictions_sha256 == expected, done.stderr


def test_baselines_are_fitted_on_color_images(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=noise(60, 6, 6, 3), y=np.arange(60) % 3)
    call("reproduce", "classifiers", "--dataset", "a.npz", "--refit-seeds", 1, cwd=tmp_path)
    records = [folder.read_record() for folder in all_folders(tmp_path / "results")]
    assert {record.spec.model for record in records} >= {"baseline-majority", "baseline-logistic-regression"}
    assert len({record.spec.data for record in records}) == 1
