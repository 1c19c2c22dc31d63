"""Whole runs of models that are not a Family: parallel, resumable, contained, and described on their pages."""

import json
import re
import shutil
from pathlib import Path

import pytest

from bench.records.spec import SearchSpec
from bench.records.store import all_folders
from command_line import call, started
from whole_runs import Finished, assert_equal_runs, ended_trials, finished

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("here")]

MODELS = Path(__file__).parents[1] / "families" / "plain_models.py"
SMALL = ("--dataset", "digits", "--tuner", "random", "--trials", "2", "--epochs", "2", "--refit-seeds", "1")
HYPERBAND = ("--dataset", "digits", "--tuner", "hyperband", "--trials", "5", "--epochs", "3", "--refit-seeds", "1")


@pytest.fixture
def cwd(tmp_path: Path) -> Path:
    """A working folder with plain_models.py."""
    folder = tmp_path / "work"
    folder.mkdir()
    shutil.copy(MODELS, folder)
    return folder


def search(obj: str, budget: tuple[str, ...], cwd: Path, *options: object, results: str = "results") -> Finished:
    """A finished run of an object of plain_models.py, called net."""
    arguments = ("--family", f"net=plain_models.py:{obj}", *budget, "--workers", 1, *options, "--results", results)
    done = call("run", *arguments, cwd=cwd)
    whole = finished(cwd / results, "net", budget[3])
    return Finished(whole.folder, whole.record, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run of build_model with one worker, killed after its first trial: its working folder and its results."""
    folder = tmp_path_factory.mktemp("killed")
    shutil.copy(MODELS, folder)
    arguments = ("run", "--family", "net=plain_models.py:build_model", *SMALL, "--workers", 1)
    with started(*arguments, cwd=folder) as command:
        command.wait_until(lambda: any(map(ended_trials, all_folders(folder / "results"))), "ended trial")
    return folder, folder / "results"


def test_run_is_the_same_for_any_number_of_workers_and_resumes_from_another_folder(
    killed: tuple[Path, Path], tmp_path: Path
) -> None:
    cwd, results = killed
    whole = search("build_model", SMALL, cwd, "--workers", 2, results="whole")
    assert isinstance(whole.record.spec, SearchSpec)
    assert whole.record.spec.definition == "plain_models.py:build_model"
    shutil.copytree(results, tmp_path / "results")
    assert "resuming" in call("resume", cwd=tmp_path).stderr.lower()
    assert_equal_runs(whole, finished(tmp_path / "results", "net"))
    assert "Already complete" in search("build_model", SMALL, cwd, results="whole").stderr


def test_edited_file_is_not_resumed_and_the_reason_is_given(killed: tuple[Path, Path]) -> None:
    cwd, _ = killed
    path = cwd / "plain_models.py"
    original = path.read_text()
    path.write_text(original.replace("rate=0.25", "rate=0.3"))
    assert "the code of 'net' has changed since it was started" in call("resume", cwd=cwd, code=2).stderr
    path.unlink()
    assert "plain_models.py does not exist: restore it" in call("resume", cwd=cwd, code=2).stderr
    path.write_text(original)


@pytest.mark.long
def test_own_fit_is_the_same_for_any_number_of_workers(cwd: Path) -> None:
    first = search("INSTANCE", HYPERBAND, cwd, "--workers", 2)
    assert_equal_runs(first, search("INSTANCE", HYPERBAND, cwd, results="again"))


# tests/training/custom promotes and retrains such a trial, too.
@pytest.mark.long
def test_own_fit_is_promoted_by_retraining(cwd: Path) -> None:
    first = search("INSTANCE", HYPERBAND, cwd, "--workers", 2)
    outcome = first.record.search
    assert outcome is not None
    promoted = [trial for trial in outcome.trials if trial.parent is not None and trial.duplicate_of is None]
    assert promoted
    assert all(trial.retrained_epochs == trial.initial_epoch > 0 for trial in promoted)
    assert all(len(trial.curve.validation_accuracy) == trial.epochs for trial in promoted)
    assert outcome.trained_epochs == sum(
        trial.epochs - trial.initial_epoch + trial.retrained_epochs
        for trial in outcome.trials
        if trial.duplicate_of is None
    )
    assert not (first.folder.path / "states").exists()
    page = (cwd / "results" / "digits" / "net.md").read_text()
    assert "its own fit cannot continue a trial" in page
    assert "on the training images of the search" in page


def test_row_and_page_say_that_the_recipe_is_its_own_and_what_it_receives(cwd: Path) -> None:
    budget = ("--dataset", "digits", "--tuner", "random", "--trials", "1", "--epochs", "1", "--refit-seeds", "1")
    call("run", "--family", "tiny", "--family", "plain_models.py:build_cnn", *budget, "--workers", 1, cwd=cwd)
    board = (cwd / "results" / "leaderboard.md").read_text()
    assert dict(re.findall(r"^\|[^|]+\| \[(\w+)\][^|]+\| (tuned[^|]*?) *\|", board, re.MULTILINE)) == {
        "tiny": "tuned",
        "build_cnn": "tuned, own recipe",
    }
    page = (cwd / "results" / "digits" / "build_cnn.md").read_text()
    assert "float32 pixels in \\[0, 255\\]" in page or "float32 pixels in [0, 255]" in page
    assert "plain\\_models.py:build\\_cnn" in page or "plain_models.py:build_cnn" in page
    entries = json.loads(call("leaderboard", "--json", cwd=cwd).stdout)
    assert {entry["label"]: entry["own_recipe"] for entry in entries} == {"tiny": False, "build_cnn": True}


@pytest.fixture(scope="module")
def small_space(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A run of build_flat, which has two candidates, in a module that starts a thread."""
    folder = tmp_path_factory.mktemp("small_space")
    thread = "import threading\n\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    (folder / MODELS.name).write_text(MODELS.read_text().replace("import keras\n", f"{thread}import keras\n", 1))
    return search("build_flat", HYPERBAND, folder)


def test_family_whose_module_starts_a_thread_runs(small_space: Finished) -> None:
    assert "threads" not in small_space.stderr  # it is imported in workers only, after they were forked
    assert small_space.record.search is not None
    assert {trial.status for trial in small_space.record.search.trials} == {"ok"}


def test_whole_small_space_is_trained_instead_of_hyperband(small_space: Finished) -> None:
    assert "grid search of 2 candidates (not hyperband, since that is the whole space)" in small_space.stderr


def test_failing_and_late_candidates_are_contained_and_named(cwd: Path) -> None:
    (cwd / "partly.py").write_text(
        "import keras\n\n\ndef build_model(hp):\n"
        "    units = hp.Int('units', 8, 38)\n"
        "    if 18 <= units < 28:\n        raise RuntimeError('these units are broken')\n"
        "    rate = hp.Float('late_rate', 0.0, 0.5, default=0.125) if 8 < units < 18 else 0.0\n"
        "    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dropout(rate)])\n"
        "    model.add(keras.layers.Dense(10, activation='softmax'))\n"
        "    model.compile('adam', 'sparse_categorical_crossentropy')\n    return model\n"
    )
    budget = ("--dataset", "digits", "--tuner", "random", "--trials", "12", "--epochs", "1", "--refit-seeds", "1")
    done = call("run", "--family", "partly.py:build_model", *budget, "--workers", 1, "--quiet", cwd=cwd)
    outcome = finished(cwd / "results", "partly").record.search
    assert outcome is not None
    errors = {trial.values["units"]: trial.error for trial in outcome.trials}
    assert {18 <= int(units) < 28 for units, error in errors.items() if error} == {True}
    failed = [trial.error for trial in outcome.trials if trial.error]
    assert all("RuntimeError: these units are broken" in error for error in failed)
    assert f"warning: partly: {len(failed)} of 12 trials failed, e.g. trial 00" in done.stderr
    assert "these units are broken (in build_model, partly.py:7" in done.stderr
    page = (cwd / "results" / "digits" / "partly.md").read_text()
    # The builds before the search have 8, 38, 32, 21 and 27 units.
    assert {8 < int(trial.values["units"]) < 18 for trial in outcome.trials if trial.unsearched} == {True}
    assert "first seen after the space was fixed, kept at their defaults" in page


@pytest.mark.long
def test_finished_run_is_verified(cwd: Path, tmp_path: Path) -> None:
    whole = search("build_own_parts", SMALL, cwd)
    assert "VERIFIED" in call("verify", whole.folder.path.name, "--results", cwd / "results", cwd=tmp_path).stdout
    moved = tmp_path / "moved"
    moved.mkdir()
    (cwd / "plain_models.py").rename(moved / "plain_models.py")
    options = ("--results", cwd / "results")
    assert "does not exist" in call("verify", "net", *options, cwd=tmp_path, code=1).stdout
    location = ("--family", f"{moved}/plain_models.py:build_own_parts")
    assert "VERIFIED" in call("verify", "net", *location, *options, cwd=tmp_path).stdout


def test_refused_model_trains_nothing(cwd: Path) -> None:
    (cwd / "large.py").write_text(
        "import keras\n\n\ndef build_model(hp):\n"
        "    model = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10)])\n"
        "    model.compile('adam', 'mse')\n    return model\n"
    )
    done = call("run", "--family", "large.py:build_model", *SMALL, cwd=cwd, code=2)
    assert "the model takes inputs of shape (28, 28, 1), the images have (8, 8, 1): move preprocessing" in done.stderr
    assert not list(all_folders(cwd / "results"))


def test_objective_class_weights_and_range_are_recorded_and_shown(cwd: Path) -> None:
    options = ("--objective", "macro-f1", "--class-weights", "balanced", "--pixel-range", "0-255", "-v")
    whole = search("build_model", SMALL, cwd, *options)
    assert isinstance(whole.record.spec, SearchSpec)
    assert (whole.record.spec.objective, whole.record.spec.class_weights) == ("macro-f1", "balanced")
    assert whole.record.search is not None
    best = max(trial.objective_score or 0 for trial in whole.record.search.trials)
    assert whole.record.search.winning_trial.score == best
    page = (cwd / "results" / "digits" / "net.md").read_text()
    for text in ("validation macro F1", "balanced accuracy (%)", "class weights", "--pixel-range is 0-255"):
        assert text in page, text
    assert "best validation macro F1 " in whole.stderr
    assert ": validation macro F1 " in whole.stderr  # of each trial
    (entry,) = json.loads(call("leaderboard", "--json", cwd=cwd).stdout)
    assert entry["objective"] == "macro F1"
    assert entry["conditions"]["class weights"] == "balanced"


def test_default_tuner_trains_the_defaults_of_a_family_and_of_a_model(cwd: Path) -> None:
    budget = ("--dataset", "digits", "--tuner", "default", "--trials", "1", "--epochs", "1", "--refit-seeds", "1")
    call("run", "--family", "net=plain_models.py:build_model", "--family", "dense", *budget, "--workers", 1, cwd=cwd)
    net, dense = (finished(cwd / "results", name, "default").record.search for name in ("net", "dense"))
    assert net is not None
    assert dense is not None
    assert [dict(trial.values) for trial in net.trials] == [
        {"num_layers": 1, "units_0": 8, "activation": "relu", "dropout": False, "lr": 0.001, "units_1": 8, "units_2": 8}
    ]
    assert [trial.values["dense_layers"] for trial in dense.trials] == [2]


# Steps of such a model are timed in tests/training/custom, and a dry run is in test_run.py.
@pytest.mark.long
def test_dry_run_of_a_model_estimates_its_cost(cwd: Path) -> None:
    done = call("run", "--family", "plain_models.py:INSTANCE", *SMALL, "--dry-run", "--workers", 1, cwd=cwd)
    assert "minutes" in done.stdout
