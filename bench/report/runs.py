"""The finished runs of a results folder that become rows, with their scores."""

import difflib
import hashlib
import re
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError, ExtensionError, RecordError, SpecError
from bench.evaluation.arrays import IntArray
from bench.evaluation.comparison import Interval, interval
from bench.evaluation.metric import TRAIN_TEST_GAP, Evaluated, Metric, metrics
from bench.evaluation.scores import Scores, probabilities, score
from bench.evaluation.variance import Correctness
from bench.records.plain import PlainKeras
from bench.records.record import RunRecord
from bench.records.reproductions import Reproduction
from bench.records.store import RunFolder, all_folders
from bench.records.upgrades import upgrade_run_id
from bench.report.row_labels import SHORT_DIGEST, row_labels, seed_suffix

_Item = TypeVar("_Item")
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """A finished run that becomes a row: its record and what is computed from its predictions."""

    label: str  # model name, unique within the dataset
    folder: RunFolder
    record: RunRecord
    scores: Scores
    metrics: Mapping[Metric, float]
    correctness: Correctness
    interval: Interval | None  # of the test accuracy; None for a single seed
    test_labels: str  # digest of the true classes, equal for runs evaluated on the same test set
    labels: IntArray  # true classes of the test images, (n_test,)
    wrong_images: NDArray[np.uint8]  # (m, height, width, channels), in the order of scores.misclassifications
    reproductions: tuple[Reproduction, ...]  # of this published run, oldest first
    plain: PlainKeras | None = None  # the model as code
    reproduces: "Run | None" = field(default=None, repr=False)  # the published run; None for any other run

    @property
    def stem(self) -> str:
        """The label as the beginning of a file name."""
        return re.sub(r"[ ()]+", "-", self.label).strip("-")

    @property
    def training_seconds(self) -> float:
        """Median wall clock of training one refit."""
        return statistics.median(refit.fit_seconds for refit in self.record.refits)

    @property
    def core_seconds(self) -> float:
        """Seconds of all trials and refits; each occupies one core."""
        record = self.record
        return sum(trial.task_seconds for trial in record.trials) + sum(refit.task_seconds for refit in record.refits)

    def value(self, metric: Metric) -> float | None:
        """The value of a metric; None for the train/test gap of a model trained elsewhere, on unknown images."""
        return None if metric == TRAIN_TEST_GAP and self.record.trained_elsewhere else self.metrics[metric]

    @property
    def summary(self) -> str:
        """Keras' summary of the model; some records count the variables of the optimizer, which are left out."""
        refit = self.record.refits[0]
        lines = refit.summary.rstrip().splitlines()
        if any(line.startswith(" Optimizer params") for line in lines):
            lines = [line for line in lines if not line.startswith(" Optimizer params")]
            total = next(place for place, line in enumerate(lines) if line.startswith(" Total params"))
            lines[total] = f" Total params: {refit.parameters:,}"
        return "\n".join(lines)

    @property
    def costs(self) -> Mapping[str, float]:
        """Core-seconds of the run, weights of the model, seconds to train a refit, microseconds to predict an image.

        The cost of training a model elsewhere is unknown and left out.
        """
        costs = {
            "core-seconds": self.core_seconds,
            "parameters": self.record.refits[0].parameters,
            "training time per refit": self.training_seconds,
            "prediction time": self.record.latency.microseconds_per_image,
        }
        unknown = ("core-seconds", "training time per refit") if self.record.trained_elsewhere else ()
        return {name: cost for name, cost in costs.items() if name not in unknown}


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The runs of a results folder."""

    runs: tuple[Run, ...]
    reproductions: tuple[Run, ...]  # runs whose predictions differ from those of the published run they reproduce
    problems: tuple[str, ...]  # one for each run that could not be read: file and reason

    @property
    def all_runs(self) -> tuple[Run, ...]:
        """Runs, then reproductions."""
        return self.runs + self.reproductions


def load(results: Path) -> Loaded:
    """Every finished run that can be read; of repeated runs the newest only.

    Raises:
        ExtensionError: a metric of an installed package fails or is not valid.
    """
    problems: list[str] = []
    declared = metrics()
    finished = [folder for folder in all_folders(results) if folder.finished]
    records = dict(_read_each(finished, lambda folder: (folder, read_record(folder)), problems))

    def read(folders: Iterable[RunFolder]) -> list[Run]:
        return _read_each(folders, lambda folder: _read_run(folder, records[folder], declared), problems)

    published = {record.run_id for record in records.values() if record.reproduces is None}
    # A reproduction without its published run is an ordinary run.
    reproducing = [folder for folder, record in records.items() if _reproduced(record) in published]
    by_time = sorted(records.items(), key=lambda item: (item[1].finished, item[1].run_id))
    # By spec, not by folder: a migrated record keeps the folder name of its original digest.
    newest = {record.spec: folder for folder, record in by_time if _reproduced(record) not in published}
    runs = read(sorted(newest.values(), key=lambda folder: str(folder.path)))
    labels = row_labels([run.record.spec for run in runs])
    rows = {run.record.spec: replace(run, label=labels[run.record.spec]) for run in runs}
    originals = {run.record.run_id: run for run in rows.values()}
    reproductions = _label_reproductions(read(reproducing), originals)
    # Paths relative to the results folder, so that a page never names the machine it was made on.
    return Loaded(
        runs=tuple(rows.values()),
        reproductions=tuple(reproductions),
        problems=tuple(relative_to(results, problem) for problem in problems),
    )


def find_run(loaded: Loaded, name: str) -> Run:
    """The run with the model name or the run id `name`; the first search if `name` lacks the seed.

    Raises:
        SpecError: there is none, or there are several.
        RecordError: it cannot be read.
    """
    every = loaded.all_runs
    matches = _named(every, name) or _first_searches(every, name)
    if len(matches) == 1:
        return matches[0]
    if matches:
        names = ", ".join(f"{run.record.run_id} on {run.record.dataset.name}" for run in matches)
        raise SpecError(f"several runs are called {name!r}: use a run id: {names}")
    if versions := _versions(every, name):
        raise SpecError(f"several versions of {name}: {', '.join(versions)}: use one of these names")
    damaged = [problem for problem in loaded.problems if _concerns(problem, name)]
    if damaged:
        raise RecordError("\n".join(damaged))
    labels = [run.label for run in every]
    nearest = difflib.get_close_matches(name, labels, n=1, cutoff=0.5)
    hint = f". Did you mean {nearest[0]}?" if nearest else ""
    unread = "".join(f"\nCould not be read: {problem}" for problem in loaded.problems)
    raise SpecError(f"no finished run {name!r}; model names: {', '.join(labels) or 'none'}{hint}{unread}")


def find_all_runs(loaded: Loaded, name: str) -> list[Run]:
    """All runs that `name` can mean, on any dataset."""
    return [*_named(loaded.all_runs, name), *_first_searches(loaded.all_runs, name)]


def _named(runs: Sequence[Run], name: str) -> list[Run]:
    return [run for run in runs if name in (run.label, run.stem, run.record.run_id)]


def _first_searches(runs: Sequence[Run], name: str) -> list[Run]:
    """The first of several searches of the family `name`, for each dataset."""
    first: dict[str, Run] = {}
    for run in sorted(runs, key=lambda run: run.record.spec.seed):
        if run.label == f"{name}{seed_suffix(run.record.spec)}":
            first.setdefault(run.record.dataset.name, run)
    return list(first.values())


def _versions(runs: Sequence[Run], name: str) -> list[str]:
    """The model names of runs called `name` except for a digest, as their code or budgets differ; newest first."""
    names = (name, *(f"{name}{seed_suffix(run.record.spec)}" for run in runs))
    found = [run for run in runs if run.label.removesuffix(f"-{run.record.spec.digest[:SHORT_DIGEST]}") in names]
    labels = [run.label for run in sorted(found, key=lambda run: run.record.finished, reverse=True)]
    return [f"{labels[0]} (newest)", *labels[1:]] if labels else []


def _concerns(problem: str, name: str) -> bool:
    """Whether a problem, which starts with the path of a file, is one of the run or the model `name`."""
    run_id = Path(problem.partition(":")[0]).parent.name
    return run_id == name or run_id.startswith(f"{name}-")


def relative_to(results: Path, problem: object) -> str:
    """`problem` with its paths relative to the results folder."""
    return str(problem).replace(f"{results}/", "")


def _read_each(items: Iterable[_Item], read: Callable[[_Item], _Value], problems: list[str]) -> list[_Value]:
    """What `read` returns for each item; errors go to `problems`."""
    values = []
    for item in items:
        try:
            values.append(read(item))
        except ExtensionError:  # not a fault of the record
            raise
        except BenchError as error:
            problems.append(str(error))
    return values


def read_record(folder: RunFolder) -> RunRecord:
    """The record of a finished run.

    Raises:
        RecordError: it is missing, damaged, of an unknown schema, or belongs in another folder.
    """
    record = folder.read_record()
    here = (folder.dataset, upgrade_run_id(folder.run_id))
    if (record.spec.dataset, record.run_id) != here:
        raise RecordError(
            f"{folder.record_file}: is the record of {record.spec.dataset}/{record.run_id}: move it to that folder"
        )
    return record


def _reproduced(record: RunRecord) -> str | None:
    """Run id of the published run."""
    return None if record.reproduces is None else upgrade_run_id(record.reproduces)


def _read_run(folder: RunFolder, record: RunRecord, declared: Sequence[Metric]) -> Run:
    predictions = folder.read_predictions(record)
    expected = (record.spec.refit_seeds, record.dataset.n_test, len(record.dataset.class_names))
    if predictions.log_probabilities.shape != expected:
        raise RecordError(
            f"{folder.predictions_file}: log-probabilities of shape {predictions.log_probabilities.shape}, "
            f"the record expects {expected}: restore both from one run"
        )
    if len(predictions.labels) < 2:
        raise RecordError(f"{folder.predictions_file}: one test image, at least two are needed to estimate a variance")
    probability = probabilities(predictions.log_probabilities)
    scores = score(predictions, probability, record.dataset.class_names)
    evaluated = Evaluated(
        probabilities=probability,
        labels=predictions.labels,
        class_names=record.dataset.class_names,
        train_accuracy=statistics.fmean(refit.train_accuracy for refit in record.refits),
        scores=scores,
    )
    # The interval of a single model trained elsewhere accounts for the test images only.
    single = record.trained_elsewhere and len(record.refits) == 1
    correctness = Correctness(correct=scores.correct, deterministic=record.deterministic or single)
    return Run(
        label=record.spec.model,
        folder=folder,
        record=record,
        scores=scores,
        metrics={metric: metric.value(evaluated) for metric in declared},
        correctness=correctness,
        interval=interval(correctness),
        test_labels=hashlib.sha256(predictions.labels.tobytes()).hexdigest()[:12],
        labels=predictions.labels,
        wrong_images=predictions.wrong_images,
        reproductions=folder.reproductions(),
        plain=folder.read_plain(),
    )


def _label_reproductions(reproductions: Iterable[Run], originals: Mapping[str, Run]) -> Iterable[Run]:
    """Reproductions, oldest first, each with a label derived from that of the published row."""
    counts = Counter[str]()
    for run in sorted(reproductions, key=lambda run: (run.record.finished, run.record.run_id)):
        original = originals.get(_reproduced(run.record) or "")
        if original is None:  # it cannot be read, which is among the problems, or a newer repeat has replaced it
            continue
        counts[original.label] += 1
        number = counts[original.label]
        suffix = "reproduction" if number == 1 else f"reproduction {number}"
        yield replace(run, label=f"{original.label} ({suffix})", reproduces=original)
