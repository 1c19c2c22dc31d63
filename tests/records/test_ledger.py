"""The ledger: a tagged union of events, appended line by line, readable after any kill."""

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.errors import RecordError, StoreError
from bench.records.ledger import (
    LedgerEvent,
    PlannedSearch,
    RefitEnded,
    SessionOptions,
    SessionStarted,
    TrialEnded,
    TrialProposed,
    WaitEnded,
)
from bench.records.spec import Value
from bench.records.store import RunFolder
from builders import make_dataset, make_environment, make_refit, make_trial
from processes import next_line, process

TIME = "2026-01-01T00:00:00+00:00"


def proposed(number: int, note: str = "") -> TrialProposed:
    values: dict[str, Value] = {"units": number, "note": note} if note else {"units": number}
    return TrialProposed(time=TIME, trial_id=str(number), values=values, initial_epoch=0, epochs=3, parent=None)


def test_every_type_of_event_is_read_as_it_was_written(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    session: dict[str, Any] = {"time": TIME, "environment": make_environment(), "dataset": make_dataset()}
    events: list[LedgerEvent] = [
        SessionStarted(**session),
        SessionStarted(**session, options=SessionOptions(workers=2, trial_timeout=1.5), reproduces="dense-random-01"),
        SessionStarted(**session, plan=PlannedSearch(trials=4, epochs=12)),
        TrialProposed(
            time=TIME,
            trial_id="0",
            values={"units": 32, "rate": 0.1, "norm": True, "kind": "relu"},
            initial_epoch=1,
            epochs=3,
            parent="1",
        ),
        TrialEnded(time=TIME, trial=make_trial(0, 0.9)),
        RefitEnded(time=TIME, refit=make_refit(0)),
        RefitEnded(time=TIME, refit=make_refit(1), seconds=9.5),
        WaitEnded(time=TIME, seconds=12.5),
    ]
    for event in events:
        folder.append(event)
    assert folder.events() == events
    assert [type(event) for event in folder.events()] == [type(event) for event in events]


def test_hyperparameters_that_are_numbers_of_numpy_are_read_as_those_of_python(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    values: dict[str, Any] = {"rate": np.float64(0.1), "units": np.int64(8), "norm": np.bool_(True)}
    folder.append(TrialProposed(time=TIME, trial_id="0", values=values, initial_epoch=0, epochs=3, parent=None))
    (event,) = folder.events()
    assert isinstance(event, TrialProposed)
    assert event.values == {"rate": 0.1, "units": 8, "norm": True}


def test_run_without_a_ledger_has_no_events(tmp_path: Path) -> None:
    assert RunFolder(tmp_path / "missing").events() == []


@pytest.mark.parametrize("torn", [b'{"event":"trial_ended","trial":{"num', b"{", b"\0" * 5000, '{"é'.encode()[:-1]])
def test_torn_last_line_is_skipped(tmp_path: Path, torn: bytes) -> None:
    folder = RunFolder(tmp_path)
    folder.append(proposed(0))
    with folder.ledger.open("ab") as file:
        file.write(torn)
    assert folder.events() == [proposed(0)]


def test_next_event_replaces_a_torn_last_line(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.append(proposed(0))
    with folder.ledger.open("ab") as file:
        file.write(b'{"event":"trial_proposed","trial_id":"1","val')
    folder.append(proposed(2))
    assert folder.events() == [proposed(0), proposed(2)]


def test_ledger_of_one_torn_line_starts_over(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.ledger.write_bytes(b'{"event')
    assert folder.events() == []
    folder.append(proposed(0))
    assert folder.events() == [proposed(0)]


def test_reading_does_not_change_the_ledger(tmp_path: Path) -> None:
    # What looks torn may be a line that another process is writing at this moment.
    folder = RunFolder(tmp_path)
    folder.append(proposed(0))
    with folder.ledger.open("ab") as file:
        file.write(b"{")
    before = folder.ledger.read_bytes()
    folder.events()
    assert folder.ledger.read_bytes() == before


FIELDS = b'"initial_epoch":0,"epochs":3,"parent":null'


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (b"{not json}", "malformed"),
        (b"", "truncated"),
        (b'{"event":"\xff"}', "can't decode byte 0xff"),
        (b'{"event":"danced","time":""}', "Invalid value 'danced' - at `$.event`"),
        (b'{"time":""}', "does not match any known schema: KeyError: 'event'"),
        (b'{"event":"trial_proposed","time":"","trial_id":"1",' + FIELDS + b"}", "missing required field `values`"),
        (b'{"event":"trial_proposed","trial_id":"1","values":{},' + FIELDS + b"}", "missing required field `time`"),
        (
            b'{"event":"trial_proposed","time":"","trial_id":1,"values":{},' + FIELDS + b"}",
            "Expected `str`, got `int` - at `$.trial_id`",
        ),
    ],
)
def test_damaged_line_is_named_with_file_and_line(tmp_path: Path, damage: bytes, reason: str) -> None:
    folder = RunFolder(tmp_path)
    folder.append(proposed(0))
    with folder.ledger.open("ab") as file:
        file.write(damage + b"\n")
    folder.append(proposed(2))
    with pytest.raises(RecordError, match=rf"trials\.jsonl:2: .*{re.escape(reason)}"):
        folder.events()


def test_inconsistent_trial_is_named_with_file_and_line(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.append(TrialEnded(time=TIME, trial=make_trial(7, 0.9)))
    folder.ledger.write_bytes(folder.ledger.read_bytes().replace(b'"status":"ok"', b'"status":"failed"'))
    with pytest.raises(RecordError, match=r"trials\.jsonl:1: trial 0007 .* got status='failed', error=None: restore"):
        folder.events()


def test_number_that_is_not_finite_is_refused_before_it_is_written(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.append(proposed(0))
    with pytest.raises(RecordError, match=r"trials\.jsonl was not written: expected finite numbers \("):
        folder.append(TrialEnded(time=TIME, trial=make_trial(1, 0.9, fit_seconds=float("nan"))))
    assert folder.events() == [proposed(0)]


def ids(folder: RunFolder) -> list[str]:
    return [event.trial_id for event in folder.events() if isinstance(event, TrialProposed)]


def test_process_killed_while_it_appends_leaves_a_readable_ledger(tmp_path: Path) -> None:
    code = """
import itertools
for n in itertools.count():
    folder.append(proposed(n))
    print(n, flush=True)
"""
    folder = RunFolder(tmp_path)
    with process(code, tmp_path) as running:
        while next_line(running) != "40":
            pass
        running.kill()
        running.wait(timeout=30)
        acknowledged = max([40, *(int(line) for line in running.stdout or ())])
    written = [int(trial_id) for trial_id in ids(folder)]
    # Every acknowledged line is there, and at most the one that was being written.
    assert written == list(range(len(written)))
    assert len(written) - 1 in {acknowledged, acknowledged + 1}
    folder.append(proposed(99))
    assert folder.events()[-1] == proposed(99)


def test_ledger_on_a_full_disk_keeps_every_acknowledged_event(small_disk: Path) -> None:
    folder = RunFolder(small_disk)
    acknowledged: list[LedgerEvent] = []

    def fill() -> None:
        for number in range(40):
            folder.append(proposed(number, note="x" * 3000))
            acknowledged.append(proposed(number, note="x" * 3000))

    with pytest.raises(StoreError, match=r"trials\.jsonl: No space left on device\. Free up space"):
        fill()
    assert 10 < len(acknowledged) < 40
    assert folder.events() == acknowledged
    assert folder.ledger.read_bytes().endswith(b"\n")


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on file sizes that writes report")
def test_partly_written_line_is_removed(tmp_path: Path) -> None:
    # The limit makes the system write the first 5000 bytes of two lines of about 3,100 and refuse the rest.
    code = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.RLIM_INFINITY))
folder.append(proposed(0))
try:
    folder.append(proposed(1))
except StoreError as error:
    print(error, flush=True)
"""
    folder = RunFolder(tmp_path)
    with process(code, tmp_path) as running:
        assert "File too large" in next_line(running)
        assert running.wait(timeout=30) == 0
    assert folder.ledger.read_bytes().endswith(b"\n")
    folder.append(proposed(2))
    assert ids(folder) == ["0", "2"]
