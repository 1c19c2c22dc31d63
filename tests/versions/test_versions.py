"""Records of versions, what the page says of them, and what measuring refuses."""

import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from bench.errors import RecordError, SpecError, StoreError
from bench.records.files import lock_folder
from bench.report import report
from bench.report.report import build
from bench.versions.differences import config_differences
from bench.versions.interpreters import Interpreter, find
from bench.versions.measure import Plan, _joined, digest, measure
from bench.versions.record import Piece, Start, Trained, VersionRecord, pack, path_of, read, read_all, write
from bench.versions.series import all_series
from builders import make_environment
from command_line import SOURCE, run

CHECKOUT = Path(__file__).parents[2]
IMAGES = 1_000


def trained(accuracy: float, model: str = "tutorial-cnn") -> Trained:
    """Twelve seeds, each right at the first images and a few more."""
    right = np.arange(IMAGES) < np.array([[accuracy * IMAGES + seed % 3] for seed in range(12)])
    return Trained(
        model=model,
        source="0" * 12,
        run_ids=("run",),
        git_commits=("a" * 40,),
        dataset="synthetic",
        checksum="0" * 64,
        seeds=tuple(range(12)),
        n_test=IMAGES,
        correct=pack(right),
    )


def starts(seconds: float, month: int = 1) -> tuple[Start, ...]:
    """Six process starts whose one piece takes so long, give or take a percent; the machine gets slower meanwhile."""
    return tuple(
        Start(
            started=f"2026-{month:02}-01T0{hour}:00:00+00:00",
            git_commit="b" * 40 + "+",
            threads=1,
            reference="SciPy 1.17.1",
            pieces={"step[cnn]": Piece(seconds=seconds * slow * noise, rounds=5, reference_seconds=0.01 * slow)},
            facts={"megabytes, tutorial-cnn": 500.0},
        )
        for hour, slow, noise in zip(range(6), (1, 1, 2, 2, 3, 3), (1.0, 1.01, 0.99, 1.0, 1.01, 0.99), strict=True)
    )


def record(name: str, tensorflow: str, accuracy: float = 0.9, seconds: float = 0.1, **changes: Any) -> VersionRecord:
    fields: dict[str, Any] = {
        "name": name,
        "code": "0" * 12,
        "environment": make_environment(tensorflow=tensorflow),
        "configs": {"cnn": {"layers": {"dense": {"units": 128}}}},
        "starts": starts(seconds),
        "trained": (trained(accuracy),),
    }
    return VersionRecord(**fields | changes)


def page(results: Path) -> str:
    found = build(results)["versions.md"]
    assert isinstance(found, bytes)
    return found.decode()


def row(text: str, name: str) -> str:
    """The first line of a table that is about `name`."""
    return next(line for line in text.splitlines() if line.startswith(f"| {name} "))


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = record("tf216", "2.16.2")
    write(tmp_path, written)
    assert read(path_of(tmp_path, "tf216")) == written
    assert written.trained[0].bits.mean(axis=1)[:3].tolist() == [0.9, 0.901, 0.902]


def test_answers_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="1500 bytes of answers, 12 seeds x 900 images expected"):
        _ = replace(trained(0.9), n_test=900).bits


@pytest.mark.parametrize("content", [b"", b"{", b'{"schema": 99}'])
def test_a_damaged_record_is_named(tmp_path: Path, content: bytes) -> None:
    path = path_of(tmp_path, "tf216")
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(RecordError, match=r"tf216\.json"):
        read(path)


def test_versions_are_sorted_as_numbers(tmp_path: Path) -> None:
    for name, version in (("tf29", "2.9.1"), ("tf221", "2.21.0"), ("tf216", "2.16.2")):
        write(tmp_path, record(name, version))
    assert [one.name for one in read_all(tmp_path)[0]] == ["tf29", "tf216", "tf221"]


def test_equal_versions_are_the_same_and_none_is_slower(tmp_path: Path) -> None:
    for name, version in (("tf216", "2.16.2"), ("tf217", "2.17.1")):
        write(tmp_path, record(name, version))
    newer = row(page(tmp_path), "tf217")
    assert "| same, at every image " in newer
    assert "step" not in newer


def test_a_worse_and_slower_version_is_called_so(tmp_path: Path) -> None:
    write(tmp_path, record("tf216", "2.16.2"))
    write(tmp_path, record("tf217", "2.17.1", accuracy=0.85, seconds=0.2))
    newer = row(page(tmp_path), "tf217")
    assert "worse: -5.00" in newer
    assert "step\\[cnn\\] x2.00" in newer


def test_slower_by_less_than_the_noise_is_not_slower(tmp_path: Path) -> None:
    write(tmp_path, record("tf216", "2.16.2"))
    write(tmp_path, record("tf217", "2.17.1", seconds=0.1005))
    text = page(tmp_path)
    assert "x1.0" not in row(text, "tf217")
    assert "(1.005)" in row(text, "step\\[cnn\\]")


def test_fewer_starts_than_tell_their_noise_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, record("tf216", "2.16.2", starts=starts(0.1)[:3]))
    write(tmp_path, record("tf217", "2.17.1", starts=starts(0.2)))
    text = page(tmp_path)
    assert "x2.00" not in text
    assert "| step\\[cnn\\] | 101.00 | - |" in " ".join(row(text, "step\\[cnn\\]").split())


def test_no_table_of_speed_where_nothing_can_be_compared(tmp_path: Path) -> None:
    write(tmp_path, record("tf216", "2.16.2", starts=()))
    write(tmp_path, record("tf217", "2.17.1"))
    text = page(tmp_path)
    assert "### Speed" not in text
    assert "not compared: tf216 was started fewer than 4 times" in row(text, "tf217")


def test_nothing_is_said_of_speed_where_nothing_was_timed(tmp_path: Path) -> None:
    for name, version in (("tf216", "2.16.2"), ("tf217", "2.17.1")):
        write(tmp_path, record(name, version, starts=()))
    text = page(tmp_path)
    assert "### Speed" not in text
    assert "## Memory" not in text
    assert "| same, at every image " in row(text, "tf217")


def test_speed_of_another_code_is_not_compared(tmp_path: Path) -> None:
    write(tmp_path, record("tf216", "2.16.2"))
    write(tmp_path, record("tf217", "2.17.1", accuracy=0.85, seconds=0.2, code="1" * 12))
    newer = row(page(tmp_path), "tf217")
    assert "worse" in newer
    assert "not compared: measured by other code" in newer
    assert "x2.00" not in newer


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"source": "1" * 12}, "trained by another recipe or on other images"),
        ({"checksum": "1" * 64}, "trained by another recipe or on other images"),
        ({"seeds": tuple(range(11, 23))}, "fewer than two seeds in common"),
        ({"model": "tutorial-dense-128"}, "not trained with tf216"),
    ],
)
def test_why_trainings_are_not_compared_is_said(tmp_path: Path, changes: dict[str, Any], why: str) -> None:
    write(tmp_path, record("tf216", "2.16.2"))
    write(tmp_path, record("tf217", "2.17.1", trained=(replace(trained(0.8), **changes),)))
    assert f"not compared: {why}" in row(page(tmp_path), "tf217")


def test_other_machines_are_compared_by_accuracy_only(tmp_path: Path) -> None:
    write(tmp_path, record("tf216", "2.16.2"))
    elsewhere = make_environment(tensorflow="2.17.1", cpu="Another")
    write(tmp_path, record("tf217", "2.17.1", seconds=9.0, environment=elsewhere))
    newer = row(page(tmp_path), "tf217")
    assert "same" in newer
    assert "step" not in newer


def test_what_came_along_is_listed(tmp_path: Path) -> None:
    write(tmp_path, record("tf216", "2.16.2"))
    configs = {"cnn": {"layers": {"dense": {"units": 128, "quantization": None}}}}
    write(tmp_path, record("tf217", "2.17.1", configs=configs))
    assert "tf216 to tf217: tensorflow 2.16.2 to 2.17.1; quantization: not there to None (cnn layers dense)" in (
        page(tmp_path)
    )


def test_configurations_that_are_not_known_are_no_difference(tmp_path: Path) -> None:
    write(tmp_path, record("tf216", "2.16.2", configs={}, starts=()))
    write(tmp_path, record("tf217", "2.17.1"))
    assert "- tf216 to tf217: tensorflow 2.16.2 to 2.17.1\n" in page(tmp_path)


def test_what_all_layers_have_in_common_is_listed_once() -> None:
    def config(dtype: object, axis: int) -> dict[str, Any]:
        return {"cnn": {"layers": {name: {"dtype": dtype, "name": name} for name in "ab"}, "loss": {"axis": axis}}}

    old, new = config("float32", 1), config({"name": "float32"}, 2)
    assert config_differences(old, new) == [
        "dtype: 'float32' to {'name': 'float32'} (2 places)",
        "axis: 1 to 2 (cnn loss)",
    ]


def test_objects_are_written_as_in_code() -> None:
    policy = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}, "registered_name": None}
    assert config_differences({"cnn": {"dtype": "float32"}}, {"cnn": {"dtype": policy}}) == [
        "whole: 'float32' to DTypePolicy(name='float32') (cnn dtype)"
    ]


def test_many_differences_are_cut() -> None:
    found = config_differences({}, {str(number): number for number in range(20)})
    assert len(found) == 13
    assert found[-1] == "and 8 more"


def test_keras_has_a_table_of_its_own(tmp_path: Path) -> None:
    write(tmp_path, record("tf216", "2.16.2"))
    for name, keras in (("tf221", "3.13.2"), ("keras312", "3.12.4")):
        write(tmp_path, record(name, "2.21.0", environment=make_environment(tensorflow="2.21.0", keras=keras)))
    text = page(tmp_path)
    of_tensorflow, of_keras = text.split("## Keras, with TensorFlow 2.21.0 and Python 3.")
    assert "keras312" not in of_tensorflow
    assert of_keras.index("| keras312") < of_keras.index("| tf221")


def test_a_damaged_record_is_named_on_the_page_of_the_others(tmp_path: Path) -> None:
    for name, version in (("tf216", "2.16.2"), ("tf217", "2.17.1")):
        write(tmp_path, record(name, version))
    path_of(tmp_path, "tf216").write_bytes(b"{")
    _, problems = report.write(tmp_path)
    text = page(tmp_path)
    assert "left out: versions/tf216.json: " in text
    assert "2.17.1" in row(text, "tf217")
    assert (len(problems), report.check(tmp_path)) == (1, problems)


def test_where_every_record_is_damaged_the_page_is_left_as_it_is(tmp_path: Path) -> None:
    write(tmp_path, record("tf216", "2.16.2"))
    report.write(tmp_path)
    kept = (tmp_path / "versions.md").read_bytes()
    (tmp_path / "leaderboard.md").unlink()
    path_of(tmp_path, "tf216").write_bytes(b"{")
    written, problems = report.write(tmp_path)
    assert (written, len(problems)) == ((tmp_path / "leaderboard.md",), 1)
    assert (tmp_path / "versions.md").read_bytes() == kept
    assert report.check(tmp_path) == problems


def damaged(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    data = json.loads(path.read_bytes())
    change(data)
    path.write_text(json.dumps(data))


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data["trained"][0].update(correct="x"),
        lambda data: data["trained"][0].update(seeds=[1] * 12),
        lambda data: data["trained"][0].update(seeds=[], correct=""),
        lambda data: data["environment"].update(tensorflow="missing"),
        lambda data: data["starts"][0].update(started="yesterday"),
        lambda data: data["starts"][0].update(started="2026-01-01T00:00:00"),
        lambda data: data["starts"][0]["pieces"]["step[cnn]"].update(reference_seconds=0.0),
    ],
)
def test_a_record_with_impossible_values_is_named(tmp_path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    write(tmp_path, record("tf216", "2.16.2"))
    damaged(path_of(tmp_path, "tf216"), change)
    with pytest.raises(RecordError, match=r"tf216\.json: .*move it away and measure that version again"):
        read(path_of(tmp_path, "tf216"))


@pytest.mark.parametrize("less", [{"trained": ()}, {"starts": ()}, {"trained": (), "starts": ()}])
@pytest.mark.parametrize("name", ["tf216", "tf217"])
def test_a_version_that_is_measured_in_part_has_a_row(tmp_path: Path, name: str, less: dict[str, Any]) -> None:
    for each, version in (("tf216", "2.16.2"), ("tf217", "2.17.1")):
        write(tmp_path, record(each, version, **less if each == name else {}))
    text = page(tmp_path)
    assert "nan" not in text
    assert "2.16.2" in row(text, "tf216")
    assert "2.17.1" in row(text, "tf217")


def test_versions_whose_reference_workloads_are_unlike_are_not_compared_by_speed(tmp_path: Path) -> None:
    write(tmp_path, record("tf216", "2.16.2"))
    newer = tuple(replace(start, reference="SciPy 1.18.0") for start in starts(0.2))
    write(tmp_path, record("tf217", "2.17.1", starts=newer))
    why = "not compared: divided by unlike reference workloads (SciPy 1.17.1, SciPy 1.18.0)"
    assert why in row(page(tmp_path), "tf217")


def test_versions_that_were_not_started_in_turn_are_not_compared_by_speed(tmp_path: Path) -> None:
    write(tmp_path, record("tf216", "2.16.2"))
    write(tmp_path, record("tf217", "2.17.1", starts=starts(0.2, month=2)))
    assert "not compared: not started in turn" in row(page(tmp_path), "tf217")


def test_further_starts_of_one_version_are_left_out_of_the_ratio(tmp_path: Path) -> None:
    write(tmp_path, record("tf216", "2.16.2", starts=(*starts(0.1), *starts(0.9, month=2))))
    write(tmp_path, record("tf217", "2.17.1", starts=starts(0.2)))
    assert "2.000" in row(page(tmp_path), "step\\[cnn\\]")


def test_a_record_of_another_name_is_no_version(tmp_path: Path) -> None:
    write(tmp_path, record("mine", "2.17.1"))
    with pytest.raises(RecordError, match="mine is no environment's name"):
        read(path_of(tmp_path, "mine"))


def test_other_instruction_sets_are_another_machine(tmp_path: Path) -> None:
    write(tmp_path, record("tf216", "2.16.2"))
    elsewhere = make_environment(tensorflow="2.17.1", instruction_sets=("avx2",), cores=64)
    write(tmp_path, record("tf217", "2.17.1", seconds=9.0, environment=elsewhere))
    assert "step" not in row(page(tmp_path), "tf217")


def test_answers_of_runs_that_are_not_there_are_kept() -> None:
    kept = trained(0.9)
    new = replace(trained(0.8), run_ids=("another",), seeds=tuple(range(6, 18)))
    joined = _joined(kept, new)
    assert joined.run_ids == ("run", "another")
    assert joined.seeds == tuple(range(18))
    assert np.array_equal(joined.bits, np.concatenate([kept.bits[:6], new.bits]))
    assert _joined(None, new) == new


def test_answers_to_something_else_are_not_dropped() -> None:
    with pytest.raises(SpecError, match="other code or on other images"):
        _joined(replace(trained(0.9), checksum="1" * 64), trained(0.9))


def test_nothing_measured_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    assert "versions --measure" in run("versions", cwd=tmp_path, code=2).stderr


def test_other_pythons_and_keras_alone_are_series_of_their_own(tmp_path: Path) -> None:
    other = make_environment(tensorflow="2.21.0", keras="3.13.2", python="3.12.1")
    write(tmp_path, record("py312-tf221", "2.21.0", environment=other))
    write(tmp_path, record("keras312", "2.21.0", environment=make_environment(tensorflow="2.21.0", keras="3.12.4")))
    by_title = {one.title: [record.name for record in one.records] for one in all_series(read_all(tmp_path)[0])}
    assert by_title == {
        "TensorFlow, with Python 3.12": ["py312-tf221"],
        f"Keras, with TensorFlow 2.21.0 and Python {make_environment().python.rpartition('.')[0]}": ["keras312"],
    }


def test_other_names_are_no_versions(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="tf221, keras315 or py312-tf221, got type"):
        find(tmp_path, ("tf216", "type"), SOURCE)


def test_missing_environments_are_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="`tox -m versions --notest` makes them"):
        find(tmp_path, (), SOURCE)
    with pytest.raises(SpecError, match="`tox -e tf216 --notest` makes it"):
        find(tmp_path, ("tf216",), SOURCE)


def test_an_interpreter_without_the_libraries_is_refused(tmp_path: Path) -> None:
    python = tmp_path / "tf216" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\necho No module named msgspec >&2; exit 1\n")
    python.chmod(0o755)
    with pytest.raises(SpecError, match="No module named msgspec"):
        find(tmp_path, (), SOURCE)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"starts": 3}, "--starts"),
        ({"seeds": 10}, "multiple of 12"),
        ({"seeds": -12}, "multiple of 12"),
        ({"starts": 0, "seeds": 0}, "nothing is to be measured"),
        ({"starts": 0, "again": True}, "--again measures speed anew"),
    ],
)
def test_impossible_plans_are_refused(changes: dict[str, int], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        Plan(**{"checkout": CHECKOUT, "results": CHECKOUT, "starts": 10, "seeds": 12} | changes)  # type: ignore[arg-type]


def measured_with(results: Path, *versions: str) -> list[Interpreter]:
    """Interpreters with a record each, whose pieces were of other code than today's."""
    for version in versions:
        write(results, record(f"tf{version.replace('.', '')}", version))
    return [
        Interpreter(name=one.name, python=Path(sys.executable), environment=one.environment)
        for one in read_all(results)[0]
    ]


def test_speed_by_other_code_is_measured_anew_when_asked_for(tmp_path: Path) -> None:
    interpreters = measured_with(tmp_path, "2.16", "2.17")
    plan = Plan(checkout=CHECKOUT, results=tmp_path, starts=4, seeds=12)
    with pytest.raises(SpecError, match=r"tf216\.json was measured by other code, 000000000000, now .*: --again"):
        next(measure(interpreters, plan))
    before = read_all(tmp_path)
    going = measure(interpreters, replace(plan, again=True))
    assert next(going) == "speed, start 1 of 4: tf216"
    going.close()
    assert read_all(tmp_path) == before  # nothing is dropped before a start has succeeded


def broken_environment(folder: Path) -> tuple[str, ...]:
    """Options that measure with an interpreter that says what is installed, but runs nothing."""
    python = folder / "environments" / "tf216" / "bin" / "python"
    python.parent.mkdir(parents=True)
    (folder / "environment.json").write_bytes(msgspec.json.encode(make_environment(tensorflow="2.16")))
    python.write_text(f'#!/bin/sh\n[ "$1" = -c ] && exec cat {folder}/environment.json\necho broken; exit 3\n')
    python.chmod(0o755)
    return "--measure", "--environments", f"{folder}/environments", "--results", f"{folder}/results"


def test_a_version_that_fails_costs_no_starts(tmp_path: Path) -> None:
    results = tmp_path / "results"
    measured_with(results, "2.16")
    done = run("versions", *broken_environment(tmp_path), "--again", "--seeds", "0", cwd=CHECKOUT, code=2)
    assert "tf216 failed with exit code 3:\nbroken" in done.stderr
    assert read(path_of(results, "tf216")).starts == starts(0.1)
    assert "2.16" in row((results / "versions.md").read_text(), "tf216")


def test_where_nothing_is_missing_a_damaged_record_is_named_once(tmp_path: Path) -> None:
    write(tmp_path / "results", record("tf216", "2.16", code=digest(CHECKOUT)))
    path_of(tmp_path / "results", "tf217").write_bytes(b"{")
    done = run("versions", *broken_environment(tmp_path), "--starts", "4", cwd=CHECKOUT)
    assert "2.16" in done.stdout
    assert done.stderr.count("left out: ") == 1


def test_accuracy_is_measured_where_speed_is_of_other_code(tmp_path: Path) -> None:
    interpreters = measured_with(tmp_path, "2.16")
    going = measure(interpreters, Plan(checkout=CHECKOUT, results=tmp_path, starts=0, seeds=24))
    assert next(going) == "accuracy, seeds 13 and on: tf216"
    assert read(path_of(tmp_path, "tf216")).starts == starts(0.1)


def test_measuring_takes_a_checkout(tmp_path: Path) -> None:
    done = run("versions", "--measure", cwd=tmp_path, code=2)
    assert "call this in a checkout" in done.stderr


def test_two_cannot_measure_at_once(tmp_path: Path) -> None:
    plan = Plan(checkout=CHECKOUT, results=tmp_path, starts=4, seeds=12)
    lock = lock_folder(tmp_path / "versions")
    with pytest.raises(StoreError, match="another process is working on"):
        next(measure((), plan))
    lock.release()
    assert list(measure((), plan)) == []


@pytest.mark.parametrize("asked", [("tf216",), ("--starts", "20"), ("--seeds", "12"), ("--again",)])
def test_what_to_measure_asks_for_measuring(tmp_path: Path, asked: tuple[str, ...]) -> None:
    assert "--measure is not given" in run("versions", *asked, cwd=tmp_path, code=2).stderr


def test_the_other_versions_are_shown_where_one_is_damaged(tmp_path: Path) -> None:
    for name, version in (("tf216", "2.16.2"), ("tf217", "2.17.1")):
        write(tmp_path / "results", record(name, version))
    path_of(tmp_path / "results", "tf216").write_bytes(b"{")
    done = run("versions", cwd=tmp_path)
    assert "2.17.1" in done.stdout
    assert "left out: results/versions/tf216.json" in done.stderr


def test_nothing_but_damaged_records_is_an_error(tmp_path: Path) -> None:
    path_of(tmp_path / "results", "tf216").parent.mkdir(parents=True)
    path_of(tmp_path / "results", "tf216").write_bytes(b"{")
    assert "results/versions/tf216.json" in run("versions", cwd=tmp_path, code=2).stderr


def test_more_seeds_come_by_the_run(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    right = [pack(random.random((12, IMAGES)) < 0.9) for _ in range(2)]
    for name, version, correct in (("tf216", "2.16.2", right[0]), ("tf217", "2.17.1", right[1])):
        write(tmp_path, record(name, version, trained=(replace(trained(0.9), correct=correct),)))
    found = re.search(r"cannot tell, needs about (\d+) more seeds", row(page(tmp_path), "tf217"))
    assert found is not None
    assert int(found[1]) % 12 == 0


def test_the_table_is_printed(tmp_path: Path) -> None:
    write(tmp_path / "results", record("tf216", "2.16.2"))
    assert "2.16.2" in run("versions", cwd=tmp_path).stdout


def test_the_table_is_data_too(tmp_path: Path) -> None:
    write(tmp_path / "results", record("tf216", "2.16.2"))
    write(tmp_path / "results", record("tf217", "2.17.1", accuracy=0.85, seconds=0.2))
    old, new = json.loads(run("versions", "--json", cwd=tmp_path).stdout)
    assert (old["version"], old["models"]["tutorial-cnn"]["verdict"]) == ("tf216", None)
    assert new["tensorflow"] == "2.17.1"
    assert new["models"]["tutorial-cnn"]["test_accuracy"] == pytest.approx(0.851)
    assert new["models"]["tutorial-cnn"]["verdict"] == "worse"
    assert new["models"]["tutorial-cnn"]["change"]["difference"]["mean"] == pytest.approx(-0.05)
    assert new["speed"]["step[cnn]"]["ratio_to_the_one_before"] == pytest.approx(2)
    assert new["speed"]["step[cnn]"]["noise"] < 1.05
    assert new["speed_not_compared_because"] is new["models"]["tutorial-cnn"]["not_compared_because"] is None
