"""Which runs become rows, under which label, and what is said of those that cannot be read."""

import json
from pathlib import Path

import pytest

from bench.records.store import RunFolder
from bench.report.runs import load, row_labels
from bench.report.states import run_states, runs_table
from builders import add_run, make_predictions, make_run, make_spec, write_run, write_unfinished_run


def folder_of(results: Path, run_id: str) -> RunFolder:
    return RunFolder(results / "records" / "synthetic" / run_id)


def test_a_family_alone_is_called_by_its_name() -> None:
    dense, cnn = make_spec(), make_spec(family="cnn")
    assert list(row_labels([dense, cnn]).values()) == ["dense", "cnn"]


def test_equal_families_are_told_apart_by_tuner_and_then_by_digest() -> None:
    first, second, other = make_spec(seed=1), make_spec(seed=2), make_spec(tuner="grid")
    assert row_labels([first, second, other]) == {
        first: f"dense-random-{first.digest[:6]}",
        second: f"dense-random-{second.digest[:6]}",
        other: "dense-grid",
    }


def test_the_same_family_on_two_datasets_needs_no_more_than_its_name() -> None:
    assert set(row_labels([make_spec(), make_spec(dataset="digits")]).values()) == {"dense"}


def test_of_a_repeated_run_the_newest_finished_one_is_a_row(tmp_path: Path) -> None:
    add_run(tmp_path)
    add_run(tmp_path, repeat=2, finished="2026-01-03T00:00:00+00:00")
    add_run(tmp_path, repeat=3, finished="2026-01-02T00:00:00+00:00")
    (run,) = load(tmp_path).runs
    assert run.record.run_id.endswith("-repeat2")


def test_an_unfinished_run_is_no_row(tmp_path: Path) -> None:
    record = make_run(make_predictions())
    write_unfinished_run(tmp_path, record.spec, record)
    assert load(tmp_path).runs == ()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (b'{"schema": 1, "run_id"', "truncated"),
        (b"{}", "schema None"),
        (b'{"schema": 99}', "schema 99"),
    ],
)
def test_a_damaged_record_is_named_and_the_others_are_still_read(tmp_path: Path, damage: bytes, said: str) -> None:
    add_run(tmp_path, spec={"family": "cnn"})
    damaged = folder_of(tmp_path, add_run(tmp_path).run_id)
    damaged.record_file.write_bytes(damage)
    loaded = load(tmp_path)
    assert [run.label for run in loaded.runs] == ["cnn"]
    (problem,) = loaded.problems
    assert problem.startswith(f"records/synthetic/{damaged.path.name}/record.json")
    assert said in problem


def test_predictions_of_another_run_are_not_scored(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, add_run(tmp_path).run_id)
    folder.write_predictions(make_predictions([[1], [2], [3]]))
    assert "restore both" in load(tmp_path).problems[0]


def test_predictions_that_do_not_fit_their_record_are_not_scored(tmp_path: Path) -> None:
    predictions = make_predictions([[1], [2]])
    write_run(tmp_path, make_run(predictions), predictions)
    assert "(2, 200, 4)" in load(tmp_path).problems[0]


def test_a_record_in_another_runs_folder_is_not_scored(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, add_run(tmp_path).run_id)
    folder.path.rename(folder.path.with_name("elsewhere"))
    assert "move it" in load(tmp_path).problems[0]


def test_states_tell_how_far_an_unfinished_run_has_come(tmp_path: Path) -> None:
    record = make_run(make_predictions())
    write_unfinished_run(tmp_path, record.spec, record, refits=1)
    (state,) = run_states(tmp_path)
    # Two trials of three epochs each, and one that failed before its first.
    assert (state.finished, state.trials, state.epochs, state.refits) == (False, 3, 6, 1)
    assert state.spec == record.spec
    assert (state.started, state.last) == (record.started, record.finished)
    assert state.disk_bytes > 0
    assert "unfinished: 3 trials, 6 epochs of a budget of 12, 1 of 3 refits" in runs_table(tmp_path)


def test_states_leave_a_torn_ledger_as_it_is(tmp_path: Path) -> None:
    record = make_run(make_predictions())
    folder = write_unfinished_run(tmp_path, record.spec, record)
    with folder.ledger.open("ab") as file:
        file.write(b'{"event": "to')
    before = folder.ledger.read_bytes()
    assert run_states(tmp_path)[0].trials == 3
    assert folder.ledger.read_bytes() == before


def test_states_of_a_finished_run_come_from_its_record(tmp_path: Path) -> None:
    record = add_run(tmp_path)
    (state,) = run_states(tmp_path)
    assert (state.finished, state.run_id, state.last) == (True, record.run_id, record.finished)


def test_states_name_what_cannot_be_read(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, add_run(tmp_path).run_id)
    content = json.loads(folder.record_file.read_bytes())
    folder.record_file.write_text(json.dumps(content | {"winner": "9999"}))
    (state,) = run_states(tmp_path)
    assert state.spec is None
    assert "9999" in str(state.problem)
    assert "cannot be read" in runs_table(tmp_path)


def test_states_do_not_call_a_run_finished_that_lost_its_predictions(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, add_run(tmp_path).run_id)
    folder.predictions_file.write_bytes(folder.predictions_file.read_bytes()[:100])
    assert "cannot be read" in runs_table(tmp_path)


def test_no_runs_at_all(tmp_path: Path) -> None:
    assert (load(tmp_path).runs, load(tmp_path).problems, run_states(tmp_path)) == ((), (), ())
    assert runs_table(tmp_path) == "No runs yet."
