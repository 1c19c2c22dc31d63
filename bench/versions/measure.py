"""Measure versions: every interpreter in rotation for speed, each by itself for accuracy. What is done is kept."""

import subprocess
import tempfile
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bench.errors import SearchError, SpecError
from bench.evaluation.speed import MIN_STARTS
from bench.machine import Environment, git_commit, variables
from bench.records.files import lock_folder
from bench.records.store import RunFolder, all_folders, run_folder
from bench.versions.interpreters import Interpreter
from bench.versions.record import (
    MACHINE,
    SEEDS_A_RUN,
    Piece,
    Start,
    Trained,
    VersionRecord,
    pack,
    path_of,
    read,
    write,
)
from search_spaces import code_digest

PIECES = Path("tests") / "benchmarks" / "test_pieces.py"
CODE = ("search_spaces", str(PIECES.parent))
WORKLOADS = PIECES.with_name("workloads.py")
MODEL_CODE = Path("search_spaces") / "_references.py"
MODELS = ("tutorial-dense-128", "tutorial-cnn")
DATASET = "fashion_mnist_12k"
START_SECONDS = 600  # that one process may take to measure every piece
COMPARABLE = (*MACHINE, "tensorflow", "keras", "numpy")  # what of an environment must not change between two calls
LAST_LINES = 5  # of what a process said that failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be there in the end."""

    checkout: Path  # of this project, whose code is measured with every version
    results: Path
    starts: int  # processes of each version; 0: accuracy only
    seeds: int  # of each model and version, a multiple of SEEDS_A_RUN; 0: speed only
    again: bool = False  # drop the starts that are there first
    models: tuple[str, ...] = MODELS  # whose accuracy is measured; names of tutorials
    dataset: str = DATASET

    def __post_init__(self) -> None:
        if not (self.checkout / PIECES).exists():
            raise SpecError(f"what is measured is {PIECES}, which is not in {self.checkout}: call this in a checkout")
        if self.starts != 0 and self.starts < MIN_STARTS:
            raise SpecError(
                f"--starts must be at least {MIN_STARTS}, to know the noise of a version, or 0, got {self.starts}"
            )
        if self.seeds < 0 or self.seeds % SEEDS_A_RUN:
            raise SpecError(f"--seeds must be a multiple of {SEEDS_A_RUN}, got {self.seeds}")
        if not self.starts and not self.seeds:
            raise SpecError("--starts and --seeds are both 0, so that nothing is to be measured: leave one out")
        if self.again and not self.starts:
            raise SpecError("--again measures speed anew, and --starts 0 leaves it out: choose one")


def measure(interpreters: Sequence[Interpreter], plan: Plan) -> Generator[str]:
    """Measure what is missing in the records of `plan.results`, saying what is done.

    Raises:
        SpecError: a record is of another machine, version or code.
        RecordError: one cannot be read.
        SearchError: a process failed.
        StoreError: another process measures, too.
    """
    lock = lock_folder(plan.results / "versions")
    try:
        yield from _measure(interpreters, plan)
    finally:
        lock.release()


def _measure(interpreters: Sequence[Interpreter], plan: Plan) -> Generator[str]:
    for one in interpreters:
        _check_runs(one, plan)
    records = {one.name: _begin(one, plan) for one in interpreters}
    begin_anew = plan.again
    for turn in range(1, plan.starts + 1):
        for one in interpreters:
            if len(records[one.name].starts) < turn:
                yield f"speed, start {turn} of {plan.starts}: {one.name}"
                records[one.name] = _with_start(records[one.name], one, plan)
                # Earlier starts go once one has succeeded, and those of all at once, so that they go on in turn.
                for name in records if begin_anew else (one.name,):
                    write(plan.results, records[name])
                if begin_anew:
                    begin_anew = False
                    yield "earlier starts are dropped; if this is stopped, the same command without --again goes on"
    for one in interpreters:
        for number in range(plan.seeds // SEEDS_A_RUN):
            if _seeds(records[one.name]) < (number + 1) * SEEDS_A_RUN:
                yield f"accuracy, seeds {number * SEEDS_A_RUN + 1} and on: {one.name}"
                _train(one, plan, number)
                records[one.name] = replace(records[one.name], trained=_trained(records[one.name], one, plan))
                write(plan.results, records[one.name])


def _begin(one: Interpreter, plan: Plan) -> VersionRecord:
    """The record of an earlier call, or a new one."""
    path, code = path_of(plan.results, one.name), digest(plan.checkout)
    if not path.exists():
        return VersionRecord(name=one.name, code=code, environment=one.environment, configs={})
    record = read(path)
    if others := _others(record.environment, one.environment):
        raise SpecError(f"{path} was measured with {'; '.join(others)}: move it away to begin anew")
    if plan.again or not record.starts:
        # Trainings do not depend on what is timed.
        return replace(record, code=code, environment=one.environment, starts=(), configs={})
    if plan.starts and record.code != code:
        raise SpecError(
            f"the speed in {path} was measured by other code, {record.code}, now {code}: "
            "--again measures it anew and keeps the trainings"
        )
    return record


def _check_runs(one: Interpreter, plan: Plan) -> None:
    """Finished trainings are not repeated, so they must be of this very environment."""
    for folder in _finished(plan, one.name):
        if others := _others(folder.read_record().environment, one.environment):
            raise SpecError(
                f"{folder.path} was trained with {'; '.join(others)}: "
                f"move {runs_folder(plan, one.name)} away to begin anew"
            )


def digest(checkout: Path) -> str:
    """Changes with the code of what is timed."""
    return code_digest(checkout / PIECES, checkout / WORKLOADS, checkout / MODEL_CODE)


def _others(then: Environment, now: Environment) -> list[str]:
    """What decides about accuracy or speed, and differs."""
    return [
        f"{name} {getattr(then, name)}, now {getattr(now, name)}"
        for name in COMPARABLE
        if getattr(then, name) != getattr(now, name)
    ]


def _with_start(record: VersionRecord, one: Interpreter, plan: Plan) -> VersionRecord:
    """The record with the pieces of one process more."""
    began, commit = datetime.now(UTC).isoformat(timespec="seconds"), git_commit(plan.checkout / "bench", CODE)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pieces.json"
        options = ["-m", "slow", "-q", "-p", "no:cacheprovider", "--benchmark-only", f"--benchmark-json={file}"]
        _run(one, plan, "-m", "pytest", PIECES, *options, seconds=START_SECONDS)
        measured = msgspec.json.decode(file.read_bytes())
    start, configs = _read_start(measured, began, commit)
    return replace(record, configs=configs, starts=(*record.starts, start))


def _read_start(measured: Mapping[str, Any], began: str, commit: str | None) -> tuple[Start, dict[str, Any]]:
    """What a file of pytest-benchmark holds, and the configurations of the models."""
    pieces, facts, configs = dict[str, Piece](), dict[str, float](), dict[str, Any]()
    for one in measured["benchmarks"]:
        name, extra = one["name"].removeprefix("test_"), one["extra_info"]
        if "facts" in extra:  # it measures something else than its time
            facts |= extra["facts"]
            continue
        if "config" in extra:
            configs[name] = extra["config"]
        pieces[name] = Piece(
            seconds=one["stats"]["median"],
            rounds=one["stats"]["rounds"],
            reference_seconds=extra["reference_seconds"],
        )
    same = measured["benchmarks"][0]["extra_info"]  # for all, in one process
    start = Start(
        started=began,
        git_commit=commit,
        threads=same["threads"],
        reference=same["reference"],
        pieces=pieces,
        facts=facts,
    )
    return start, configs


def _train(one: Interpreter, plan: Plan, number: int) -> None:
    """The models under the seeds of one run, judged on the test part."""
    options = ["--seed", number, "--seeds", SEEDS_A_RUN, "--results", runs_folder(plan, one.name)]
    _run(one, plan, "-m", "bench", "reproduce", *plan.models, "--dataset", plan.dataset, *options)


def runs_folder(plan: Plan, name: str) -> Path:
    """Where the runs of a version are kept."""
    return plan.results / "versions" / "runs" / name


def _finished(plan: Plan, name: str) -> list[RunFolder]:
    return [folder for folder in all_folders(runs_folder(plan, name)) if folder.finished]


def _trained(record: VersionRecord, one: Interpreter, plan: Plan) -> tuple[Trained, ...]:
    """The answers in all finished runs of a version, after those whose runs are no longer there."""
    records = sorted((folder.read_record() for folder in _finished(plan, one.name)), key=lambda run: run.spec.seed)
    found = []
    for model in plan.models:
        runs = [run for run in records if run.spec.family == model]
        if not runs:
            raise SearchError(f"{one.name}: `bench reproduce` left no run of {model} in {runs_folder(plan, one.name)}")
        predictions = [run_folder(runs_folder(plan, one.name), run.spec).read_predictions(run) for run in runs]
        new = Trained(
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
        found.append(_joined(record.find(model), new))
    return tuple(found)


def _joined(kept: Trained | None, new: Trained) -> Trained:
    """What was trained, and before it what is kept of runs that are not there, as in a fresh clone.

    Raises:
        SpecError: they are answers to something else.
    """
    if kept is None:
        return new
    if kept.asked != new.asked:
        raise SpecError(
            f"{kept.model} was trained by other code or on other images, {kept.asked}, now {new.asked}: "
            "move the record away to begin anew"
        )
    only = [place for place, seed in enumerate(kept.seeds) if seed not in new.seeds]
    return replace(
        new,
        run_ids=tuple(dict.fromkeys((*kept.run_ids, *new.run_ids))),
        git_commits=tuple(dict.fromkeys((*kept.git_commits, *new.git_commits))),
        seeds=(*(kept.seeds[place] for place in only), *new.seeds),
        correct=pack(np.concatenate([kept.bits[only], new.bits])),
    )


def _seeds(record: VersionRecord) -> int:
    return min((len(one.seeds) for one in record.trained), default=0)


def _run(one: Interpreter, plan: Plan, *arguments: object, seconds: float | None = None) -> None:
    """Run the interpreter of a version on this checkout's code."""
    try:
        done = subprocess.run(
            [str(one.python), *map(str, arguments)],
            cwd=plan.checkout,
            # With compiled code to be kept, so that one version is not slower only for never having been started.
            env=variables(PYTHONPATH=str(plan.checkout), PYTHONDONTWRITEBYTECODE=""),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise SearchError(f"{one.name} took longer than {seconds:g} s: look whether it hangs, then go on") from error
    if done.returncode != 0:
        said = "\n".join(done.stdout.strip().splitlines()[-LAST_LINES:])
        raise SearchError(f"{one.name} failed with exit code {done.returncode}:\n{said}")
