"""Measuring versions: checks, resuming, and a real measurement by the interpreter of the tests."""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from bench.errors import SpecError, StoreError
from bench.records.files import lock_folder
from bench.versions.environments import Interpreter, find
from bench.versions.measure import Plan, _merged, measure
from bench.versions.record import path_of, read, read_all, write
from bench.versions.subjects import ReferenceModels
from version_records import add_interpreter, make_record, make_results, make_starts

CHECKOUT = Path(__file__).parents[2]
DROPPED = "earlier starts were dropped; to resume after an interruption, omit --again"


class Stopped(Exception):
    """Stands for Ctrl-C during a step."""


class Steps:
    """A report callback that raises after so many steps."""

    def __init__(self, stop_at: int) -> None:
        self.announced: list[str] = []
        self._stop_at = stop_at

    def __call__(self, step: str) -> None:
        """Keep the announcement of a step."""
        self.announced.append(step)
        if len(self.announced) == self._stop_at:
            raise Stopped


def interrupted(interpreters: list[Interpreter], plan: Plan, stop_at: int) -> list[str]:
    """The announced steps of a measurement that stops at the start of step `stop_at`."""
    steps = Steps(stop_at)
    with pytest.raises(Stopped):
        measure(interpreters, plan, steps)
    return steps.announced


def completed(interpreters: list[Interpreter], plan: Plan) -> list[str]:
    """The announced steps of a measurement."""
    announced: list[str] = []
    measure(interpreters, plan, announced.append)
    return announced


def interpreters_with_records(results: Path, *versions: str) -> list[Interpreter]:
    """Interpreters that each have a record whose speed was measured with other code."""
    for version in versions:
        write(results, make_record(f"tf{version.replace('.', '')}", version))
    return [
        Interpreter(name=record.name, python=Path(sys.executable), environment=record.environment)
        for record in read_all(results)[0]
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"starts": 3}, "--starts must be 0 or at least 4, got 3: with fewer, no change is significant"),
        ({"seeds": 10}, "multiple of 12"),
        ({"seeds": -12}, "multiple of 12"),
        ({"starts": 0, "seeds": 0}, "nothing to measure"),
        ({"starts": 0, "again": True}, "--starts 0 skips speed"),
        ({"checkout": Path("/nowhere")}, "run this in a checkout"),
    ],
)
def test_invalid_plans_are_rejected(changes: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        Plan(**{"checkout": CHECKOUT, "results": CHECKOUT, "starts": 10, "seeds": 12} | changes)  # type: ignore[arg-type]


def test_speed_of_other_code_is_only_replaced_on_request(tmp_path: Path) -> None:
    interpreters = interpreters_with_records(tmp_path, "2.16", "2.17")
    plan = Plan(checkout=CHECKOUT, results=tmp_path, starts=4, seeds=12)
    with pytest.raises(SpecError, match=r"tf216\.json was measured with other code \(digest 000000000000, now .*again"):
        measure(interpreters, plan, print)
    before = read_all(tmp_path)
    assert interrupted(interpreters, dataclasses.replace(plan, again=True), 1) == ["speed, start 1 of 4: tf216"]
    assert read_all(tmp_path) == before  # no start is dropped before a new one has succeeded


def test_accuracy_is_measured_if_speed_is_of_other_code(tmp_path: Path) -> None:
    interpreters = interpreters_with_records(tmp_path, "2.16")
    plan = Plan(checkout=CHECKOUT, results=tmp_path, starts=0, seeds=24)
    assert interrupted(interpreters, plan, 1) == ["accuracy, seeds 13 to 24: tf216"]
    assert read(path_of(tmp_path, "tf216")).starts == make_starts(0.1)


def test_two_processes_cannot_measure_at_once(tmp_path: Path) -> None:
    plan = Plan(checkout=CHECKOUT, results=tmp_path, starts=4, seeds=12)
    with lock_folder(tmp_path / "versions"), pytest.raises(StoreError, match="another process is using"):
        measure((), plan, print)
    assert completed([], plan) == []


def test_new_seeds_are_added_to_the_recorded_ones() -> None:
    recorded = make_results(0.9)
    new = replace(make_results(0.8), run_ids=("another",), seeds=tuple(range(6, 18)))
    merged = _merged(recorded, new)
    assert merged.run_ids == ("run", "another")
    assert merged.seeds == tuple(range(18))
    assert np.array_equal(merged.bits, np.concatenate([recorded.bits, new.bits[6:]]))
    assert _merged(None, new) == new


def test_recorded_seeds_of_other_images_are_not_dropped() -> None:
    with pytest.raises(SpecError, match="trained with other code or on other images"):
        _merged(replace(make_results(0.9), checksum="1" * 64), make_results(0.9))


@pytest.fixture
def here(tmp_path: Path) -> list[Interpreter]:
    """The interpreter of the tests, as two environments."""
    for name in ("tf1", "tf2"):
        add_interpreter(tmp_path / "environments", name, f'exec {sys.executable} "$@"')
    return list(find(tmp_path / "environments", (), CHECKOUT))


def small_plan(tmp_path: Path) -> Plan:
    return Plan(
        checkout=CHECKOUT,
        results=tmp_path / "results",
        starts=4,
        seeds=12,
        subject=ReferenceModels(
            operations=("build[dense]", "build[cnn]"), models=("tutorial-linear",), dataset="digits"
        ),
    )


@pytest.mark.slow
@pytest.mark.long
def test_versions_are_measured_in_rotation_resumed_and_never_mixed(here: list[Interpreter], tmp_path: Path) -> None:
    plan = small_plan(tmp_path)
    steps = interrupted(here, plan, 4)
    assert [step.split(": ")[1] for step in steps] == ["tf1", "tf2", "tf1", "tf2"]
    assert len(read(path_of(plan.results, "tf1")).starts) == 2
    rest = completed(here, plan)
    turns = ((2, "tf2"), (3, "tf1"), (3, "tf2"), (4, "tf1"), (4, "tf2"))
    assert [step for step in rest if step.startswith("speed")] == [
        f"speed, start {number} of 4: {name}" for number, name in turns
    ]
    first, second = (read(path_of(plan.results, name)) for name in ("tf1", "tf2"))
    assert [len(record.starts) for record in (first, second)] == [4, 4]
    assert set(first.starts[0].operations) == {"build[dense]", "build[cnn]"}
    assert all(timing.seconds > 0 and timing.reference_seconds > 0 for timing in first.starts[0].operations.values())
    assert first.configs["build[dense]"]["optimizer"]["learning_rate"] == pytest.approx(0.001)
    # The same software trains identical models.
    assert first.trained == second.trained
    assert first.trained[0].bits.shape == (12, 360)
    assert first.trained[0].bits.mean() > 0.8
    assert completed(here, plan) == []

    write(plan.results, replace(first, code="0" * 12))
    with pytest.raises(SpecError, match="was measured with other code"):
        measure(here, plan, print)
    write(plan.results, replace(first, environment=dataclasses.replace(first.environment, platform="older")))
    assert interrupted(here, dataclasses.replace(plan, again=True), 3) == [
        "speed, start 1 of 4: tf1",
        "speed, start 1 of 4: tf2",
        DROPPED,
    ]
    replaced = [read(path_of(plan.results, name)) for name in ("tf1", "tf2")]
    assert [len(record.starts) for record in replaced] == [1, 1]
    assert [record.trained for record in replaced] == [first.trained, second.trained]
    assert replaced[0].environment == here[0].environment

    newer = dataclasses.replace(here[0], environment=dataclasses.replace(here[0].environment, tensorflow="99.0"))
    path_of(plan.results, "tf1").unlink()
    with pytest.raises(SpecError, match=r"was trained with tensorflow .*, now 99\.0: move .*tf1 away"):
        measure([newer], plan, print)
