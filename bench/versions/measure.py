"""Measure versions: speed in all interpreters in rotation, then accuracy in each; every result is saved at once."""

import dataclasses
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec.structs import replace

from bench.errors import SearchError, SpecError
from bench.evaluation.speed import MIN_STARTS
from bench.machine import Environment
from bench.records.files import lock_folder
from bench.records.record import RunRecord
from bench.records.spec import SearchSpec
from bench.records.store import RunFolder, all_folders
from bench.versions.environments import Interpreter, run_python
from bench.versions.record import (
    MACHINE,
    SEEDS_PER_RUN,
    Conditions,
    ModelResults,
    ProcessStart,
    VersionRecord,
    pack,
    path_of,
    read,
    write,
)
from bench.versions.subjects import ReferenceModels, Subject

STARTS_DROPPED = "earlier starts were dropped; to resume after an interruption, omit --again"
TIMEOUT_SECONDS = 3600  # for one process to time every operation, those of a large model take many minutes
COMPARABLE = (*MACHINE, "tensorflow", "keras", "numpy")  # fields that must not change while a record is extended

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The measurements that the records should hold in the end."""

    checkout: Path  # of this project; its code runs with every version
    results: Path
    starts: int  # processes per version; 0 for accuracy only
    seeds: int  # per model and version, a multiple of SEEDS_PER_RUN; 0 for speed only
    again: bool = False  # replace existing starts
    subject: Subject = ReferenceModels()  # noqa: RUF009 - immutable

    def __post_init__(self) -> None:
        if missing := [file for file in self.subject.timed_code if not (self.checkout / file).exists()]:
            raise SpecError(f"no {', '.join(missing)} in {self.checkout}: run this in a checkout of the project")
        if self.starts != 0 and self.starts < MIN_STARTS:
            raise SpecError(
                f"--starts must be 0 or at least {MIN_STARTS}, got {self.starts}: with fewer, no change is significant"
            )
        if self.seeds < 0 or self.seeds % SEEDS_PER_RUN:
            raise SpecError(f"--seeds must be a multiple of {SEEDS_PER_RUN}, got {self.seeds}")
        if not self.starts and not self.seeds:
            raise SpecError("--starts and --seeds are both 0, which leaves nothing to measure")
        if self.again and not self.starts:
            raise SpecError("--again measures speed again, but --starts 0 skips speed: remove one of them")


def measure(interpreters: Sequence[Interpreter], plan: Plan, report: Report) -> None:
    """Measure what the records of `plan.results` lack, announcing each step to `report`.

    Raises:
        SpecError: a record was made on another machine or with other versions or code.
        RecordError: a record cannot be read.
        SearchError: a process failed.
        StoreError: another process is measuring.
    """
    plan = dataclasses.replace(plan, results=plan.subject.root(plan.results))
    with lock_folder(plan.results / "versions"):
        for interpreter in interpreters:
            # Finished training runs are reused, so they must be from the same environment.
            for folder, run in _finished_runs(plan, interpreter):
                runs = _runs_folder(plan, interpreter)
                _require_same_environment(f"{folder.path} was trained", run.environment, interpreter, runs)
        records = {interpreter.name: _existing_or_new(interpreter, plan) for interpreter in interpreters}
        _measure_speed(interpreters, plan, records, report)
        _measure_accuracy(interpreters, plan, records, report)


def _measure_speed(
    interpreters: Sequence[Interpreter], plan: Plan, records: dict[str, VersionRecord], report: Report
) -> None:
    """Add the missing process starts, one version after the other in each round."""
    counts = {name: len(record.starts) for name, record in records.items()}
    behind = [name for name, count in counts.items() if count < min(plan.starts, max(counts.values()) - 1)]
    if behind:
        report(
            f"new starts of {', '.join(behind)} are not compared with earlier ones of other versions, since these "
            "were not measured in rotation: to compare them, use --again"
        )
    replacing = plan.again
    for number in range(1, plan.starts + 1):
        for interpreter in interpreters:
            record = records[interpreter.name]
            if len(record.starts) >= number:
                continue
            report(f"speed, start {number} of {plan.starts}: {interpreter.name}")
            records[interpreter.name] = _with_start(record, interpreter, plan)
            if not replacing:
                write(plan.results, records[interpreter.name])
        if replacing:
            # Earlier starts are dropped only after a success of every version: a new one may fail.
            for record in records.values():
                write(plan.results, record)
            replacing = False
            report(STARTS_DROPPED)


def _measure_accuracy(
    interpreters: Sequence[Interpreter], plan: Plan, records: dict[str, VersionRecord], report: Report
) -> None:
    """Train the missing seeds, one run of SEEDS_PER_RUN after the other."""
    for interpreter in interpreters:
        for number in range(plan.seeds // SEEDS_PER_RUN):
            record = records[interpreter.name]
            trained_seeds = min((len(results.seeds) for results in record.trained), default=0)
            if trained_seeds >= (number + 1) * SEEDS_PER_RUN:
                continue
            first = number * SEEDS_PER_RUN + 1
            report(f"accuracy, seeds {first} to {first + SEEDS_PER_RUN - 1}: {interpreter.name}")
            # Trains nothing if this run is complete, but not yet recorded.
            train = plan.subject.train(number, _runs_folder(plan, interpreter))
            run_python(interpreter.python, plan.checkout, *train)
            results = _results_of_run(interpreter, plan, number)
            trained = tuple(_merged(record.results_of(new.model), new) for new in results)
            records[interpreter.name] = replace(record, trained=trained)
            write(plan.results, records[interpreter.name])


def _existing_or_new(interpreter: Interpreter, plan: Plan) -> VersionRecord:
    """The record of an earlier call, or an empty one."""
    path, code = path_of(plan.results, interpreter.name), plan.subject.code(plan.checkout)
    if not path.exists():
        return VersionRecord(name=interpreter.name, code=code, environment=interpreter.environment, configs={})
    record = read(path)
    _require_same_environment(f"{path} was measured", record.environment, interpreter, "it")
    for results in record.trained:
        if results.own != plan.subject.conditions:
            raise _other_conditions(f"{path}: {results.model}", _fields(results.own), _fields(plan.subject.conditions))
    if plan.again or not record.starts:
        # Trained models are kept: they do not depend on the code that times them.
        return replace(record, code=code, environment=interpreter.environment, starts=(), configs={})
    # A page must not show the speed of one version of a family, and the accuracy of another.
    if record.code != code and (plan.starts or plan.subject.conditions is not None):
        raise SpecError(
            f"the speed in {path} was measured with other code (digest {record.code}, now {code}): "
            "use --again to measure it again; trained models are kept"
        )
    return record


def _require_same_environment(what: str, then: Environment, interpreter: Interpreter, to_move: object) -> None:
    differing = [
        f"{name} {before}, now {now}"
        for name in COMPARABLE
        if (before := getattr(then, name)) != (now := getattr(interpreter.environment, name))
    ]
    if differing:
        raise SpecError(f"{what} with {'; '.join(differing)}: move {to_move} away to start over")


def _other_conditions(what: str, before: dict[str, object], now: dict[str, object]) -> SpecError:
    differing = "; ".join(
        f"{name} {before.get(name)}, now {now.get(name)}" for name in before | now if before.get(name) != now.get(name)
    )
    return SpecError(
        f"{what} was trained with other code or on other images ({differing}): move the record away to start over"
    )


def _with_start(record: VersionRecord, interpreter: Interpreter, plan: Plan) -> VersionRecord:
    """The record with the measurements of one more process."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "start.json"
        run_python(interpreter.python, plan.checkout, *plan.subject.time(file), timeout=TIMEOUT_SECONDS)
        start, configs = msgspec.json.decode(file.read_bytes(), type=tuple[ProcessStart, dict[str, Any]])
    return replace(record, configs=configs, starts=(*record.starts, start))


def _runs_folder(plan: Plan, interpreter: Interpreter) -> Path:
    """The results folder of a version's training runs."""
    return plan.results / "versions" / "runs" / interpreter.name


def _finished_runs(plan: Plan, interpreter: Interpreter) -> list[tuple[RunFolder, RunRecord]]:
    """The finished training runs of a version under the conditions of the plan, oldest first."""
    folders = all_folders(_runs_folder(plan, interpreter))
    finished = [(folder, folder.read_record()) for folder in folders if folder.finished]
    matching = [pair for pair in finished if _conditions(pair[1]) == plan.subject.conditions]
    return sorted(matching, key=lambda pair: pair[1].finished)


def _fields(conditions: Conditions | None) -> dict[str, object]:
    return {} if conditions is None else msgspec.structs.asdict(conditions)


def _conditions(run: RunRecord) -> Conditions | None:
    """The conditions of a run of a family; None for a reference model."""
    spec = run.spec
    if not isinstance(spec, SearchSpec):
        return None
    return Conditions(
        source=spec.source,
        dataset=spec.dataset,
        data=spec.data,
        epochs=spec.budget.epochs,
        pixel_range=spec.pixel_range,
    )


def _results_of_run(interpreter: Interpreter, plan: Plan, number: int) -> list[ModelResults]:
    """The results of every model in one training run."""
    runs = {
        run.spec.model: (folder, run) for folder, run in _finished_runs(plan, interpreter) if run.spec.seed == number
    }
    if missing := [model for model in plan.subject.models if model not in runs]:
        raise SearchError(
            f"{interpreter.name}: training left no run of {', '.join(missing)} with seed {number} in "
            f"{_runs_folder(plan, interpreter)}"
        )
    results = []
    for folder, run in map(runs.__getitem__, plan.subject.models):
        predictions = folder.read_predictions(run)
        results.append(
            ModelResults(
                model=run.spec.model,
                source=run.spec.source,
                run_ids=(run.run_id,),
                git_commits=(run.environment.git_commit,),
                dataset=run.dataset.name,
                checksum=run.dataset.checksum,
                seeds=tuple(refit.seed for refit in run.refits),
                n_test=run.dataset.n_test,
                correct=pack(predictions.log_probabilities.argmax(axis=-1) == predictions.labels),
                own=_conditions(run),
            )
        )
    return results


def _merged(recorded: ModelResults | None, new: ModelResults) -> ModelResults:
    """The recorded results, followed by the seeds that they lack.

    Raises:
        SpecError: the two are not comparable.
    """
    if recorded is None:
        return new
    if recorded.conditions != new.conditions:
        before, now = ({**_fields(each.own), "images": each.checksum, "code": each.source} for each in (recorded, new))
        raise _other_conditions(recorded.model, before, now)
    added = [index for index, seed in enumerate(new.seeds) if seed not in recorded.seeds]
    return replace(
        recorded,
        run_ids=tuple(dict.fromkeys(recorded.run_ids + new.run_ids)),
        git_commits=tuple(dict.fromkeys(recorded.git_commits + new.git_commits)),
        seeds=(*recorded.seeds, *(new.seeds[index] for index in added)),
        correct=pack(np.concatenate([recorded.bits, new.bits[added]])),
    )
