"""Records of every older schema are read as the current one, and `migrate` rewrites them without loss."""

import shutil
import signal
from pathlib import Path

import pytest

from bench.errors import RecordError, StoreError
from bench.records.evaluation_log import EvaluationLog
from bench.records.ledger import SessionStarted, TrialEnded, TrialProposed
from bench.records.migrate import migrate
from bench.records.record import SCHEMA_VERSION, RunRecord
from bench.records.spec import ReferenceSpec
from bench.records.store import RunFolder, all_folders
from builders import make_reference_spec
from command_line import killed_before, run

SCHEMAS = Path(__file__).parents[1] / "golden" / "schemas"
OLD = ("1", "2", "3", "4", "5")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A results folder with runs and a log of schema 3."""
    shutil.copytree(SCHEMAS / "3", tmp_path / "results")
    log = tmp_path / "results/records/synthetic/test_readings.jsonl"
    log.write_text(
        '{"time":"2026-01-01T00:00:00+00:00","run":"dense-random-1da8017f0e"}\n'
        '{"time":"2026-01-02T00:00:00+00:00","run":"floor-logistic-regression-fixed-680c7ccb0a"}\n'
    )
    return tmp_path / "results"


def records(results: Path) -> dict[str, RunRecord]:
    return {folder.path.name: folder.read_record() for folder in all_folders(results)}


@pytest.mark.parametrize("schema", OLD)
def test_runs_of_every_older_schema_are_read_and_consistent(schema: str) -> None:
    folders = list(all_folders(SCHEMAS / schema))
    assert folders
    for folder in folders:
        folder.check()
        assert folder.read_record().schema == SCHEMA_VERSION
        kinds = {type(event) for event in folder.events()}
        assert SessionStarted in kinds
        assert isinstance(folder.read_spec(), ReferenceSpec) or {TrialProposed, TrialEnded} <= kinds


@pytest.mark.parametrize("schema", OLD)
def test_values_of_older_schemas_hold_no_bookkeeping_of_the_tuner(schema: str) -> None:
    for folder in all_folders(SCHEMAS / schema):
        search = folder.read_record().search
        values = [trial.values for trial in search.trials] if search is not None else []
        values += [event.values for event in folder.events() if isinstance(event, TrialProposed)]
        assert not any(name.startswith("tuner/") for each in values for name in each)


def test_scikit_learn_model_of_an_older_schema_is_a_baseline() -> None:
    (folder,) = [folder for folder in all_folders(SCHEMAS / "3") if folder.path.name.startswith("floor")]
    record = folder.read_record()
    assert record.run_id == "baseline-logistic-regression-680c7ccb0a"
    assert record.spec.model == "baseline-logistic-regression"
    assert record.reference is not None
    assert record.reference.group == "classifier"


def test_migrating_changes_files_and_no_record(results: Path) -> None:
    before = records(results)
    assert set(migrate(results)) == {"dense-random-1da8017f0e", "baseline-logistic-regression-680c7ccb0a"}
    after = records(results)
    assert sorted(after) == sorted(record.run_id for record in before.values())
    assert list(after.values()) == [before[name] for name in sorted(before, key=lambda name: before[name].run_id)]
    for folder in all_folders(results):
        folder.check()
        assert f'"schema": {SCHEMA_VERSION}' in folder.record_file.read_text()
        assert '"kind": ' in folder.spec_file.read_text()
        assert b'"event":"session_started"' in folder.ledger.read_bytes()


def test_migrated_log_counts_every_evaluation(results: Path) -> None:
    EvaluationLog(results, "synthetic").append("new")
    migrate(results)
    runs = [entry.run for entry in EvaluationLog(results, "synthetic").read()]
    assert runs == ["dense-random-1da8017f0e", "baseline-logistic-regression-680c7ccb0a", "new"]
    assert not (results / "records/synthetic/test_readings.jsonl").exists()


def test_migrating_again_changes_nothing(results: Path) -> None:
    migrate(results)
    files = {path: path.stat().st_mtime_ns for path in results.rglob("*") if path.is_file()}
    assert migrate(results) == ()
    assert {path: path.stat().st_mtime_ns for path in results.rglob("*") if path.is_file()} == files


STOPS = (
    "replace */baseline-logistic-regression-680c7ccb0a 1",
    "replace */spec.json 1",
    "replace */spec.json 2",
    "replace */trials.jsonl 1",
    "replace */record.json 1",
    "replace */record.json 2",
    "replace */test_evaluations.jsonl 1",
    "remove */test_readings.jsonl 1",
)


@pytest.mark.parametrize("stop", STOPS)
def test_migration_killed_at_any_step_is_completed_by_repeating_it(stop: str, results: Path, tmp_path: Path) -> None:
    shutil.copytree(results, tmp_path / "undisturbed")
    migrate(tmp_path / "undisturbed")
    before = {record.run_id: record for record in records(results).values()}
    run("runs", "migrate", "--results", results, cwd=tmp_path, env=killed_before(stop), code=-signal.SIGKILL)
    assert {record.run_id: record for record in records(results).values()} == before
    migrate(results)
    assert contents(results) == contents(tmp_path / "undisturbed")


def contents(results: Path) -> dict[str, bytes]:
    return {
        path.relative_to(results).as_posix(): path.read_bytes()
        for path in results.rglob("*")
        if path.is_file() and path.suffix != ".tmp" and path.name != ".lock"
    }


def test_folder_in_the_way_of_a_new_name_is_named(results: Path) -> None:
    taken = RunFolder(results / "records/synthetic/baseline-logistic-regression-680c7ccb0a")
    taken.write_spec(make_reference_spec())
    with pytest.raises(StoreError, match="cannot be renamed to baseline-logistic-regression-680c7ccb0a"):
        migrate(results)


def test_record_that_is_not_an_object_is_named(results: Path) -> None:
    record = results / "records/synthetic/dense-random-1da8017f0e/record.json"
    record.write_text("[]")
    with pytest.raises(RecordError, match=r"record\.json: Expected `object`, got `array`: restore the file, or `"):
        migrate(results)


@pytest.mark.parametrize("line", ["[]", '{"time":"2026-01-01T00:00:00+00:00"}'])
def test_damaged_line_of_an_old_log_is_named_and_the_log_kept(line: str, results: Path) -> None:
    old = results / "records/synthetic/test_readings.jsonl"
    old.write_text(f"{line}\n")
    with pytest.raises(RecordError, match=r"test_readings\.jsonl:1: does not match any known schema"):
        migrate(results)
    assert old.exists()
