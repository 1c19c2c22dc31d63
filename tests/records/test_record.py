"""Records refuse inconsistent fields, and are read from JSON as they were written."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.errors import RecordError
from bench.records.record import Curve, RunRecord
from builders import (
    make_curve,
    make_failed_trial,
    make_predictions,
    make_reference,
    make_run,
    make_search,
    make_spec,
    make_trial,
    write_run,
)
from whole_runs import without_circumstances


def make_record(**changes: Any) -> RunRecord:
    return make_run(make_predictions(), **changes)


def test_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    record = make_record()
    assert write_run(tmp_path, record, make_predictions()).read_record() == record


def test_types_of_hyperparameters_survive_the_file(tmp_path: Path) -> None:
    values = {"whole": 1, "real": 1.0, "tiny": 1e-30, "yes": True, "text": "1", "name": "naïve │ 名"}
    record = make_record(origin=make_search(trials=(make_trial(1, 0.9, values=values),)))
    search = write_run(tmp_path, record, make_predictions()).read_record().search
    assert search is not None
    assert [(name, type(value), value) for name, value in search.winning_trial.values.items()] == [
        (name, type(value), value) for name, value in values.items()
    ]


def test_floats_survive_the_file_to_the_last_bit(tmp_path: Path) -> None:
    record = make_record(total_seconds=0.1 + 0.2)
    assert write_run(tmp_path, record, make_predictions()).read_record().total_seconds == 0.1 + 0.2


def test_record_file_is_plain_json_with_readable_text(tmp_path: Path) -> None:
    record = make_record(refits=tuple(replace(refit, summary="│ dense │") for refit in make_record().refits))
    content = write_run(tmp_path, record, make_predictions()).record_file.read_text(encoding="utf-8")
    assert "│ dense │" in content
    assert json.loads(content)["spec"]["family"] == "dense"


def test_score_is_the_last_epoch_not_the_best() -> None:
    curve = Curve(validation_accuracy=(0.5, 0.9, 0.8))
    assert make_trial(0, 0.8, curve=curve).score == 0.8


def test_failed_trial_has_no_score() -> None:
    with pytest.raises(RecordError, match="trial 0003 has no score, since it failed: out of memory"):
        _ = make_failed_trial(3, "out of memory").score


def test_failed_trial_needs_an_error() -> None:
    with pytest.raises(
        RecordError, match="trial 0000 must have an error if and only if it failed, got status='failed', error=None"
    ):
        make_trial(0, 0.8, status="failed")


def test_successful_trial_has_no_error() -> None:
    with pytest.raises(RecordError, match="got status='ok', error='odd'"):
        make_trial(0, 0.8, error="odd")


def test_curve_must_be_as_long_as_the_trial() -> None:
    with pytest.raises(RecordError, match="trial 0000: expected a curve of 3 epochs, got 2"):
        make_trial(0, 0.8, epochs=3, curve=make_curve(2, 0.8))


def test_successful_trial_trained_at_least_one_epoch() -> None:
    with pytest.raises(RecordError, match="got 0, 0"):
        make_trial(0, 0.8, epochs=0, curve=Curve())


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_curve_refuses_a_loss_that_is_not_finite(value: float) -> None:
    with pytest.raises(RecordError, match=f"training_loss is {value} after epoch 2"):
        Curve(training_loss=(1.0, value))


@pytest.mark.parametrize("value", [math.nan, -0.1, 92.0])
def test_curve_refuses_an_accuracy_outside_0_to_1(value: float) -> None:
    with pytest.raises(RecordError, match=f"validation_accuracy is {value} after epoch 1"):
        Curve(validation_accuracy=(value,))


def test_curves_of_a_promoted_trial_join() -> None:
    joined = Curve(training_loss=(3.0, 2.0)) + Curve(training_loss=(1.0,), validation_loss=(4.0,))
    assert joined == Curve(training_loss=(3.0, 2.0, 1.0), validation_loss=(4.0,))


def test_winner_must_be_among_the_trials() -> None:
    with pytest.raises(RecordError, match=r"winner '0009' must be a trial .* found no such trial among 3"):
        make_search(winner="0009")


def test_winner_must_not_have_failed() -> None:
    with pytest.raises(RecordError, match="winner '0002' must be a trial with status 'ok', found status 'failed'"):
        make_search(winner="0002")


def test_every_refit_seed_needs_a_refit() -> None:
    with pytest.raises(RecordError, match="expected 3 refits, found 2"):
        make_record(refits=make_record().refits[:2])


def test_origin_must_match_the_spec() -> None:
    with pytest.raises(RecordError, match=r"spec and origin must both be .* got SearchSpec and ReferenceModel"):
        make_record(origin=make_reference())


def test_trained_epochs_exclude_parents_and_duplicates() -> None:
    trials = (
        make_trial(0, 0.7, epochs=2),  # trains 2
        make_trial(1, 0.9, epochs=6, initial_epoch=2, parent="0000"),  # trains 4
        make_trial(2, 0.7, epochs=2, duplicate_of="0000"),  # trains none
    )
    assert make_search(trials=trials).trained_epochs == 6


def test_runs_that_differ_only_in_times_and_workers_are_equal_without_circumstances() -> None:
    record = make_record()
    search = make_search()
    trials = tuple(replace(trial, fit_seconds=1.0, task_seconds=2.0, ended_seconds=3.0) for trial in search.trials)
    elsewhere = replace(
        record,
        run_id=f"{record.run_id}-repeat2",
        environment=replace(record.environment, git_commit=None),
        origin=make_search(trials=trials, search_seconds=1.0, overruled_proposals=1),
        refits=tuple(replace(refit, fit_seconds=1.0, task_seconds=2.0) for refit in record.refits),
        latency=replace(record.latency, microseconds_per_image=1.0),
        workers=1,
        started="2026-02-02T00:00:00Z",
        finished="2026-02-02T00:01:00Z",
        total_seconds=2.0,
        resumed=3,
    )
    assert elsewhere != record
    assert without_circumstances(elsewhere) == without_circumstances(record)


def test_runs_that_differ_in_a_result_differ_without_circumstances() -> None:
    record = make_record()
    changes: dict[str, Any] = {
        "spec": make_spec(seed=2),
        "environment": replace(record.environment, tensorflow="2.20.0"),
        "dataset": replace(record.dataset, checksum="6" * 64),
        "origin": make_search(winner="0000"),
        "refits": tuple(replace(refit, weights_sha256="f" * 64) for refit in record.refits),
        "predictions_sha256": "0" * 64,
    }
    changed = {name: replace(record, **{name: value}) for name, value in changes.items()}
    same = [name for name, other in changed.items() if without_circumstances(other) == without_circumstances(record)]
    assert same == []


def test_trial_of_an_own_fit_may_have_a_short_curve_and_has_the_measured_score() -> None:
    trial = make_trial(0, 0.8, curve=make_curve(2, 0.8), objective_score=0.75)
    assert (trial.score, trial.validation_accuracy) == (0.75, 0.8)
    assert make_trial(0, 0.8).score == 0.8
    assert make_trial(0, 0.8, curve=Curve(), objective_score=0.5).validation_accuracy is None
    with pytest.raises(RecordError, match="expected a curve of 3 epochs, got 2"):
        make_trial(0, 0.8, curve=make_curve(2, 0.8))
    with pytest.raises(RecordError, match=r"objective_score must be in \[0, 1\], got 1.5"):
        make_trial(0, 0.8, objective_score=1.5)


def test_retrained_epochs_count_as_trained() -> None:
    trials = (make_trial(0, 0.8), make_trial(1, 0.9, initial_epoch=1, retrained_epochs=1, objective_score=0.9))
    assert make_search(trials=trials).trained_epochs == 6
