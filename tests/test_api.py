"""The Python API: small, lazy, and with the same results as the command line."""

import gc
import os
import shutil
import tomllib
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

import bench
from bench.api.python_names import translated
from bench.api.training import _training, _update_pages
from bench.errors import DataError, ModelError, SpecError, StoreError
from bench.records.choices import OBJECTIVES, PIXEL_RANGES, PRECISIONS, PRESETS, ClassWeights
from bench.tuning import tuners
from builders import add_reference
from processes import python

GOLDEN = Path(__file__).parent / "golden" / "results"


def test_import_of_bench_loads_no_library() -> None:
    code = (
        "import sys, bench; print(sorted({name.split('.')[0] for name in sys.modules} & {'pandas', 'numpy', 'dask'}))"
    )
    assert python(code) == "[]\n"


def test_version_is_that_of_the_project() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert bench.__version__ == project["version"]


def test_leaderboard_is_a_data_frame_with_a_row_per_model_and_table() -> None:
    frame = bench.leaderboard(GOLDEN)
    assert set(frame["model"]) >= {"cnn", "dense"}
    best = frame.iloc[0]
    assert (best["label"], best["rank"]) == ("cnn", 1)
    assert best["ci_low"] < best["test_accuracy"] < best["ci_high"]
    assert {"macro_f1", "log_loss", "core_seconds", "hp_units_1"} <= set(frame.columns)


def test_unreadable_run_is_a_warning(tmp_path: Path) -> None:
    shutil.copytree(GOLDEN, tmp_path / "results")
    record = next((tmp_path / "results").rglob("record.json"))
    record.write_text("{")
    with pytest.warns(UserWarning, match="could not be read"):
        frame = bench.leaderboard(tmp_path / "results")
    assert len(frame) < len(bench.leaderboard(GOLDEN))


def test_run_is_loaded_by_its_label_or_its_id() -> None:
    run = bench.load("cnn", GOLDEN)
    assert bench.load(run.run_id, GOLDEN).label == "cnn"
    assert run.interval is not None
    assert run.interval[0] < run.test_accuracy < run.interval[1]
    assert "cnn on Synthetic test data" in repr(run)
    assert run.page == GOLDEN / "synthetic/cnn.md"


def test_trials_are_a_data_frame() -> None:
    run = bench.load("cnn", GOLDEN)
    assert run.record.search is not None
    assert run.trials["trial"].tolist() == [trial.trial_id for trial in run.record.search.trials]
    winner = run.trials[run.trials["winner"]].iloc[0]
    assert winner["validation_accuracy"] == run.record.search.winning_trial.score
    assert {f"hp_{name}" for name in run.hyperparameters} <= set(run.trials.columns)
    assert bench.load("tutorial-linear", GOLDEN).trials.empty


def test_predictions_are_a_data_frame_with_a_row_per_refit_and_image() -> None:
    run = bench.load("cnn", GOLDEN)
    frame = run.predictions
    assert len(frame) == len(run.record.refits) * run.record.dataset.n_test
    assert frame.groupby("refit")["correct"].mean().mean() == pytest.approx(run.test_accuracy)
    columns = [f"probability_{name}" for name in run.record.dataset.class_names]
    assert np.allclose(frame[columns].sum(axis=1), 1)
    first = frame.iloc[0]
    assert first["predicted"] == first[columns].astype(float).idxmax().removeprefix("probability_")


def test_compare_tests_the_difference_of_two_runs() -> None:
    comparison = bench.compare("cnn", "dense-8510e8", GOLDEN)
    assert (comparison.a.label, comparison.b.label) == ("cnn", "dense-8510e8")
    assert comparison.test.difference.mean > 0
    assert "cnn is" in repr(comparison)
    a, b = bench.load("cnn", GOLDEN), bench.load("dense-8510e8", GOLDEN)
    assert bench.compare(a, b).test == comparison.test
    same = bench.load("dense-8510e8", os.path.relpath(GOLDEN))
    assert bench.compare(a, same, GOLDEN).test == comparison.test


def test_runs_of_different_folders_are_not_compared(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="different results folders"):
        bench.compare(bench.load("cnn", GOLDEN), "dense", tmp_path)


def test_pages_are_up_to_date_after_a_verification_that_failed(tmp_path: Path) -> None:
    add_reference(tmp_path, spec={"model": "mine"}, reference={"group": "external"})
    with pytest.raises(SpecError, match="was trained elsewhere"):
        bench.verify("mine", tmp_path, progress=False)
    assert (tmp_path / "leaderboard.md").exists()


def test_published_run_has_no_model_but_the_command_that_makes_it() -> None:
    with pytest.raises(ModelError, match=r"published without its models.*\n  python -m bench run --family cnn"):
        bench.load("cnn", GOLDEN).model()


def test_invalid_arguments_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"unknown family 'cn'.*Did you mean cnn"):
        bench.run("cn", "digits", results=tmp_path / "results")
    with pytest.raises(SpecError, match=r"family must be the name of a family, .*; got int"):
        bench.run(3, "digits", results=tmp_path / "results")
    with pytest.raises(SpecError, match=r"unknown preset 'fast': valid names are quick, default, long"):
        bench.run("cnn", "digits", preset="fast", results=tmp_path / "results")
    for workers in ("2", 0):
        with pytest.raises(SpecError, match=rf"workers must be a whole number from 1 to .*, got {workers!r}"):
            bench.run("cnn", "digits", workers=workers, results=tmp_path / "results")
    for image_size in (32, [8, 8], (8.0, 8), (0, 8), (8, 8, 1)):
        with pytest.raises(SpecError, match=r"image_size must be \(height, width\), two positive whole numbers, got"):
            bench.run("cnn", GOLDEN, image_size=image_size, results=tmp_path / "results")
    for trial_timeout in ("5m", 0, (1,), float("inf")):
        with pytest.raises(SpecError, match=r"^trial_timeout must be a positive number of seconds, got"):
            bench.run("cnn", "digits", trial_timeout=trial_timeout, results=tmp_path / "results")
    with pytest.raises(SpecError, match=r"^time_limit must be a whole number from 1 to 10000000, got '5m'"):
        bench.run("cnn", "digits", time_limit="5m", results=tmp_path / "results")
    with pytest.raises(SpecError, match=r"^image_size and class_names are for images given by path"):
        bench.run("cnn", "digits", image_size=(8, 8), results=tmp_path / "results")
    for dataset in (None, np.zeros((5, 8, 8)), {"x": 1}):
        with pytest.raises(DataError, match=r"expected a pair of arrays \(x_train, y_train\), got"):
            bench.run("cnn", dataset, results=tmp_path / "results")
    arrays = np.zeros((5, 8, 8), np.uint8), np.zeros(5, np.int64)
    with pytest.raises(SpecError, match=r"^data_dir is for datasets given by name, not for arrays: remove it"):
        bench.run("cnn", arrays, data_dir=tmp_path, results=tmp_path / "results")
    for model, found in ((3, "int"), ([], "none"), ([3], "int")):
        with pytest.raises(SpecError, match=rf"^model must be a Keras model.*\.keras file.*, got {found}$"):
            bench.evaluate(model, name="mine", dataset="digits", results=tmp_path / "results")
    with pytest.raises(StoreError, match=r"no results folder .* with results, .* `python -m bench run --family cnn`"):
        bench.leaderboard(tmp_path / "results")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("raise --trials to 40, or start with --again", "raise trials to 40, or start with again=True"),
        ("resize all, e.g. --image-size 64x64", "resize all, e.g. image_size=(64, 64)"),
        ("pass --image-size HEIGHTxWIDTH", "pass image_size=(HEIGHT, WIDTH)"),
        ("use `bench run --class-names a` or --class-names", "use `bench run --class-names a` or class_names"),
        ("by:\n  python -m bench run --seed 1\n--seed", "by:\n  python -m bench run --seed 1\nseed"),
        ("my--model, a - b", "my--model, a - b"),
    ],
)
def test_options_in_messages_are_parameters_in_python(message: str, expected: str) -> None:
    assert translated(message) == expected


def test_call_that_failed_writes_no_pages_if_no_run_is_finished(tmp_path: Path) -> None:
    _update_pages(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_models_of_the_caller_can_be_freed_after_training() -> None:
    with _training(progress=False):
        gc.freeze()  # as when the libraries are imported
    assert gc.get_freeze_count() == 0


@pytest.mark.slow  # imports Keras
def test_dtype_policy_of_the_caller_is_kept() -> None:
    import keras

    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        with _training(progress=False):
            keras.utils.clear_session()  # as when candidates are built
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy("float32")


def test_help_of_run_names_every_valid_value() -> None:
    text = str(bench.run.__doc__)
    names = (
        *PRESETS,
        *tuners.names(),
        *PRECISIONS,
        "auto",
        "accuracy",
        *OBJECTIVES,
        *get_args(ClassWeights),
        *PIXEL_RANGES,
    )
    assert [name for name in names if f'"{name}"' not in text] == []


def test_every_name_of_the_api_exists() -> None:
    assert all(hasattr(bench, name) for name in bench.__all__)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'bench' has no attribute 'ran'"):
        _ = bench.ran
