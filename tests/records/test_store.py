"""What is kept survives kills, full disks and damage, and damage is named, never read as a result."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import bench
from bench.errors import RecordError, StoreError
from bench.records.files import check_writable, write_atomic
from bench.records.store import LedgerEvent, RunFolder, all_folders, count_test_readings, note_test_reading, run_folder
from builders import (
    add_run,
    make_dataset,
    make_environment,
    make_predictions,
    make_refit,
    make_run,
    make_spec,
    make_trial,
    write_run,
)

SOURCE = Path(bench.__file__).parents[1]
TIME = "2026-01-01T00:00:00+00:00"
PROLOGUE = """
import sys
from pathlib import Path
from bench.errors import StoreError
from bench.records.files import check_writable, write_atomic
from bench.records.store import LedgerEvent, RunFolder
folder = RunFolder(Path(sys.argv[1]))
def asked(n):
    values = {"units": n, "note": "x" * 3000}
    return LedgerEvent(event="asked", time="2026-01-01T00:00:00+00:00", trial_id=str(n), values=values)
"""


@contextmanager
def process(code: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A real Python process that runs `code` with `folder` at hand; ended when the block is left."""
    command = [sys.executable, "-c", PROLOGUE + code, str(folder)]
    with subprocess.Popen(command, cwd=SOURCE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as started:
        try:
            yield started
        finally:
            started.kill()


def said(running: subprocess.Popen[str]) -> str:
    assert running.stdout is not None
    return running.stdout.readline().strip()


def asked(number: int) -> LedgerEvent:
    return LedgerEvent(event="asked", time=TIME, trial_id=str(number), values={"units": number})


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    mount_point = tmp_path / "small"
    mount_point.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(mount_point)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        pytest.skip(f"no mount command: {error}")
    if done.returncode != 0:
        pytest.skip(f"only root may mount a small disk: {done.stderr.strip()}")
    yield mount_point
    subprocess.run(["umount", str(mount_point)], check=True)


# Whole files


def test_written_file_is_there_and_nothing_else(tmp_path: Path) -> None:
    write_atomic(tmp_path / "deep" / "er" / "file.json", b"new")
    assert (tmp_path / "deep/er/file.json").read_bytes() == b"new"
    assert names(tmp_path / "deep/er") == ["file.json"]


def test_written_file_replaces_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"something longer")
    write_atomic(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"


def test_other_users_may_read_what_is_written(tmp_path: Path) -> None:
    write_atomic(tmp_path / "file", b"new")
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644


def test_reader_sees_the_old_or_the_new_content_whole(tmp_path: Path) -> None:
    path = tmp_path / "swap"
    sizes = {100_000, 300_000}
    path.write_bytes(b"a" * 100_000)
    code = """
for n in range(10_000):
    write_atomic(folder.path / "swap", b"ab"[n % 2:n % 2 + 1] * (100_000, 300_000)[n % 2])
    if n == 0: print("writing", flush=True)
"""
    with process(code, tmp_path) as running:
        assert said(running) == "writing"
        contents = [path.read_bytes() for _ in range(100)]
    assert {len(content) for content in contents} <= sizes
    assert all(len(set(content)) == 1 for content in contents)


def test_folder_that_is_a_file_is_an_error_that_names_the_path(tmp_path: Path) -> None:
    (tmp_path / "taken").write_bytes(b"")
    with pytest.raises(StoreError, match=r"cannot write .*taken/file.*: .*Choose a folder"):
        write_atomic(tmp_path / "taken" / "file", b"new")


def test_full_disk_leaves_the_old_file_and_nothing_else(small_disk: Path) -> None:
    write_atomic(small_disk / "record.json", b"old")
    with pytest.raises(StoreError, match=r"record.json: No space left on device"):
        write_atomic(small_disk / "record.json", b"x" * 200_000)
    assert (small_disk / "record.json").read_bytes() == b"old"
    assert names(small_disk) == ["record.json"]


# Whether the results folder can be written


def test_check_makes_the_folder_and_leaves_nothing_in_it(tmp_path: Path) -> None:
    check_writable(tmp_path / "results")
    assert names(tmp_path / "results") == []


def test_check_names_the_room_that_is_missing(small_disk: Path) -> None:
    with pytest.raises(StoreError, match=r"has 0\.1 MiB free, at least 50 MiB are needed: free space"):
        check_writable(small_disk)


def test_check_refuses_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "results").write_bytes(b"a file")
    with pytest.raises(StoreError, match=r"cannot write .*results"):
        check_writable(tmp_path / "results")


def test_processes_may_check_the_same_folder_at_once(tmp_path: Path) -> None:
    code = "print(sys.stdin.readline())\nfor _ in range(100): check_writable(folder.path)"
    with process(code, tmp_path) as first, process(code, tmp_path) as second:
        for running in (first, second):
            assert running.stdin is not None
            running.stdin.write("go\n")
            running.stdin.flush()
        assert [running.wait(timeout=30) for running in (first, second)] == [0, 0]


# The ledger


def test_every_kind_of_event_comes_back_as_it_was(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    events = [
        LedgerEvent(event="session", environment=make_environment(), dataset=make_dataset(), time="2026-01-01T00:00Z"),
        LedgerEvent(
            event="asked", time=TIME, trial_id="0", values={"units": 32, "rate": 0.1, "norm": True, "kind": "relu"}
        ),
        LedgerEvent(event="told", time=TIME, trial=make_trial(0, 0.9)),
        LedgerEvent(event="refit", time=TIME, refit=make_refit(0)),
    ]
    for event in events:
        folder.append(event)
    assert folder.events() == events


def test_run_without_a_ledger_has_no_events(tmp_path: Path) -> None:
    assert RunFolder(tmp_path / "nowhere").events() == []


def test_event_without_its_fields_is_refused() -> None:
    with pytest.raises(RecordError, match="event 'told' has the fields time, expected time, trial"):
        LedgerEvent(event="told", time=TIME)


def test_event_with_the_fields_of_another_is_refused() -> None:
    with pytest.raises(RecordError, match="event 'refit' has the fields refit, time, trial_id, expected refit, time"):
        LedgerEvent(event="refit", time=TIME, refit=make_refit(0), trial_id="0")


@pytest.mark.parametrize("torn", [b'{"event":"told","trial":{"num', b"{", b"\0" * 5000, '{"é'.encode()[:-1]])
def test_torn_last_line_is_left_out(tmp_path: Path, torn: bytes) -> None:
    folder = RunFolder(tmp_path)
    folder.append(asked(0))
    with folder.ledger.open("ab") as file:
        file.write(torn)
    assert folder.events() == [asked(0)]


def test_next_event_takes_the_place_of_a_torn_last_line(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.append(asked(0))
    with folder.ledger.open("ab") as file:
        file.write(b'{"event":"asked","trial_id":"1","val')
    folder.append(asked(2))
    assert folder.events() == [asked(0), asked(2)]


def test_ledger_that_is_one_torn_line_starts_anew(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.ledger.write_bytes(b'{"event')
    assert folder.events() == []
    folder.append(asked(0))
    assert folder.events() == [asked(0)]


def test_reading_does_not_change_the_ledger(tmp_path: Path) -> None:
    # What looks torn may be a line that another process is writing at this moment.
    folder = RunFolder(tmp_path)
    folder.append(asked(0))
    with folder.ledger.open("ab") as file:
        file.write(b"{")
    before = folder.ledger.read_bytes()
    folder.events()
    assert folder.ledger.read_bytes() == before


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (b"{not json}", "malformed"),
        (b"", "truncated"),
        (b'{"event":"\xff"}', "can't decode byte 0xff"),
        (b'{"event":"danced","time":""}', "Invalid enum value 'danced' - at `\\$.event`"),
        (b'{"event":"asked","time":"","trial_id":"1"}', "fields time, trial_id, expected time, trial_id, values"),
        (b'{"event":"asked","trial_id":"1","values":{}}', "missing required field `time`"),
        (b'{"event":"asked","trial_id":1,"values":{}}', "Expected `str \\| null`, got `int` - at `\\$.trial_id`"),
    ],
)
def test_damaged_line_is_named_with_file_and_line(tmp_path: Path, damage: bytes, reason: str) -> None:
    folder = RunFolder(tmp_path)
    folder.append(asked(0))
    with folder.ledger.open("ab") as file:
        file.write(damage + b"\n")
    folder.append(asked(2))
    with pytest.raises(RecordError, match=rf"trials\.jsonl:2: .*{reason}"):
        folder.events()


def test_trial_that_contradicts_itself_is_named_with_file_and_line(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.append(LedgerEvent(event="told", time=TIME, trial=make_trial(7, 0.9)))
    folder.ledger.write_bytes(folder.ledger.read_bytes().replace(b'"status":"ok"', b'"status":"failed"'))
    with pytest.raises(RecordError, match=r"trials\.jsonl:1: trial 0007: status='failed' but error=None"):
        folder.events()


def test_number_that_is_not_finite_is_refused_before_it_is_written(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.append(asked(0))
    with pytest.raises(RecordError, match="not finite"):
        folder.append(LedgerEvent(event="told", time=TIME, trial=make_trial(1, 0.9, fit_seconds=float("nan"))))
    assert folder.events() == [asked(0)]


def test_process_killed_while_it_appends_leaves_a_readable_ledger(tmp_path: Path) -> None:
    code = """
import itertools
for n in itertools.count():
    folder.append(asked(n))
    print(n, flush=True)
"""
    folder = RunFolder(tmp_path)
    with process(code, tmp_path) as running:
        while said(running) != "40":
            pass
        running.kill()
        running.wait(timeout=30)
        told = [int(line) for line in running.stdout or ()]
    written = [int(event.trial_id or -1) for event in folder.events()]
    # Each line that was acknowledged is there; at most the one that was being written more.
    assert written == list(range(len(written)))
    assert len(written) - 1 in {max([40, *told]), max([40, *told]) + 1}
    folder.append(asked(99))
    assert folder.events()[-1] == asked(99)


def test_ledger_on_a_full_disk_keeps_all_that_was_acknowledged(small_disk: Path) -> None:
    folder = RunFolder(small_disk)
    big = [LedgerEvent(event="asked", time=TIME, trial_id=str(n), values={"note": "x" * 3000}) for n in range(40)]
    kept: list[LedgerEvent] = []

    def fill() -> None:
        for event in big:
            folder.append(event)
            kept.append(event)

    with pytest.raises(StoreError, match=r"trials\.jsonl: No space left on device\. Free space"):
        fill()
    assert 10 < len(kept) < 40
    assert folder.events() == kept
    assert folder.ledger.read_bytes().endswith(b"\n")


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on the size of files that writes report")
def test_line_that_could_be_written_in_part_only_is_taken_back(tmp_path: Path) -> None:
    # The limit makes the system write the first 5000 bytes of two lines of about 3,100 and refuse the rest.
    code = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.RLIM_INFINITY))
folder.append(asked(0))
try:
    folder.append(asked(1))
except StoreError as error:
    print(error, flush=True)
"""
    folder = RunFolder(tmp_path)
    with process(code, tmp_path) as running:
        assert "File too large" in said(running)
        assert running.wait(timeout=30) == 0
    assert folder.ledger.read_bytes().endswith(b"\n")
    folder.append(asked(2))
    assert [event.trial_id for event in folder.events()] == ["0", "2"]


# One process at a time


def test_lock_of_another_process_is_refused(tmp_path: Path) -> None:
    with process("held = folder.lock(); print('locked', flush=True); sys.stdin.readline()", tmp_path) as running:
        assert said(running) == "locked"
        with pytest.raises(StoreError, match=r"another process is working on .*: wait for it, or end it and run again"):
            RunFolder(tmp_path).lock()


def test_lock_is_free_again_when_its_process_was_killed(tmp_path: Path) -> None:
    with process("held = folder.lock(); print('locked', flush=True); sys.stdin.readline()", tmp_path) as running:
        assert said(running) == "locked"
        running.kill()
        running.wait(timeout=30)
        RunFolder(tmp_path).lock().release()


def test_lock_does_not_outlive_its_process_in_a_child(tmp_path: Path) -> None:
    code = """
import subprocess
held = folder.lock()
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
sys.stdin.readline()
"""
    with process(code, tmp_path) as running:
        child = int(said(running))
        try:
            running.kill()
            running.wait(timeout=30)
            RunFolder(tmp_path).lock().release()
        finally:
            os.kill(child, 9)


def test_lock_in_a_folder_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "taken").write_bytes(b"")
    with pytest.raises(StoreError, match=r"cannot write .*taken"):
        RunFolder(tmp_path / "taken").lock()


# Specs, records and predictions


def test_spec_comes_back_from_its_file(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, make_spec())
    folder.write_spec(make_spec())
    assert folder.read_spec() == make_spec()


def test_impossible_spec_in_a_file_is_a_damaged_record(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, make_spec())
    folder.write_spec(make_spec())
    folder.spec_file.write_bytes(folder.spec_file.read_bytes().replace(b'"trials": 4', b'"trials": 0'))
    with pytest.raises(RecordError, match=r"spec\.json: trials must be a whole number from 1 to"):
        folder.read_spec()


def test_missing_spec_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"spec\.json: No such file"):
        RunFolder(tmp_path).read_spec()


def test_run_is_finished_when_its_record_is_there(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert not folder.finished
    folder.write_record(make_run(make_predictions()))
    assert folder.finished


@pytest.mark.parametrize("schema", [0, 4, "1", None])
def test_unknown_schema_is_refused_with_both_numbers(tmp_path: Path, schema: object) -> None:
    folder = write_run(tmp_path, make_run(make_predictions()), make_predictions())
    content = json.loads(folder.record_file.read_bytes())
    folder.record_file.write_text(json.dumps(content | {"schema": schema, "refits": "in a form of its own"}))
    with pytest.raises(
        RecordError, match=rf"record\.json: schema {schema!r}, this version reads 1 to 3: update the suite"
    ):
        folder.read_record()


def test_damaged_field_of_a_record_is_named(tmp_path: Path) -> None:
    folder = write_run(tmp_path, make_run(make_predictions()), make_predictions())
    content = json.loads(folder.record_file.read_bytes())
    content["trials"][1]["epochs"] = "three"
    folder.record_file.write_text(json.dumps(content))
    with pytest.raises(RecordError, match=r"record\.json: Expected `int`, got `str` - at `\$\.trials\[1\]\.epochs`"):
        folder.read_record()


def test_half_a_record_is_damaged(tmp_path: Path) -> None:
    folder = write_run(tmp_path, make_run(make_predictions()), make_predictions())
    content = folder.record_file.read_bytes()
    folder.record_file.write_bytes(content[: len(content) // 2])
    with pytest.raises(RecordError, match=r"record\.json: "):
        folder.read_record()


def test_predictions_come_back_as_they_were(tmp_path: Path) -> None:
    record = add_run(tmp_path)
    (folder,) = all_folders(tmp_path)
    read, written = folder.read_predictions(record), make_predictions()
    for name in written.__slots__:
        assert getattr(read, name).dtype == getattr(written, name).dtype
        assert np.array_equal(getattr(read, name), getattr(written, name))


def test_predictions_file_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        RunFolder(tmp_path / folder).write_predictions(make_predictions())
        time.sleep(0.01)
    assert (tmp_path / "a/predictions.npz").read_bytes() == (tmp_path / "b/predictions.npz").read_bytes()


@pytest.mark.parametrize("field", ["log_probabilities", "labels", "seeds", "wrong_indices", "wrong_images"])
def test_digest_changes_with_every_array(field: str) -> None:
    predictions = make_predictions()
    array = getattr(predictions, field).copy()
    array.flat[0] += 1
    assert replace(predictions, **{field: array}).digest() != predictions.digest()


def test_predictions_of_another_run_are_refused(tmp_path: Path) -> None:
    record = add_run(tmp_path)
    (folder,) = all_folders(tmp_path)
    other = make_predictions([[0], [0], [0]])
    folder.write_predictions(other)
    with pytest.raises(RecordError, match=rf"predictions\.npz: digest {other.digest()[:16]}, record\.json expects"):
        folder.read_predictions(record)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more", b"\x93NUMPY", b"text"])
def test_damaged_predictions_are_refused(tmp_path: Path, content: bytes) -> None:
    record = add_run(tmp_path)
    (folder,) = all_folders(tmp_path)
    folder.predictions_file.write_bytes(content)
    with pytest.raises(RecordError, match=r"predictions\.npz: cannot be read"):
        folder.read_predictions(record)


def test_predictions_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(RecordError, match=r"log_probabilities are \(3, 200, 4\), but .* labels \(199,\)"):
        replace(make_predictions(), labels=make_predictions().labels[1:])


def test_predictions_of_a_model_that_diverged_are_refused() -> None:
    log_probabilities = make_predictions().log_probabilities.copy()
    log_probabilities[0, 0, 0] = np.nan
    with pytest.raises(RecordError, match="hold NaN"):
        replace(make_predictions(), log_probabilities=log_probabilities)


# The results folder as a whole


def test_repeated_run_has_a_folder_of_its_own(tmp_path: Path) -> None:
    spec = make_spec()
    assert run_folder(tmp_path, spec).path == tmp_path / "records" / "synthetic" / spec.name
    assert run_folder(tmp_path, spec, repeat=2).path.name == f"{spec.name}-repeat2"


def test_folders_of_all_datasets_are_found_in_order(tmp_path: Path) -> None:
    for dataset, family in (("b", "cnn"), ("a", "dense"), ("a", "cnn")):
        spec = make_spec(dataset=dataset, family=family)
        run_folder(tmp_path, spec).write_spec(spec)
    found = [folder.read_spec() for folder in all_folders(tmp_path)]
    assert [(spec.dataset, spec.family) for spec in found] == [("a", "cnn"), ("a", "dense"), ("b", "cnn")]


def test_results_folder_that_does_not_exist_has_no_runs(tmp_path: Path) -> None:
    assert list(all_folders(tmp_path / "nowhere")) == []


def test_disk_bytes_count_every_file(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    write_atomic(folder.model_file(0), b"x" * 1000)
    write_atomic(folder.state_file("0001"), b"x" * 10)
    assert folder.disk_bytes() == 1010


def test_readings_of_the_test_part_are_counted_for_each_dataset(tmp_path: Path) -> None:
    assert count_test_readings(tmp_path, "digits") == 0
    for run in ("first", "second"):
        note_test_reading(tmp_path, "digits", run, "2026-01-01T00:00:00Z")
    note_test_reading(tmp_path, "fashion_mnist", "third", "2026-01-01T00:00:00Z")
    assert count_test_readings(tmp_path, "digits") == 2


def test_reading_that_cannot_be_noted_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "records").write_bytes(b"")
    with pytest.raises(StoreError, match="cannot write"):
        note_test_reading(tmp_path, "digits", "run", "2026-01-01T00:00:00Z")
