"""Train from Python: searches, and checks of finished runs."""

import gc
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import search_spaces
from bench.api.families import locate_family
from bench.api.python_names import python_names, translated
from bench.api.reading import load
from bench.api.run import Run
from bench.baselines.external import ExternalModel, read_model
from bench.cli.progress import interruptible_display
from bench.command import DEFAULT_RESULTS
from bench.compat.processes import without_main_module
from bench.data import catalog
from bench.data.catalog import DatasetLocation
from bench.data.samples import Reading
from bench.errors import SearchError, SpecError
from bench.execution.events import Message, Outcome, Report, RunFinished
from bench.execution.options import Options, family_files
from bench.execution.request import SearchRequest
from bench.machine import usable_cores
from bench.records.choices import ClassWeights, Objective, PixelRange, Precision, Preset
from bench.records.limits import DEFAULT_DATASET, DEFAULT_PRESET, DEFAULT_TUNER
from bench.records.store import all_folders
from bench.report import build

if TYPE_CHECKING:
    from bench.execution.verify import Check

# A name, a path, or arrays: (x_train, y_train), or ((x_train, y_train), (x_test, y_test)).
Dataset = str | Path | tuple[Any, Any]


@python_names()
def run(
    family: object,
    dataset: Dataset = DEFAULT_DATASET,
    *,
    preset: Preset = DEFAULT_PRESET,
    tuner: str = DEFAULT_TUNER,
    trials: int | None = None,
    epochs: int | None = None,
    refit_seeds: int | None = None,
    seed: int = 0,
    precision: Literal["auto"] | Precision = "auto",
    objective: Literal["accuracy"] | Objective = "accuracy",
    class_weights: ClassWeights | None = None,
    pixel_range: PixelRange | None = None,
    max_pending: int | None = None,
    time_limit: int | None = None,
    trial_timeout: float | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    data_dir: str | Path | None = None,
    image_size: tuple[int, int] | None = None,
    class_names: Sequence[str] = (),
    results: str | Path = DEFAULT_RESULTS,
    again: bool = False,
    progress: bool = True,
) -> Run:
    """Tune a family, evaluate the winner on the test set, and update the pages, as `bench run` does.

    A call that was interrupted resumes when it is repeated; a run that is complete is returned without training.

    Args:
        family: name of the family; my.py:build_model or package.module:Object; or an object, which may be a function
            `build_model(hp)` or a hypermodel of Keras Tuner, also one that is defined in a script or a notebook.
        dataset: name of the dataset, "fashion_mnist" by default; path of images (a folder with one folder for each
            class, .npz, CSV or IDX files) or of a Python file that defines it; or arrays (x_train, y_train) or
            ((x_train, y_train), (x_test, y_test)).
        preset: how much to train: "quick", "default" or "long".
        tuner: "hyperband", "random", "bayesian", "tpe", "grid", "default" (only the default hyperparameters), or a
            tuner of an installed package.
        trials: search budget in full-length trials; None for the plan of the preset.
        epochs: epochs of a full-length trial; None for the plan of the preset.
        refit_seeds: how often the winner is retrained; None for the plan of the preset.
        seed: base of all random seeds.
        precision: of the search: "float32", "bfloat16", or "auto": bfloat16 if the CPU supports it, otherwise float32.
        objective: metric on the validation images that the search maximizes: "accuracy", "macro-f1" or
            "balanced-accuracy".
        class_weights: weights of the classes in the training loss: "balanced", inversely proportional to their numbers
            of training images, or None for equal weights.
        pixel_range: of the pixels that a model that is not a Family receives: "0-1", "0-255", or None: 0 to 255 if the
            model rescales them itself or has an integer input, otherwise 0 to 1.
        max_pending: maximum number of trials that may be pending when the tuner proposes another one.
        time_limit: seconds for the whole run.
        trial_timeout: seconds for a trial.
        workers: number of worker processes; None for one per usable core.
        scheduler: address of a Dask cluster to train on.
        data_dir: folder with the dataset's files.
        image_size: height and width to which images given by path or as arrays are resized; None to keep their own.
        class_names: of images given by path or as arrays, in the order of the labels; empty for those of the files.
        results: folder with records and pages.
        again: train even if the run is complete.
        progress: show the progress, in a notebook below the cell.

    Raises:
        BenchError: for a reason that the user can fix; completed trials and refits are kept.
    """
    search_spaces.add_current_folder()
    located = locate_family(family)
    location = _locate(dataset, data_dir, Reading(image_size=image_size, class_names=tuple(class_names)))
    request = SearchRequest(
        families=[located],
        dataset=location,
        preset=preset,
        tuner=tuner,
        trials=trials,
        epochs=epochs,
        refit_seeds=refit_seeds,
        seed=seed,
        precision=precision,
        max_pending=max_pending,
        time_limit=time_limit,
        objective=None if objective == "accuracy" else objective,
        class_weights=class_weights,
        pixel_range=pixel_range,
    )
    options = Options(
        results=Path(results),
        dataset=location,
        workers=usable_cores() if workers is None else workers,
        scheduler=scheduler,
        trial_timeout=trial_timeout,
        again=again,
        family_files=family_files([located]),
    )
    from bench.execution import runner

    with _training(progress) as report:
        report(Message(text=f"{located.name} on {location.name}, {tuner} search, results in {options.results}"))
        (outcome,) = runner.run(request.specs, options, report)
    _warn(outcome)
    _update_pages(options.results)  # also after a failure: a test-set evaluation may have been logged
    if not isinstance(outcome, RunFinished):
        raise SearchError(outcome.reason)
    return Run(options.results, outcome.folder.run_id)


@python_names()
def evaluate(
    model: Any,
    *,
    name: str,
    dataset: Dataset = DEFAULT_DATASET,
    pixel_range: PixelRange | None = None,
    classes: Sequence[str] | None = None,
    data_dir: str | Path | None = None,
    image_size: tuple[int, int] | None = None,
    class_names: Sequence[str] = (),
    results: str | Path = DEFAULT_RESULTS,
    progress: bool = True,
) -> Run:
    """Evaluate a model from elsewhere on the test set, and add it to the leaderboard, without a rank.

    Class order and pixel range are checked on validation images first. The evaluation is logged.

    Args:
        model: a Keras model, the path of a .keras file, or a sequence of them that differ in their seeds only.
        name: model name on the leaderboard.
        dataset: name, path or arrays, as for `run`.
        pixel_range: of the pixels that the model expects: "0-1", "0-255", or None: 0 to 255 if it rescales them itself
            or has an integer input, otherwise 0 to 1.
        classes: the class names in the order of the model's outputs, if it is not that of the dataset.
        data_dir: folder with the dataset's files.
        image_size: as for `run`.
        class_names: as for `run`.
        results: folder with records and pages.
        progress: show the progress.

    Raises:
        ModelError: a model is unsafe, or does not fit the images, the classes or the pixels.
        BenchError: for another reason that the user can fix.
    """
    location = _locate(dataset, data_dir, Reading(image_size=image_size, class_names=tuple(class_names)))
    options = Options(results=Path(results), dataset=location, workers=1)
    order = None if classes is None else tuple(classes)
    models = [
        ExternalModel(name=label, content=content, identity=identity, pixel_range=pixel_range, classes=order)
        for label, content, identity in _contents(model)
    ]
    from bench.execution.external import evaluate_external

    with _training(progress) as report:
        report(Message(text=f"{name} on {location.name}, results in {options.results}"))
        outcome = evaluate_external(name, models, options, report)
    _warn(outcome)
    _update_pages(options.results)
    return Run(options.results, outcome.folder.run_id)


def _contents(model: Any) -> Iterator[tuple[str, bytes, bytes | None]]:
    """The names and contents of .keras files, and the identities of models in memory."""
    models = model if isinstance(model, list | tuple) else [model]
    if not models:
        raise SpecError("model must be a Keras model, the path of a .keras file, or several of them, got none")
    for number, each in enumerate(models):
        if isinstance(each, str | Path):
            yield Path(each).name, read_model(Path(each)), None
        elif callable(getattr(each, "save", None)):
            from bench.training.external import identity, saved

            label = f"model {number}" if len(models) > 1 else "model"
            yield label, saved(each, label), identity(each)
        else:
            raise SpecError(f"model must be a Keras model or the path of a .keras file, got {type(each).__name__}")


@python_names()
def verify(run: Run | str, results: str | Path = DEFAULT_RESULTS, *, progress: bool = True) -> "tuple[Check, ...]":
    """Check a finished run and retrain one of its refits; the additional test-set evaluation is logged.

    Unlike `bench verify`, it does not compare the pages with the records.

    Raises:
        BenchError: the run cannot be read, or the refit cannot be trained.
    """
    found = load(run, results) if isinstance(run, str) else run
    from bench.execution.resume import last_options, run_dataset
    from bench.execution.verify import verify as check

    options = replace(last_options(found.folder), dataset=run_dataset(found.folder), workers=1, scheduler=None)
    try:
        with _training(progress) as report:
            return check(found.folder, options, report)
    finally:
        _update_pages(found.results)  # the number of test-set evaluations may have changed


def _warn(outcome: Outcome) -> None:
    for line in outcome.warnings if isinstance(outcome, RunFinished) else ():
        warnings.warn(translated(line), stacklevel=4)  # the caller of a function with a decorator


def _update_pages(results: Path) -> None:
    """Bring all pages up to date, if there are finished runs, and warn of records that cannot be read."""
    if not any(folder.finished for folder in all_folders(results)):
        return
    _, problems = build.write(results)
    for problem in problems:
        warnings.warn(f"could not be read: {problem}", stacklevel=4)


@contextmanager
def _training(progress: bool) -> Iterator[Report]:
    """Train inside the block: worker processes must not run the caller's script again."""
    with without_main_module(), _same_dtype_policy(), interruptible_display(quiet=not progress) as report:
        try:
            yield report
        finally:
            gc.unfreeze()  # otherwise the caller's models, frozen with the libraries, would never be freed


@contextmanager
def _same_dtype_policy() -> Iterator[None]:
    """Keep the caller's policy, such as mixed_float16, although building candidates in the block clears it."""
    keras = sys.modules.get("keras")
    policy = None if keras is None else keras.config.dtype_policy()
    try:
        yield
    finally:
        if keras is not None:
            keras.config.set_dtype_policy(policy)


def _locate(dataset: Dataset, data_dir: str | Path | None, reading: Reading) -> DatasetLocation:
    """Where a dataset is; arrays are stored in the cache."""
    if isinstance(dataset, str | Path):
        return catalog.locate(str(dataset), None if data_dir is None else Path(data_dir), reading)
    if data_dir is not None:
        raise SpecError("data_dir is for datasets given by name, not for arrays: remove it")
    pairs = isinstance(dataset, list | tuple) and all(isinstance(part, list | tuple) for part in dataset)
    if pairs and [len(part) for part in dataset] == [2, 2]:
        return catalog.from_arrays(*dataset, reading=reading)
    return catalog.from_arrays(dataset, reading=reading)
