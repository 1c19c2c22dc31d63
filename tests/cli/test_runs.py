"""Which runs become rows, with which label, and how unreadable and unfinished runs are listed."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.errors import SpecError
from bench.execution.trained import training_command
from bench.records.evaluation_log import EvaluationLog
from bench.records.ledger import RefitEnded, SessionOptions, SessionStarted, TrialProposed
from bench.records.migrate import migrate
from bench.records.record import SCHEMA_VERSION
from bench.records.spec import Budget
from bench.records.store import RunFolder, all_folders
from bench.report import build
from bench.report.ranking import leaderboard
from bench.report.row_labels import row_labels
from bench.report.rows_json import rows_json
from bench.report.run_status import MAX_PROBLEM_LENGTH, run_statuses, runs_table
from bench.report.runs import find_run, load
from builders import add_run, make_predictions, make_run, make_spec, write_run, write_unfinished_run
from command_line import call


def folder_of(results: Path, run_id: str) -> RunFolder:
    return RunFolder(results / "records" / "synthetic" / run_id)


def test_the_only_run_of_a_family_is_labeled_with_its_name() -> None:
    dense, cnn = make_spec(), make_spec(family="cnn")
    assert list(row_labels([dense, cnn]).values()) == ["dense", "cnn"]


def test_labels_name_what_differs() -> None:
    first, second, grid = make_spec(seed=1), make_spec(seed=2), make_spec(tuner="grid")
    assert row_labels([first, second]) == {first: "dense-seed1", second: "dense-seed2"}
    assert row_labels([first, second, grid]) == {
        first: "dense-random-seed1",
        second: "dense-random-seed2",
        grid: "dense-grid",
    }
    default, quick = make_spec(preset="default"), make_spec(preset="quick")
    assert row_labels([default, quick, first]) == {default: "dense", quick: "dense-quick", first: "dense-custom"}
    longer = make_spec(budget=Budget(trials=99, epochs=2))
    assert row_labels([first, longer]) == {spec: f"dense-{spec.digest[:6]}" for spec in (first, longer)}


def test_a_name_without_seed_is_the_first_search(tmp_path: Path) -> None:
    for seed in (2, 1):
        add_run(tmp_path, spec={"seed": seed})
    loaded = load(tmp_path)
    assert find_run(loaded, "dense").label == "dense-seed1"
    assert find_run(loaded, "dense-seed2").label == "dense-seed2"


def test_a_name_of_several_versions_of_a_model_is_an_error_that_lists_them_newest_first(tmp_path: Path) -> None:
    runs = [
        add_run(tmp_path, spec={"source": source * 12}, finished=f"2026-01-0{day}T00:00:00+00:00")
        for source, day in (("1", 2), ("2", 3), ("3", 1))
    ]
    older, newest, oldest = (f"dense-{run.spec.digest[:6]}" for run in runs)
    with pytest.raises(SpecError) as caught:
        find_run(load(tmp_path), "dense")
    versions = f"{newest} (newest), {older}, {oldest}"
    assert str(caught.value) == f"several versions of dense: {versions}: use one of these names"
    assert find_run(load(tmp_path), newest).record.spec.source == "2" * 12


def test_a_family_on_two_datasets_keeps_its_name() -> None:
    assert set(row_labels([make_spec(), make_spec(dataset="digits")]).values()) == {"dense"}


def test_the_newest_repeat_of_a_run_becomes_the_row(tmp_path: Path) -> None:
    add_run(tmp_path)
    add_run(tmp_path, repeat=2, finished="2026-01-03T00:00:00+00:00")
    add_run(tmp_path, repeat=3, finished="2026-01-02T00:00:00+00:00")
    (row,) = load(tmp_path).runs
    assert row.record.run_id.endswith("-repeat2")


def test_a_repeat_of_a_migrated_run_replaces_its_row_though_its_digest_is_another(tmp_path: Path) -> None:
    results = old_results(3, tmp_path)
    migrate(results)
    (folder,) = (folder for folder in all_folders(results) if folder.path.name.startswith("dense-"))
    spec = folder.read_spec()
    repeated = make_run(make_predictions(), spec=spec, finished="2030-01-01T00:00:00+00:00")
    assert repeated.run_id != folder.path.name
    write_run(results, repeated, make_predictions())
    assert [row.record.run_id for row in load(results).runs if row.label == "dense"] == [repeated.run_id]


def test_an_unfinished_run_has_no_row(tmp_path: Path) -> None:
    record = make_run(make_predictions())
    write_unfinished_run(tmp_path, record.spec, record)
    assert load(tmp_path).runs == ()


def test_a_damaged_record_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    add_run(tmp_path, spec={"family": "cnn"})
    damaged = folder_of(tmp_path, add_run(tmp_path).run_id)
    damaged.record_file.write_bytes(b'{"schema": 1, "run_id"')
    loaded = load(tmp_path)
    assert [row.label for row in loaded.runs] == ["cnn"]
    (problem,) = loaded.problems
    assert problem.startswith(f"records/synthetic/{damaged.path.name}/record.json")
    assert "truncated" in problem


def test_predictions_of_another_run_are_not_scored(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, add_run(tmp_path).run_id)
    folder.write_predictions(make_predictions([[1], [2], [3]]))
    assert "restore both files" in load(tmp_path).problems[0]


def test_predictions_that_do_not_fit_their_record_are_not_scored(tmp_path: Path) -> None:
    predictions = make_predictions([[1], [2]])
    write_run(tmp_path, make_run(predictions), predictions)
    assert "(2, 200, 4)" in load(tmp_path).problems[0]


def test_a_record_in_another_runs_folder_is_not_scored(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, add_run(tmp_path).run_id)
    folder.path.rename(folder.path.with_name("elsewhere"))
    assert "move it" in load(tmp_path).problems[0]


def test_the_status_of_an_unfinished_run_counts_trials_epochs_and_refits(tmp_path: Path) -> None:
    record = make_run(make_predictions())
    folder = write_unfinished_run(tmp_path, record.spec, record, refits=1)
    proposals = [event for event in folder.events() if isinstance(event, TrialProposed)]
    duplicate = msgspec.structs.replace(proposals[0], trial_id="duplicate", time=record.finished)
    folder.append(duplicate)
    folder.append(RefitEnded(time=record.finished, refit=record.refits[0]))  # repeated, since its model file was lost
    (status,) = run_statuses(tmp_path)
    # Two trials of three epochs each, one that failed before its first, and a duplicate of the first.
    assert (status.finished, status.trials, status.epochs, status.refits) == (False, 4, 6, 1)
    assert status.spec == record.spec
    assert (status.started, status.last_event) == (record.started, record.finished)
    assert status.disk_bytes > 0
    assert "unfinished: 4 trials, 6 of 12 epochs, 1 of 3 refits" in runs_table((status,))
    assert "unfinished: 1 trial, 6 of" in runs_table((replace(status, trials=1),))


def test_the_status_of_a_finished_run_comes_from_its_record(tmp_path: Path) -> None:
    record = add_run(tmp_path)
    (status,) = run_statuses(tmp_path)
    assert (status.finished, status.run_id, status.last_event) == (True, record.run_id, record.finished)


def test_an_unreadable_run_is_listed_with_the_reason(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, add_run(tmp_path).run_id)
    content = json.loads(folder.record_file.read_bytes())
    folder.record_file.write_text(json.dumps(content | {"origin": content["origin"] | {"winner": "9999"}}))
    (status,) = run_statuses(tmp_path)
    assert status.spec is None
    assert "9999" in str(status.problem)
    assert str(status.problem).startswith(str(folder.record_file))
    shown = re.search(r"unreadable: (record\.json: .*?)( {2,}|$)", runs_table((status,)), re.MULTILINE)
    assert shown is not None
    assert len(shown[1]) <= MAX_PROBLEM_LENGTH < len(str(status.problem))


def test_a_run_with_damaged_predictions_is_not_finished(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, add_run(tmp_path).run_id)
    folder.predictions_file.write_bytes(folder.predictions_file.read_bytes()[:100])
    assert "unreadable" in runs_table(run_statuses(tmp_path))


def test_an_empty_results_folder(tmp_path: Path) -> None:
    assert (load(tmp_path).runs, load(tmp_path).problems, run_statuses(tmp_path)) == ((), (), ())
    assert runs_table(()) == "No runs yet."


def old_results(schema: int, tmp_path: Path) -> Path:
    """A results folder with records of an older schema."""
    source = Path(__file__).parents[1] / "golden" / "schemas" / str(schema)
    return Path(shutil.copytree(source, tmp_path / "results"))


def raw_records(results: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_bytes()) for path in sorted(results.glob("records/*/*/record.json"))]


@pytest.mark.parametrize("schema", [1, 2, 3])
def test_migration_changes_no_number_digest_or_commit(tmp_path: Path, schema: int) -> None:
    results = old_results(schema, tmp_path)
    rows, raw = rows_json(leaderboard(results)), raw_records(results)
    done = call("runs", "migrate", cwd=tmp_path)
    assert done.stdout.count("migrated ") == len(raw)
    assert rows_json(leaderboard(results)) == rows
    migrated = {record["predictions_sha256"]: record for record in raw_records(results)}
    for before in raw:
        after = migrated[before["predictions_sha256"]]
        assert after["schema"] == SCHEMA_VERSION
        assert after["spec"]["source"] == before["spec"]["family_source"]
        assert after["environment"]["git_commit"] == before["environment"]["git_commit"]
        assert after["refits"] == before["refits"]
    for folder in all_folders(results):
        folder.check()


def test_migration_renames_reference_models_and_upgrades_the_evaluation_log(tmp_path: Path) -> None:
    results = old_results(3, tmp_path)
    old_log = results / "records" / "synthetic" / "test_readings.jsonl"
    (reference,) = (path.name for path in old_log.parent.glob("floor-*"))
    lines = [{"time": "2026-01-01T00:00:00.000+00:00", "run": name} for name in (reference, "dense-random-1da8017f0e")]
    old_log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = call("runs", "migrate", cwd=tmp_path)
    renamed = reference.replace("floor-", "baseline-").replace("-fixed-", "-")
    assert f"migrated {renamed}" in done.stdout
    assert RunFolder(old_log.parent / renamed).finished
    assert [line.run for line in EvaluationLog(results, "synthetic").read()] == [renamed, "dense-random-1da8017f0e"]
    assert not old_log.exists()
    assert build.check(results) == ()
    assert "contains 2 evaluations on the test set of" in (results / "leaderboard.md").read_text()
    repeated = call("runs", "migrate", "--results", results, cwd=tmp_path)
    assert (repeated.stdout, repeated.stderr) == ("", "All records already use the current schema.\n")


def test_a_log_of_an_older_schema_is_named_with_the_command_that_migrates_it(tmp_path: Path) -> None:
    add_run(tmp_path)
    (tmp_path / "records" / "synthetic" / "test_readings.jsonl").write_text("")
    assert any("`python -m bench runs migrate` migrates it" in problem for problem in build.check(tmp_path))


def test_deleting_a_run_removes_its_folder_and_pages(tmp_path: Path) -> None:
    results = tmp_path / "results"
    run_id = add_run(results).run_id
    call("report", cwd=tmp_path)
    unknown = call("runs", "delete", "nothing", "--yes", cwd=tmp_path, code=2)
    assert f"error: no run 'nothing' in results; existing runs: {run_id}\n" in unknown.stderr
    assert "cannot be undone: confirm with --yes" in call("runs", "delete", run_id, cwd=tmp_path, code=2).stderr
    assert folder_of(results, run_id).finished
    assert call("runs", "delete", run_id, "--yes", cwd=tmp_path).stdout == f"deleted {run_id}\n"
    assert list(all_folders(results)) == []
    assert not list(results.glob("synthetic/*.md"))
    assert run_id not in (results / "leaderboard.md").read_text()


def test_the_list_of_runs_marks_reproductions(tmp_path: Path) -> None:
    published = add_run(tmp_path / "results")
    add_run(tmp_path / "results", repeat=2, reproduces=published.run_id)
    listed = call("runs", cwd=tmp_path).stdout
    assert f"finished, reproduction of {published.run_id}" in listed
    statuses = json.loads(call("runs", "--json", cwd=tmp_path).stdout)
    assert [status["reproduces"] for status in statuses] == [None, published.run_id]
    assert statuses[0]["spec"]["family"] == "dense"


@pytest.mark.parametrize(("name", "file"), [("dense", "record.json"), (make_spec().name, "predictions.npz")])
def test_damaged_run_is_named_by_the_commands_that_need_it(name: str, file: str, tmp_path: Path) -> None:
    add_run(tmp_path / "results")
    add_run(tmp_path / "results", spec={"family": "cnn"})
    folder = folder_of(tmp_path / "results", make_spec().name)
    (folder.path / file).write_bytes(b"damaged")
    for command in (("verify", name), ("compare", name, "cnn")):
        done = call(*command, cwd=tmp_path, code=2)
        assert done.stderr.startswith(f"error: records/synthetic/{folder.path.name}/{file}: ")
        assert f"restore the file, or `python -m bench runs delete {folder.path.name}`" in done.stderr


def test_code_of_damaged_runs_is_not_written_but_pages_are(tmp_path: Path) -> None:
    results = tmp_path / "results"
    dense, cnn = (folder_of(results, add_run(results, spec={"family": name}).run_id) for name in ("dense", "cnn"))
    dense.record_file.write_text("damaged")
    cnn.ledger.write_text("damaged\n")
    done = call("report", "--code", cwd=tmp_path)
    for folder, file in ((dense, "record.json"), (cnn, "trials.jsonl")):
        assert f"{folder.run_id}: results/records/synthetic/{folder.run_id}/{file}:" in done.stderr
    assert (results / "synthetic" / "cnn.md").exists()


def test_command_that_retrains_a_run_names_the_folder_of_its_data_if_it_exists(tmp_path: Path) -> None:
    record, data = add_run(tmp_path), tmp_path / "data"
    folder = folder_of(tmp_path, record.run_id)
    options = SessionOptions(workers=1, data_dir=str(data))
    folder.append(
        SessionStarted(time=record.started, environment=record.environment, dataset=record.dataset, options=options)
    )
    assert "--data-dir" not in training_command(folder, record)
    data.mkdir()
    assert f" --dataset synthetic --data-dir {data} " in training_command(folder, record)
