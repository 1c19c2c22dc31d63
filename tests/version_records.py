"""Synthetic version records."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.report.board import Board
from bench.versions.page import PAGE
from bench.versions.record import ModelResults, ProcessStart, Timing, VersionRecord, pack
from builders import make_environment

IMAGES = 1_000


def make_results(accuracy: float, model: str = "tutorial-cnn") -> ModelResults:
    """Twelve seeds, each correct on the first images, by `accuracy` and a few more."""
    correct = np.arange(IMAGES) < np.array([[accuracy * IMAGES + seed % 3] for seed in range(12)])
    return ModelResults(
        model=model,
        source="0" * 12,
        run_ids=("run",),
        git_commits=("a" * 40,),
        dataset="synthetic",
        checksum="0" * 64,
        seeds=tuple(range(12)),
        n_test=IMAGES,
        correct=pack(correct),
    )


def make_starts(seconds: float, month: int = 1, operations: Sequence[str] = ("step[cnn]",)) -> tuple[ProcessStart, ...]:
    """Six process starts in which each operation takes `seconds`, within 1%, while the machine becomes slower."""
    return tuple(
        ProcessStart(
            started=f"2026-{month:02}-01T0{hour}:00:00+00:00",
            git_commit="b" * 40 + "+",
            threads=1,
            reference="SciPy 1.17.1",
            operations=dict.fromkeys(
                operations, Timing(seconds=seconds * slow * noise, rounds=5, reference_seconds=0.01 * slow)
            ),
            facts={"megabytes, cnn": 500.0},
        )
        for hour, slow, noise in zip(range(6), (1, 1, 2, 2, 3, 3), (1.0, 1.01, 0.99, 1.0, 1.01, 0.99), strict=True)
    )


def make_record(
    name: str, tensorflow: str, accuracy: float = 0.9, seconds: float = 0.1, **changes: Any
) -> VersionRecord:
    """A version with one trained model and one timed operation."""
    fields: dict[str, Any] = {
        "name": name,
        "code": "0" * 12,
        "environment": make_environment(tensorflow=tensorflow),
        "configs": {"cnn": {"layers": {"dense": {"units": 128}}}},
        "starts": make_starts(seconds),
        "trained": (make_results(accuracy),),
    }
    return VersionRecord(**fields | changes)


def add_interpreter(environments: Path, name: str, script: str) -> None:
    """A tox environment whose interpreter is a shell script."""
    python = environments / name / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)


def page_text(results: Path) -> str:
    """versions.md of a results folder."""
    content = PAGE.files(Board(results=results, tables=(), problems=()))["versions.md"]
    assert isinstance(content, bytes)
    return content.decode()


def table_row(text: str, name: str) -> str:
    """The first table row about `name`."""
    return next(line for line in text.splitlines() if re.match(rf"\| +{re.escape(name)} ", line))
