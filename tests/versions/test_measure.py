"""Measuring a version for real: the interpreter of these tests is one."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bench.errors import SpecError
from bench.versions.interpreters import Interpreter, find
from bench.versions.measure import Plan, _train, measure
from bench.versions.record import path_of, read, write

pytestmark = [pytest.mark.slow, pytest.mark.quiet]

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture
def here(tmp_path: Path) -> tuple[Interpreter, ...]:
    """This interpreter, twice, as tox would have made it."""
    for name in ("tf1", "tf2"):
        python = tmp_path / "environments" / name / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        python.chmod(0o755)
    return find(tmp_path / "environments", (), CHECKOUT)


def test_other_libraries_are_another_version(here: tuple[Interpreter, ...], tmp_path: Path) -> None:
    plan = Plan(checkout=CHECKOUT, results=tmp_path, starts=4, seeds=12, models=("tutorial-linear",), dataset="digits")
    _train(here[0], plan, 0)
    newer = replace(here[0], environment=replace(here[0].environment, tensorflow="99.0"))
    with pytest.raises(SpecError, match=r"was trained with tensorflow .*, now 99\.0: move .*tf1 away"):
        next(measure([newer], plan))


def test_versions_are_measured_in_turn_and_go_on(
    here: tuple[Interpreter, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_ADDOPTS", "-k test_build")  # the other pieces would take minutes
    plan = Plan(
        checkout=CHECKOUT,
        results=tmp_path / "results",
        starts=4,
        seeds=12,
        models=("tutorial-linear",),
        dataset="digits",
    )
    going = measure(here, plan)
    said = [next(going) for _ in range(4)]
    going.close()  # as Ctrl-C does: what is measured by now is kept
    assert [line.split(": ")[1] for line in said] == ["tf1", "tf2", "tf1", "tf2"]
    assert len(read(path_of(plan.results, "tf1")).starts) == 2
    rest = list(measure(here, plan))
    turns = ((2, "tf2"), (3, "tf1"), (3, "tf2"), (4, "tf1"), (4, "tf2"))
    assert [line for line in rest if line.startswith("speed")] == [
        f"speed, start {turn} of 4: {name}" for turn, name in turns
    ]
    one, other = (read(path_of(plan.results, name)) for name in ("tf1", "tf2"))
    assert [len(record.starts) for record in (one, other)] == [4, 4]
    assert set(one.starts[0].pieces) == {"build[dense]", "build[cnn]"}
    assert all(piece.seconds > 0 and piece.reference_seconds > 0 for piece in one.starts[0].pieces.values())
    assert one.configs["build[dense]"]["optimizer"]["learning_rate"] == pytest.approx(0.001)
    # The same software trains the same models: not a bit differs.
    assert one.trained == other.trained
    assert one.trained[0].bits.shape == (12, 360)
    assert one.trained[0].bits.mean() > 0.8
    assert list(measure(here, plan)) == []

    write(plan.results, replace(one, code="0" * 12))
    with pytest.raises(SpecError, match="was measured by other code, 000000000000, now"):
        list(measure(here, plan))
    write(plan.results, replace(one, environment=replace(one.environment, platform="older")))
    going = measure(here, replace(plan, again=True))
    assert [next(going) for _ in range(2)] == [
        "speed, start 1 of 4: tf1",
        "earlier starts are dropped; if this is stopped, the same command without --again goes on",
    ]
    going.close()
    anew, dropped = (read(path_of(plan.results, name)) for name in ("tf1", "tf2"))
    assert (len(anew.starts), len(dropped.starts)) == (1, 0)
    assert (anew.trained, dropped.trained) == (one.trained, other.trained)
    assert anew.environment == here[0].environment
