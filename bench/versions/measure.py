"""Measure versions: speed in all interpreters in rotation, then accuracy in each; every result is saved at once."""

import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np

from bench.errors import SearchError, SpecError
from bench.evaluation.speed import MIN_STARTS
from bench.machine import Environment, git_commit, variables
from bench.records.files import lock_folder
from bench.records.store import RunFolder, all_folders
from bench.versions.environments import Interpreter
from bench.versions.record import (
    MACHINE,
    SEEDS_PER_RUN,
    Measurement,
    ModelResults,
    ProcessStart,
    VersionRecord,
    pack,
    path_of,
    read,
    write,
)
from search_spaces import code_digest

PACKAGE = Path("bench") / "versions"
TIMED_CODE = (
    PACKAGE / "pieces.py",
    PACKAGE / "workloads.py",
    PACKAGE / "timing.py",
    PACKAGE / "child_process.py",
    Path("bench") / "baselines" / "tutorials.py",
)
MODELS = ("tutorial-dense-128", "tutorial-cnn")
DATASET = "fashion_mnist_12k"
TIMEOUT_SECONDS = 600  # for one process to time every piece
COMPARABLE = (*MACHINE, "tensorflow", "keras", "numpy")  # fields that must not change while a record is extended
SHOWN_LINES = 5  # of the output of a process that failed

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The measurements that the records should hold in the end."""

    checkout: Path  # of this project; its code runs with every version
    results: Path
    starts: int  # processes per version; 0 for accuracy only
    seeds: int  # per model and version, a multiple of SEEDS_PER_RUN; 0 for speed only
    again: bool = False  # replace existing starts
    pieces: tuple[str, ...] = ()  # names of the pieces to time; empty for all
    models: tuple[str, ...] = MODELS  # names of tutorials whose accuracy is measured
    dataset: str = DATASET

    def __post_init__(self) -> None:
        if missing := [str(file) for file in TIMED_CODE if not (self.checkout / file).exists()]:
            raise SpecError(f"no {', '.join(missing)} in {self.checkout}: run this in a checkout of the project")
        if self.starts != 0 and self.starts < MIN_STARTS:
            raise SpecError(f"--starts must be 0 or at least {MIN_STARTS} to estimate the noise, got {self.starts}")
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
    lock = lock_folder(plan.results / "versions")
    try:
        for interpreter in interpreters:
            _check_runs(interpreter, plan)
        records = {interpreter.name: _existing_or_new(interpreter, plan) for interpreter in interpreters}
        _measure_speed(interpreters, plan, records, report)
        _measure_accuracy(interpreters, plan, records, report)
    finally:
        lock.release()


def _measure_speed(
    interpreters: Sequence[Interpreter], plan: Plan, records: dict[str, VersionRecord], report: Report
) -> None:
    """Add the missing process starts, one version after the other in each round."""
    replacing = plan.again
    for number in range(1, plan.starts + 1):
        for interpreter in interpreters:
            record = records[interpreter.name]
            if len(record.starts) >= number:
                continue
            report(f"speed, start {number} of {plan.starts}: {interpreter.name}")
            records[interpreter.name] = _with_start(record, interpreter, plan)
            # Earlier starts are dropped only after a success, and for all versions at once, to keep the rotation.
            for name in records if replacing else (interpreter.name,):
                write(plan.results, records[name])
            if replacing:
                replacing = False
                report("earlier starts were dropped; to resume after an interruption, omit --again")


def _measure_accuracy(
    interpreters: Sequence[Interpreter], plan: Plan, records: dict[str, VersionRecord], report: Report
) -> None:
    """Train the missing seeds, one run of SEEDS_PER_RUN after the other."""
    for interpreter in interpreters:
        for number in range(plan.seeds // SEEDS_PER_RUN):
            record = records[interpreter.name]
            if _trained_seeds(record) >= (number + 1) * SEEDS_PER_RUN:
                continue
            first = number * SEEDS_PER_RUN + 1
            report(f"accuracy, seeds {first} to {first + SEEDS_PER_RUN - 1}: {interpreter.name}")
            _train(interpreter, plan, number)
            records[interpreter.name] = replace(record, trained=_model_results(record, interpreter, plan))
            write(plan.results, records[interpreter.name])


def _existing_or_new(interpreter: Interpreter, plan: Plan) -> VersionRecord:
    """The record of an earlier call, or an empty one."""
    path, code = path_of(plan.results, interpreter.name), timed_code_digest(plan.checkout)
    if not path.exists():
        return VersionRecord(name=interpreter.name, code=code, environment=interpreter.environment, configs={})
    record = read(path)
    if differing := _differing_fields(record.environment, interpreter.environment):
        raise SpecError(f"{path} was measured with {'; '.join(differing)}: move it away to start over")
    if plan.again or not record.starts:
        # Trained models are kept: they do not depend on the timed code.
        return replace(record, code=code, environment=interpreter.environment, starts=(), configs={})
    if plan.starts and record.code != code:
        raise SpecError(
            f"the speed in {path} was measured with other code (digest {record.code}, now {code}): "
            "use --again to measure it again; trained models are kept"
        )
    return record


def _check_runs(interpreter: Interpreter, plan: Plan) -> None:
    """Finished training runs are reused, so they must be from the same environment."""
    for folder in _finished_runs(plan, interpreter.name):
        if differing := _differing_fields(folder.read_record().environment, interpreter.environment):
            raise SpecError(
                f"{folder.path} was trained with {'; '.join(differing)}: "
                f"move {runs_folder(plan, interpreter.name)} away to start over"
            )


def timed_code_digest(checkout: Path) -> str:
    """Twelve hexadecimal digits that change with the code that is timed."""
    return code_digest(*(checkout / file for file in TIMED_CODE))


def _differing_fields(then: Environment, now: Environment) -> list[str]:
    """The fields that affect accuracy or speed and differ."""
    return [
        f"{name} {getattr(then, name)}, now {getattr(now, name)}"
        for name in COMPARABLE
        if getattr(then, name) != getattr(now, name)
    ]


def _with_start(record: VersionRecord, interpreter: Interpreter, plan: Plan) -> VersionRecord:
    """The record with the measurements of one more process."""
    started, commit = datetime.now(UTC).isoformat(timespec="seconds"), git_commit(plan.checkout / "bench")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "measurement.json"
        _run(interpreter, plan, "-m", "bench.versions.timing", file, *plan.pieces, timeout=TIMEOUT_SECONDS)
        measurement = msgspec.json.decode(file.read_bytes(), type=Measurement)
    start = ProcessStart(
        started=started,
        git_commit=commit,
        threads=measurement.threads,
        reference=measurement.reference,
        pieces=measurement.pieces,
        facts=measurement.facts,
    )
    return replace(record, configs=measurement.configs, starts=(*record.starts, start))


def _train(interpreter: Interpreter, plan: Plan, number: int) -> None:
    """Train the models with the seeds of one run, and evaluate them on the test set."""
    options = ["--seed", number, "--refit-seeds", SEEDS_PER_RUN, "--results", runs_folder(plan, interpreter.name)]
    _run(interpreter, plan, "-m", "bench", "reproduce", *plan.models, "--dataset", plan.dataset, *options)


def runs_folder(plan: Plan, name: str) -> Path:
    """The results folder of a version's training runs."""
    return plan.results / "versions" / "runs" / name


def _finished_runs(plan: Plan, name: str) -> list[RunFolder]:
    return [folder for folder in all_folders(runs_folder(plan, name)) if folder.finished]


def _model_results(record: VersionRecord, interpreter: Interpreter, plan: Plan) -> tuple[ModelResults, ...]:
    """The results of all finished runs of a version, merged with recorded ones whose runs no longer exist."""
    finished = [(folder, folder.read_record()) for folder in _finished_runs(plan, interpreter.name)]
    finished.sort(key=lambda pair: pair[1].spec.seed)
    merged = []
    for model in plan.models:
        runs = [run for _, run in finished if run.spec.model == model]
        if not runs:
            raise SearchError(
                f"{interpreter.name}: `bench reproduce` left no run of {model} in {runs_folder(plan, interpreter.name)}"
            )
        predictions = [folder.read_predictions(run) for folder, run in finished if run.spec.model == model]
        new = ModelResults(
            model=model,
            source=runs[0].spec.source,
            run_ids=tuple(run.run_id for run in runs),
            git_commits=tuple(dict.fromkeys(run.environment.git_commit for run in runs)),
            dataset=runs[0].dataset.name,
            checksum=runs[0].dataset.checksum,
            seeds=tuple(refit.seed for run in runs for refit in run.refits),
            n_test=runs[0].dataset.n_test,
            correct=pack(
                np.concatenate([each.log_probabilities.argmax(axis=-1) == each.labels for each in predictions])
            ),
        )
        merged.append(_merged(record.results_of(model), new))
    return tuple(merged)


def _merged(recorded: ModelResults | None, new: ModelResults) -> ModelResults:
    """`new`, preceded by the recorded seeds that it lacks: in a fresh clone their runs do not exist.

    Raises:
        SpecError: the two are not comparable.
    """
    if recorded is None:
        return new
    if recorded.conditions != new.conditions:
        raise SpecError(
            f"{recorded.model} was trained with other code or on other images ({recorded.conditions}, now "
            f"{new.conditions}): move the record away to start over"
        )
    only_recorded = [index for index, seed in enumerate(recorded.seeds) if seed not in new.seeds]
    return replace(
        new,
        run_ids=tuple(dict.fromkeys((*recorded.run_ids, *new.run_ids))),
        git_commits=tuple(dict.fromkeys((*recorded.git_commits, *new.git_commits))),
        seeds=(*(recorded.seeds[index] for index in only_recorded), *new.seeds),
        correct=pack(np.concatenate([recorded.bits[only_recorded], new.bits])),
    )


def _trained_seeds(record: VersionRecord) -> int:
    return min((len(results.seeds) for results in record.trained), default=0)


def _run(interpreter: Interpreter, plan: Plan, *arguments: object, timeout: float | None = None) -> None:
    """Run the interpreter of a version on the code of this checkout.

    Raises:
        SearchError: the process failed or timed out.
    """
    try:
        done = subprocess.run(
            [str(interpreter.python), *map(str, arguments)],
            cwd=plan.checkout,
            # Bytecode is cached, so that a version is not slower merely because it never ran before.
            env=variables(PYTHONPATH=str(plan.checkout), PYTHONDONTWRITEBYTECODE=""),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise SearchError(
            f"{interpreter.name} did not finish within {timeout:g} s: check whether it hangs, then repeat the command"
        ) from error
    if done.returncode != 0:
        output = "\n".join(done.stdout.strip().splitlines()[-SHOWN_LINES:])
        raise SearchError(f"{interpreter.name} failed with exit code {done.returncode}:\n{output}")
