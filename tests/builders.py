"""Synthetic runs for tests: records and predictions that obey the schema and were never trained."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.machine import Environment
from bench.records.dataset import DatasetFacts
from bench.records.ledger import RefitEnded, SessionStarted, TrialEnded, TrialProposed
from bench.records.predictions import Predictions
from bench.records.record import (
    SCHEMA_VERSION,
    Curve,
    Latency,
    PublishedAccuracy,
    ReferenceModel,
    RefitRecord,
    RunRecord,
    SearchOutcome,
    TrialRecord,
)
from bench.records.reproductions import Reproduction
from bench.records.space import Condition, Parameter
from bench.records.spec import Budget, ReferenceSpec, RunSpec, SearchSpec, TrialSpec
from bench.records.store import RunFolder, run_folder
from bench.report.build import build
from bench.report.ranking import leaderboard
from bench.seeds import derive_seed

NAMES = ("Circle", "Square", "Triangle", "Star|fish")  # one with a character that Markdown tables must escape
SUMMARY = """Model: "synthetic"
 Layer (type)      Output Shape     Param #
 flatten (Flatten) (None, 64)             0
 dense (Dense)     (None, 4)            260
 Total params: 260"""


def make_spec(**changes: Any) -> SearchSpec:
    """A search of the family `dense` on the dataset `synthetic`."""
    fields: dict[str, Any] = {
        "dataset": "synthetic",
        "family": "dense",
        "source": "0" * 12,
        "tuner": "random",
        "budget": Budget(trials=4, epochs=3),
        "seed": 1,
        "refit_seeds": 3,
        "precision": "float32",
    }
    return SearchSpec(**fields | changes)


def make_reference_spec(**changes: Any) -> ReferenceSpec:
    """The reference model `tutorial-linear` on the dataset `synthetic`."""
    fields: dict[str, Any] = {
        "dataset": "synthetic",
        "model": "tutorial-linear",
        "source": "0" * 12,
        "epochs": 3,
        "seed": 1,
        "refit_seeds": 3,
    }
    return ReferenceSpec(**fields | changes)


def make_trial_spec(**changes: Any) -> TrialSpec:
    """Three epochs of a candidate of `dense` on digits; its horizon is its last epoch."""
    fields: dict[str, Any] = {
        "dataset": "digits",
        "model": "dense",
        "values": {},
        "part": "train",
        "seed": 1,
        "initial_epoch": 0,
        "epochs": 3,
        "horizon": changes.get("epochs", 3),
        "precision": "float32",
        "keep_state": False,
    }
    return TrialSpec(**fields | changes)


def make_environment(**changes: Any) -> Environment:
    """A machine that does not exist."""
    fields: dict[str, Any] = {
        "python": "3.11.0",
        "tensorflow": "2.21.0",
        "keras": "3.15.1",
        "keras_tuner": "1.4.8",
        "numpy": "2.4.6",
        "scikit_learn": "1.9.1",
        "distributed": "2026.8.0",
        "platform": "Synthetic 1.0 (none)",
        "cpu": "Synthetic CPU A",
        "cores": 2,
        "instruction_sets": ("avx2",),
        "onednn": "default",
        "git_commit": "0123456789ab",
    }
    return Environment(**fields | changes)


def make_dataset(**changes: Any) -> DatasetFacts:
    """Four shapes, 8 x 8 pixels."""
    fields: dict[str, Any] = {
        "name": "synthetic",
        "title": "Synthetic test data (not a real dataset)",
        "checksum": "5" * 64,
        "image_shape": (8, 8, 1),
        "class_names": NAMES,
        "n_train": 500,
        "n_validation": 100,
        "n_test": 200,
    }
    return DatasetFacts(**fields | changes)


def make_curve(epochs: int, last: float, *, validation: bool = True) -> Curve:
    """Accuracy that rises in equal steps to `last`, in training one point better; loss that falls."""
    steps = [(epoch + 1) / epochs for epoch in range(epochs)]
    accuracy = tuple(round(last * (0.5 + step / 2), 4) for step in steps)
    loss = tuple(round(2 - step, 4) for step in steps)
    return Curve(
        training_loss=tuple(round(value - 0.1, 4) for value in loss),
        training_accuracy=tuple(min(1.0, round(value + 0.01, 4)) for value in accuracy),
        validation_loss=loss if validation else (),
        validation_accuracy=accuracy if validation else (),
    )


def make_trial(number: int, accuracy: float, *, epochs: int = 3, **changes: Any) -> TrialRecord:
    """A successful trial with validation accuracy `accuracy`."""
    fields: dict[str, Any] = {
        "number": number,
        "trial_id": f"{number:04d}",
        "values": {"layers": 1, "units_1": 32 + 32 * number, "rate": 0.001},
        "status": "ok",
        "error": None,
        "seed": derive_seed(1, "trial", number),
        "parent": None,
        "duplicate_of": None,
        "initial_epoch": 0,
        "epochs": epochs,
        "parameters": 2500 + number,
        "curve": make_curve(epochs, accuracy),
        "fit_seconds": 10.0 + number,
        "task_seconds": 12.0 + number,
        "ended_seconds": 12.0 * (number + 1),
    }
    return TrialRecord(**fields | changes)


def make_failed_trial(number: int, error: str) -> TrialRecord:
    """A trial that ended before its first epoch."""
    return make_trial(
        number, 0.0, epochs=0, status="failed", error=error, curve=Curve(), parameters=None, fit_seconds=0.0
    )


def make_refit(number: int, **changes: Any) -> RefitRecord:
    """A refit of the winner with one seed."""
    fields: dict[str, Any] = {
        "number": number,
        "seed": derive_seed(1, "refit", number),
        "epochs": 3,
        "curve": make_curve(3, 0.9, validation=False),
        "train_accuracy": 0.95,
        "parameters": 2501,
        "summary": SUMMARY,
        "weights_sha256": f"{number:064d}",
        "fit_seconds": 20.0 + number,
        "task_seconds": 22.0 + number,
    }
    return RefitRecord(**fields | changes)


def make_reproduction(**changes: Any) -> Reproduction:
    """A reproduction with the predictions of the published run."""
    fields: dict[str, Any] = {
        "time": "2026-02-01T00:00:00+00:00",
        "run_id": None,
        "environment": make_environment(),
        "search_precision": "float32",
        "conditions": {},
        "identical": True,
        "changed_predictions": 0,
        "test_accuracy": 0.9,
        "prediction_interval": (0.88, 0.92),
        "total_seconds": 100.0,
    }
    return Reproduction(**fields | changes)


def make_space() -> tuple[Parameter, ...]:
    """One or two layers; the width of the second layer is active only with two layers."""
    two_layers = (Condition(name="layers", values=(2,)),)
    return (
        Parameter(name="layers", kind="Int", values=(1, 2), finite=True, conditions=()),
        Parameter(name="units_1", kind="Int", values=(32, 64, 96, 128, 160), finite=True, conditions=()),
        Parameter(name="units_2", kind="Int", values=(32, 64), finite=True, conditions=two_layers),
        Parameter(name="rate", kind="Float", values=(0.0001, 0.01), finite=False, conditions=()),
    )


def make_predictions(
    wrong: Sequence[Sequence[int]] | None = None,
    *,
    dataset: DatasetFacts | None = None,
    seeds: int = 3,
    confidence: float = 0.7,
) -> Predictions:
    """Correct predictions, except for the images that `wrong` lists for each seed, where the next class is predicted.

    The label of image i is i modulo the number of classes. The predicted class has the probability `confidence`; the
    others share the rest.
    """
    dataset = dataset or make_dataset()
    classes, n = len(dataset.class_names), dataset.n_test
    wrong = wrong if wrong is not None else [range(10 + seed) for seed in range(seeds)]
    labels = np.arange(n) % classes
    predicted = np.tile(labels, (len(wrong), 1))
    for seed, images in enumerate(wrong):
        chosen = np.asarray(list(images), dtype=np.int64)
        predicted[seed, chosen] = (labels[chosen] + 1) % classes
    probability = np.full((*predicted.shape, classes), (1 - confidence) / (classes - 1))
    np.put_along_axis(probability, predicted[..., None], confidence, axis=-1)
    always_wrong = np.flatnonzero((predicted != labels).all(axis=0))[:6]
    height, width, channels = dataset.image_shape
    ramp = np.arange(height * width * channels, dtype=np.uint8).reshape(dataset.image_shape)
    return Predictions(
        log_probabilities=np.log(probability).astype(np.float16),
        labels=labels.astype(np.int64),
        seeds=np.array([derive_seed(1, "refit", number) for number in range(len(wrong))], dtype=np.int64),
        wrong_indices=always_wrong.astype(np.int64),
        wrong_images=np.stack([ramp + np.uint8(index) for index in always_wrong]).astype(np.uint8)
        if len(always_wrong)
        else np.zeros((0, height, width, channels), dtype=np.uint8),
    )


def make_search(**changes: Any) -> SearchOutcome:
    """Three trials, one of which failed; trial 0001 wins."""
    fields: dict[str, Any] = {
        "space": make_space(),
        "trials": (
            make_trial(0, 0.80),
            make_trial(1, 0.91),
            make_failed_trial(2, "Traceback ...\nValueError: loss is NaN in epoch 1"),
        ),
        "winner": "0001",
        "search_seconds": 120.0,
        "overruled_proposals": 0,
    }
    return SearchOutcome(**fields | changes)


def make_reference(**changes: Any) -> ReferenceModel:
    """A published tutorial."""
    fields: dict[str, Any] = {
        "group": "tutorial",
        "recipe": "as published",
        "deterministic": False,
        "published": PublishedAccuracy(text="90%", low=0.895, high=0.905),
    }
    return ReferenceModel(**fields | changes)


def make_run(predictions: Predictions, *, spec: RunSpec | None = None, **changes: Any) -> RunRecord:
    """A finished run with `predictions`."""
    spec = spec or make_spec()
    fields: dict[str, Any] = {
        "schema": SCHEMA_VERSION,
        "run_id": spec.name,
        "spec": spec,
        "dataset": make_dataset(name=spec.dataset),
        "environment": make_environment(),
        "origin": make_search() if isinstance(spec, SearchSpec) else make_reference(),
        "refits": tuple(make_refit(number) for number in range(spec.refit_seeds)),
        "predictions_sha256": predictions.digest(),
        "latency": Latency(microseconds_per_image=25.0, batch_size=256, images=200, repeats=5, threads=1),
        "precision_refit": "float32",
        "workers": 2,
        "started": "2026-01-01T00:00:00+00:00",
        "finished": "2026-01-01T00:05:00+00:00",
        "total_seconds": 300.0,
        "resumed": 0,
    }
    return RunRecord(**fields | changes)


def write_run(results: Path, record: RunRecord, predictions: Predictions) -> RunFolder:
    """Write a finished run, including its ledger."""
    folder = RunFolder(results / "records" / record.spec.dataset / record.run_id)
    write_unfinished_run(results, record.spec, record, folder=folder)
    folder.write_predictions(predictions)
    folder.write_record(record)
    return folder


def write_unfinished_run(
    results: Path, spec: RunSpec, record: RunRecord, *, refits: int | None = None, folder: RunFolder | None = None
) -> RunFolder:
    """Write an unfinished run with the trials and the first `refits` refits of `record`."""
    folder = folder or run_folder(results, spec)
    folder.path.mkdir(parents=True)
    folder.write_spec(spec)
    folder.append(SessionStarted(time=record.started, environment=record.environment, dataset=record.dataset))
    for trial in record.search.trials if record.search is not None else ():
        folder.append(
            TrialProposed(
                time=record.started,
                trial_id=trial.trial_id,
                values=trial.values,
                initial_epoch=trial.initial_epoch,
                epochs=trial.epochs,
                parent=trial.parent,
            )
        )
        folder.append(TrialEnded(time=record.started, trial=trial))
    for refit in record.refits[:refits]:
        folder.append(RefitEnded(time=record.finished, refit=refit))
    return folder


def add_run(
    results: Path,
    wrong: Sequence[Sequence[int]] | None = None,
    *,
    spec: Mapping[str, Any] | None = None,
    search: Mapping[str, Any] | None = None,
    repeat: int = 1,
    **changes: Any,
) -> RunRecord:
    """Write a finished search: `spec` are changes to `make_spec`, `search` to `make_search`, others to `make_run`."""
    return _add(
        results, wrong, make_spec(**dict(spec or {})), repeat, changes | {"origin": make_search(**search or {})}
    )


def add_reference(
    results: Path,
    wrong: Sequence[Sequence[int]] | None = None,
    *,
    spec: Mapping[str, Any] | None = None,
    reference: Mapping[str, Any] | None = None,
    repeat: int = 1,
    **changes: Any,
) -> RunRecord:
    """Write a finished reference model: `spec` changes `make_reference_spec`, `reference` changes `make_reference`."""
    asked = make_reference_spec(**dict(spec or {}))
    return _add(results, wrong, asked, repeat, changes | {"origin": make_reference(**reference or {})})


def _add(
    results: Path, wrong: Sequence[Sequence[int]] | None, spec: RunSpec, repeat: int, changes: dict[str, Any]
) -> RunRecord:
    dataset = changes.pop("dataset", make_dataset(name=spec.dataset))
    confidence = changes.pop("confidence", 0.7)
    predictions = make_predictions(wrong, dataset=dataset, seeds=spec.refit_seeds, confidence=confidence)
    run_id = run_folder(results, spec, repeat).path.name
    record = make_run(predictions, spec=spec, **{"run_id": run_id, "dataset": dataset} | changes)
    write_run(results, record, predictions)
    return record


def page(results: Path, name: str = "leaderboard.md") -> str:
    """The text of a generated page."""
    content = build(leaderboard(results))[name]
    assert isinstance(content, bytes)
    return content.decode()
