"""The tables of a search's result."""

import math
from dataclasses import replace
from pathlib import Path

from bench.own_tuner.result import SearchResult, error_line, no_success
from bench.own_tuner.sequence import Proposal
from bench.training.own_tuner.exchange import Execution, TrialRun

PROMOTED = Proposal(number=1, trial_id="0001", run=1, values={"units": 8, "tuner/initial_epoch": 2})
FAILED = Proposal(number=2, trial_id="0002", run=1, values={"units": 4})
EXECUTIONS = (
    Execution(
        metrics={"val_loss": 0.5}, best_epoch=1, epochs=2, seconds=1.5, curves={"val_loss": (0.75, 0.5), "lr": (0.1,)}
    ),
    Execution(metrics={"val_loss": "nan"}, best_epoch=None, epochs=0, seconds=0.0, curves={}),
)
RESULT = SearchResult(
    project=Path("work/mine"),
    complete=False,
    trained=1,
    objective="val_loss",
    results=(
        (PROMOTED, TrialRun(status="COMPLETED", executions=EXECUTIONS, values={**PROMOTED.values, "batch": 32})),
        (FAILED, TrialRun(status="INVALID", message="ValueError: too large")),
    ),
)


def test_every_execution_is_a_row_and_so_is_a_failed_trial() -> None:
    frame = RESULT.executions
    assert frame["trial"].tolist() == ["0001", "0001", "0002"]
    assert frame["execution"].tolist() == [0, 1, 0]
    assert frame["status"].tolist() == ["COMPLETED", "COMPLETED", "INVALID"]
    assert frame["val_loss"].tolist()[0] == 0.5
    assert math.isnan(frame["val_loss"].tolist()[1])
    assert frame["best_epoch"].tolist()[0] == 4  # as in `curves`
    assert frame["seconds"].isna().tolist() == [False, True, True]  # unknown, or failed
    assert frame["hp_units"].tolist() == [8, 8, 4]
    assert frame["hp_batch"].tolist()[:2] == [32, 32]  # a hyperparameter that only fit declares
    assert frame["error"].tolist()[2] == "ValueError: too large"


def test_curves_have_a_row_per_epoch_counted_from_the_first_of_the_parent() -> None:
    frame = RESULT.curves
    assert frame["epoch"].tolist() == [3, 4]
    assert frame["val_loss"].tolist() == [0.75, 0.5]
    assert math.isnan(frame["lr"].tolist()[1])


def test_curves_have_their_columns_even_without_a_known_epoch() -> None:
    frame = replace(RESULT, results=RESULT.results[1:]).curves
    assert frame.columns.tolist() == ["trial", "execution", "epoch"]
    assert frame.empty


def test_summary_counts_trials_and_says_how_to_continue() -> None:
    assert repr(RESULT) == (
        "2 trials (1 failed) in work/mine, 1 of them trained in this call. Time is up: repeat the call to continue"
    )


def test_summary_counts_a_retried_trial_once() -> None:
    again = replace(FAILED, number=3, run=2)
    results = (*RESULT.results, (again, TrialRun(status="COMPLETED", executions=EXECUTIONS[:1])))
    assert repr(replace(RESULT, complete=True, results=results)).startswith("2 trials in work/mine, ")


def test_search_without_success_says_why() -> None:
    ledger = Path("work/mine/search.jsonl")
    failed = replace(RESULT, complete=True, results=RESULT.results[1:])
    assert no_success(failed, ledger) == (
        "no trial succeeded: 1 trial (1 failed) in work/mine, 1 of them trained in this call. The first error is "
        "ValueError: too large; tracebacks are in work/mine/search.jsonl"
    )
    assert no_success(replace(RESULT, trained=0, results=()), ledger) == (
        "no trial succeeded: 0 trials in work/mine, 0 of them trained in this call. Time is up: repeat the call to "
        "continue"
    )


def test_error_of_a_trial_is_shown_in_one_line() -> None:
    traceback = 'Traceback (most recent call last):\n  File "a.py", line 1, in f\n    g()\n{}\n'
    for message, expected in (
        ("ValueError: too large\nhint", "ValueError: too large"),
        ("NotImplementedError: \nObject Net was created\nby", "NotImplementedError: Object Net was created"),
        ("its worker process was killed", "its worker process was killed"),
    ):
        text = message if message.startswith("its") else traceback.format(message)
        assert error_line(TrialRun(status="INVALID", message=text)) == expected
    assert error_line(TrialRun(status="INVALID")) == ""
