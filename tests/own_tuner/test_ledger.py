"""The ledger of a search: every number survives, and the last search counts."""

import math
from pathlib import Path

import msgspec
import pytest

from bench.errors import RecordError, SearchError
from bench.own_tuner.identity import check_same
from bench.own_tuner.ledger import (
    SCHEMA,
    Event,
    Ledger,
    SearchStarted,
    SessionStarted,
    Settings,
    TrialEnded,
    TrialProposed,
)
from bench.training.own_tuner.exchange import Execution, TrialRun, Update, number
from builders import make_environment

TIME = "2026-01-01T00:00:00.000+00:00"
SETTINGS = Settings(
    tuner="keras_tuner.Hyperband",
    oracle="HyperbandOracle",
    objective="val_loss",
    options={"max_epochs": "10"},
    executions_per_trial=1,
    arguments={"epochs": "10"},
    precision="float32",
    max_pending=32,
    space="0123456789ab",
)
RESULT = TrialRun(
    status="COMPLETED",
    updates=(Update(metrics={"val_loss": number(math.nan), "loss": number(0.1)}, step=2),),
    values={"units": 8, "rate": 1e-3, "kind": "a", "flag": True, "none": None},
    executions=(
        Execution(
            metrics={"val_loss": number(math.inf)},
            best_epoch=0,
            epochs=1,
            seconds=1.5,
            curves={"val_loss": (number(-math.inf),)},
        ),
    ),
    seconds=2.5,
)


def started(seed: int = 1) -> SearchStarted:
    return SearchStarted(
        time=TIME,
        schema=SCHEMA,
        settings=SETTINGS,
        space={"space": [], "values": {}},
        seed=seed,
        oracle_seed=2,
        base=(),
    )


def test_events_are_read_as_they_were_written(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "search.jsonl")
    events: list[Event] = [
        started(),
        SessionStarted(time=TIME, environment=make_environment(), data="d", declared="h", workers=2),
        TrialProposed(time=TIME, trial_id="0000", run=1, values={"units": 8}),
        TrialEnded(time=TIME, trial_id="0000", run=1, result=RESULT),
    ]
    for event in events:
        ledger.append(event)
    read = ledger.events()
    assert read[:3] == events[:3]
    assert isinstance(read[3], TrialEnded)
    (update,) = read[3].result.updates
    assert math.isnan(float(update.metrics["val_loss"]))
    assert update.metrics["loss"] == 0.1
    assert read[3].result.values == RESULT.values
    (execution,) = read[3].result.executions
    assert (float(execution.metrics["val_loss"]), float(execution.curves["val_loss"][0])) == (math.inf, -math.inf)


def test_session_of_an_earlier_version_without_the_digest_of_the_code_is_read(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "search.jsonl")
    session = SessionStarted(time=TIME, environment=make_environment(), data="d", declared="h", workers=2, code="c")
    for event in (started(), session):
        ledger.append(event)
    assert ledger.events() == [started(), session]
    ledger.path.write_text(ledger.path.read_text().replace(',"code":"c"', ""))
    assert ledger.events() == [started(), msgspec.structs.replace(session, code=None)]


def test_there_is_no_search_without_a_file(tmp_path: Path) -> None:
    assert Ledger(tmp_path / "search.jsonl").events() == []


def test_last_search_counts(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "search.jsonl")
    events: list[Event] = [started(1), TrialProposed(time=TIME, trial_id="0", run=1, values={}), started(2)]
    for event in events:
        ledger.append(event)
    assert ledger.events() == [started(2)]


def test_file_without_a_start_or_of_another_schema_is_an_error(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "search.jsonl")
    ledger.append(TrialProposed(time=TIME, trial_id="0", run=1, values={}))
    with pytest.raises(RecordError, match=r"search\.jsonl: expected the start of a search in the first line"):
        ledger.events()
    ledger.append(msgspec.structs.replace(started(), schema=99))
    with pytest.raises(RecordError, match=r"search\.jsonl: found schema 99, expected 1: upgrade this package"):
        ledger.events()


def test_changed_setting_is_named_with_both_values() -> None:
    check_same(SETTINGS, SETTINGS, "search.jsonl")
    changed = Settings(**{name: getattr(SETTINGS, name) for name in Settings.__struct_fields__} | {"arguments": {}})
    with pytest.raises(SearchError, match=r"search\.jsonl: .*epochs from 10 to unset.*overwrite=True"):
        check_same(SETTINGS, changed, "search.jsonl")
