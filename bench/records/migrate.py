"""Migrate records of older schemas to the current schema: `bench runs migrate`."""

from pathlib import Path

from bench.errors import StoreError
from bench.records.encoding import encode, read_lines
from bench.records.evaluation_log import EvaluationLog, TestSetEvaluation
from bench.records.files import write_atomic, writing
from bench.records.record import SCHEMA_VERSION
from bench.records.store import RunFolder, all_folders
from bench.records.upgrades import upgrade_evaluation

OLD_LOG = "test_readings.jsonl"


def migrate(results: Path) -> tuple[str, ...]:
    """Migrate every finished run in a results folder to the current schema, keeping digests and commits.

    It can be killed at any moment and repeated: every file stays readable.

    Returns:
        Ids of the migrated runs.

    Raises:
        RecordError: a run is damaged.
        StoreError: a file cannot be written, or another process is using a run.
    """
    old = [run for run in all_folders(results) if run.finished and run.schema() != SCHEMA_VERSION]
    migrated = tuple(_migrate_run(run) for run in old)
    for old_log in sorted((results / "records").glob(f"*/{OLD_LOG}")):
        _migrate_log(EvaluationLog(results, old_log.parent.name), old_log)
    return migrated


def _migrate_run(folder: RunFolder) -> str:
    with folder.lock():
        folder.check()
        # The record is rewritten last, since its schema decides whether the run still has to be migrated.
        folder = _renamed(folder, folder.read_record().run_id)
        write_atomic(folder.spec_file, encode(folder.read_spec(), folder.spec_file, indent=1))
        if folder.ledger.exists():
            write_atomic(folder.ledger, b"".join(encode(event, folder.ledger) for event in folder.events()))
        folder.write_record(folder.read_record())
    return folder.run_id


def _renamed(folder: RunFolder, run_id: str) -> RunFolder:
    target = folder.path.with_name(run_id)
    if target == folder.path:
        return folder
    if target.exists():
        raise StoreError(
            f"{folder.path} cannot be renamed to {run_id}: expected no folder of that name, found one: move it away"
        )
    with writing(target):
        folder.path.rename(target)
    return RunFolder(target)


def _migrate_log(log: EvaluationLog, old: Path) -> None:
    upgraded = read_lines(TestSetEvaluation, old, upgrade_evaluation)
    current = log.read()
    if current[: len(upgraded)] != upgraded:  # equal if a kill prevented the removal of the old file
        write_atomic(log.path, b"".join(encode(line, log.path) for line in (*upgraded, *current)))
    with writing(old):
        old.unlink()
