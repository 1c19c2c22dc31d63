"""The finished runs of a results folder that become rows, with their scores."""

import difflib
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError, RecordError, SpecError
from bench.evaluation.comparison import Correctness, Interval, interval
from bench.evaluation.metrics import Scores, score
from bench.records.record import RunRecord
from bench.records.spec import RunSpec
from bench.records.store import RunFolder, all_folders

SHORT_DIGEST = 6

_Item = TypeVar("_Item")
_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A finished run that is a row: its record, and what its predictions are worth."""

    label: str  # unique within the dataset; also the stem of its pictures' names
    record: RunRecord
    scores: Scores
    interval: Interval | None  # of the test accuracy; None for a single seed
    test_labels: str  # digest of the true classes, equal where two runs were judged on the same images
    labels: NDArray[np.int64]  # true classes of the test images, (n_test,)
    wrong_images: NDArray[np.uint8]  # (m, height, width, channels), in the order of scores.misclassifications

    @property
    def answers(self) -> Correctness:
        """Which test images its refits classify correctly."""
        return _answers(self.record, self.scores)


def _answers(record: RunRecord, scores: Scores) -> Correctness:
    deterministic = record.reference is not None and record.reference.deterministic
    return Correctness(correct=scores.correct, deterministic=deterministic)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What a results folder holds."""

    runs: tuple[Run, ...]
    problems: tuple[str, ...]  # one for each run that could not be read: file, and what is wrong


def load(results: Path) -> Loaded:
    """Every finished run that can be read; of a run that was repeated, the newest only."""
    problems: list[str] = []
    folders = [folder for folder in all_folders(results) if folder.finished]
    records = _read_each(folders, lambda folder: (folder, read_record(folder)), problems)
    runs = _read_each(_newest_repeats(records), lambda pair: _read_run(*pair), problems)
    labels = row_labels([run.record.spec for run in runs])
    # Paths as seen from the results folder, so that a page never names the machine that it was made on.
    return Loaded(
        runs=tuple(replace(run, label=labels[run.record.spec]) for run in runs),
        problems=tuple(seen_from(results, problem) for problem in problems),
    )


def find_run(loaded: Loaded, name: str) -> Run:
    """The run that is called `name`, in the leaderboard or by its folder.

    Raises:
        SpecError: there is none, or there are several.
    """
    found = [run for run in loaded.runs if name in (run.label, run.record.run_id)]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(f"{run.record.run_id} on {run.record.dataset.name}" for run in found)
        raise SpecError(f"several runs are called {name!r}: name one by its folder: {names}")
    labels = [run.label for run in loaded.runs]
    nearest = difflib.get_close_matches(name, labels, n=1, cutoff=0.5)
    hint = f". Did you mean {nearest[0]}?" if nearest else ""
    unread = "".join(f"\nCould not be read: {problem}" for problem in loaded.problems)
    raise SpecError(f"no finished run {name!r}; rows: {', '.join(labels) or 'none'}{hint}{unread}")


def seen_from(results: Path, problem: object) -> str:
    """`problem` with paths as they are called inside the results folder."""
    return str(problem).replace(f"{results}/", "")


def _read_each(items: Iterable[_Item], read: Callable[[_Item], _Found], problems: list[str]) -> list[_Found]:
    """What `read` makes of each item; what is wrong with the others goes to `problems`."""
    found = []
    for item in items:
        try:
            found.append(read(item))
        except BenchError as error:
            problems.append(str(error))
    return found


def read_record(folder: RunFolder) -> RunRecord:
    """The record of a finished run.

    Raises:
        RecordError: it is missing, damaged, of an unknown schema, or belongs to another folder.
    """
    record = folder.read_record()
    if (record.spec.dataset, record.run_id) != (folder.path.parent.name, folder.path.name):
        raise RecordError(
            f"{folder.record_file}: is the record of {record.spec.dataset}/{record.run_id}: move it to that folder"
        )
    return record


def _newest_repeats(records: Iterable[tuple[RunFolder, RunRecord]]) -> list[tuple[RunFolder, RunRecord]]:
    newest: dict[tuple[str, str], tuple[RunFolder, RunRecord]] = {}
    for folder, record in sorted(records, key=lambda pair: (pair[1].finished, pair[1].run_id)):
        newest[record.spec.dataset, re.sub(r"-repeat\d+$", "", record.run_id)] = (folder, record)
    return sorted(newest.values(), key=lambda pair: str(pair[0].path))


def _read_run(folder: RunFolder, record: RunRecord) -> Run:
    predictions = folder.read_predictions(record)
    expected = (record.spec.refit_seeds, record.dataset.n_test, len(record.dataset.class_names))
    if predictions.log_probabilities.shape != expected:
        raise RecordError(
            f"{folder.predictions_file}: log-probabilities of shape {predictions.log_probabilities.shape}, "
            f"the record expects {expected}: restore both from one run"
        )
    if len(predictions.labels) < 2:
        raise RecordError(f"{folder.predictions_file}: one test image only, and chance is not known of less than two")
    scores = score(predictions, record.dataset.class_names)
    return Run(
        label=record.spec.family,
        record=record,
        scores=scores,
        interval=interval(_answers(record, scores)),
        test_labels=hashlib.sha256(predictions.labels.tobytes()).hexdigest()[:12],
        labels=predictions.labels,
        wrong_images=predictions.wrong_images,
    )


def row_labels(specs: Iterable[RunSpec]) -> dict[RunSpec, str]:
    """A name for each run, unique within its dataset: the family, with what tells it apart only where that is needed.

    That is the search seed where nothing else differs, else the tuner, else a short digest of the spec.
    """
    specs = list(specs)
    families = Counter((spec.dataset, spec.family) for spec in specs)
    tuners = Counter((spec.dataset, spec.family, spec.tuner) for spec in specs)
    kinds: dict[tuple[str, str], set[RunSpec]] = {}
    for spec in specs:
        kinds.setdefault((spec.dataset, spec.family), set()).add(replace(spec, seed=0))

    def label(spec: RunSpec) -> str:
        if families[spec.dataset, spec.family] == 1:
            return spec.family
        if len(kinds[spec.dataset, spec.family]) == 1:
            return f"{spec.family}-seed{spec.seed}"
        if tuners[spec.dataset, spec.family, spec.tuner] == 1:
            return f"{spec.family}-{spec.tuner}"
        return f"{spec.family}-{spec.tuner}-{spec.digest[:SHORT_DIGEST]}"

    return {spec: label(spec) for spec in specs}
