"""Write records of older schemas in the current one: `bench runs migrate`."""

import shutil
from pathlib import Path

from bench.errors import StoreError
from bench.records.encoding import encode, parse, read_bytes
from bench.records.evaluation_log import EvaluationLog, TestSetEvaluation
from bench.records.files import write_atomic, writing
from bench.records.migrations import upgrade_run_id
from bench.records.record import SCHEMA_VERSION
from bench.records.store import RunFolder, all_folders

OLD_LOG = "test_readings.jsonl"


def migrate(results: Path) -> tuple[str, ...]:
    """Bring every finished run of a results folder to the current schema; digests and commits stay as they are.

    It may be stopped at any moment and repeated: each file is readable before and after.

    Returns:
        The run ids that were migrated.

    Raises:
        RecordError: a run is damaged.
        StoreError: a file cannot be written, or another process works on a run.
    """
    migrated = [folder.path.name for folder in all_folders(results) if folder.finished and _migrate_run(folder)]
    for old_log in sorted((results / "records").glob(f"*/{OLD_LOG}")):
        _migrate_log(EvaluationLog(results, old_log.parent.name), old_log)
    return tuple(migrated)


def _migrate_run(folder: RunFolder) -> bool:
    fields = parse(read_bytes(folder.record_file), str(folder.record_file))
    if fields.get("schema") == SCHEMA_VERSION:
        return False
    lock = folder.lock()
    try:
        folder.check()
        record, events = folder.read_record(), folder.events()
        write_atomic(folder.spec_file, encode(folder.read_spec(), folder.spec_file, indent=1))
        if folder.ledger.exists():
            write_atomic(folder.ledger, b"".join(encode(event, folder.ledger) for event in events))
        folder.write_record(record)
        target = folder.path.with_name(record.run_id)
        if target.exists() and target != folder.path:
            raise StoreError(f"{folder.path} cannot become {target.name}: there is a folder of that name, move it away")
        with writing(target):
            shutil.move(folder.path, target)
    finally:
        lock.release()
    return True


def _migrate_log(log: EvaluationLog, old: Path) -> None:
    lines = read_bytes(old).split(b"\n")[:-1]
    found = [parse(line, f"{old}:{number}") for number, line in enumerate(lines, 1)]
    upgraded = [TestSetEvaluation(time=line["time"], run=upgrade_run_id(line["run"])) for line in found]
    write_atomic(log.path, b"".join(encode(line, log.path) for line in (*upgraded, *log.read())))
    with writing(old):
        old.unlink()
