"""The script that compares tuners: its simulated searches and statistics, on numbers small enough to check by hand."""

import math
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.data.catalog import locate
from bench.execution.options import Options
from bench.records.ledger import SessionStarted, TrialEnded, TrialProposed
from bench.records.record import TrialRecord
from bench.records.spec import Budget, SearchSpec
from bench.records.store import RunFolder, run_folder
from benchmarks import tuners
from benchmarks.shared import run_search
from builders import make_dataset, make_environment, make_failed_trial, make_spec, make_trial

BUDGET = Budget(trials=4, epochs=3)
NOW = "2026-01-01T00:00:00+00:00"

# Accuracy after each of two epochs; candidate 1 is the best after one epoch, 2 after two.
POOL = tuners.Pool(
    curves=np.array([[0.5, 0.6], [0.7, 0.65], [0.1, 0.9], [0.3, 0.8]]),
    epoch_seconds=np.array([1.0, 2.0, 3.0, 4.0]),
    start_seconds=np.full(4, 10.0),
)


def write(results: Path, spec: SearchSpec, trials: Iterable[TrialRecord], unfinished: int = 0) -> RunFolder:
    """A ledger with these trials and some proposals that have not ended; a trial without time is not logged."""
    folder = run_folder(results, spec)
    folder.write_spec(spec)
    folder.append(SessionStarted(time=NOW, environment=make_environment(), dataset=make_dataset()))
    started = [make_trial(900 + number, 0.5) for number in range(unfinished)]
    for trial in (*trials, *started):
        folder.append(
            TrialProposed(
                time=NOW,
                trial_id=trial.trial_id,
                values=trial.values,
                initial_epoch=0,
                epochs=trial.epochs,
                parent=None,
            )
        )
        if trial not in started and trial.task_seconds:
            folder.append(TrialEnded(time=NOW, trial=trial))
    return folder


def trials(scores: Iterable[float]) -> list[TrialRecord]:
    """Full-length trials; trial n takes 12 + n seconds, of which 10 + n in its epochs."""
    return [make_trial(number, score) for number, score in enumerate(scores)]


# Simulated searches


def test_simulated_search_promotes_the_best_of_a_rung() -> None:
    rung = [tuners.Step(0, 0, 1)] * 3
    orders = np.array([[0, 1, 3, 2], [3, 2, 0, 1]])
    search, other = tuners.simulate([*rung, tuners.Step(0, 1, 2), tuners.Step(1, 0, 2)], POOL, orders)
    # One epoch each of 0, 1 and 3, the second epoch of 1, both epochs of 2; every trial takes 10 s to start.
    assert search.core_seconds.tolist() == [11, 23, 37, 49, 65]
    assert search.best.tolist() == [0, 0, 0, 0.65, 0.9]
    # One epoch each of 3, 2 and 0, the second epoch of 0, both epochs of 1.
    assert other.core_seconds.tolist() == [14, 27, 38, 49, 63]
    assert other.best.tolist() == [0, 0, 0, 0.6, 0.65]


def test_candidate_is_promoted_once() -> None:
    steps = [tuners.Step(0, 0, 1)] * 3 + [tuners.Step(0, 1, 2)] * 2
    (search,) = tuners.simulate(steps, POOL, np.array([[0, 1, 3]]))
    assert search.core_seconds.tolist() == [11, 23, 37, 49, 60]
    assert tuners.rungs(steps) == 2


def test_rungs_of_different_brackets_are_separate() -> None:
    steps = [tuners.Step(0, 0, 1), tuners.Step(1, 0, 1), tuners.Step(1, 1, 2), tuners.Step(0, 1, 2)]
    (search,) = tuners.simulate(steps, POOL, np.array([[1, 0]]))
    assert search.best.tolist() == [0, 0, 0.6, 0.65]


def test_pool_excludes_failed_candidates() -> None:
    pool = tuners.make_pool([*trials([0.8]), make_failed_trial(1, "ValueError: NaN"), make_trial(2, 0.9)])
    assert pool.curves[:, -1].tolist() == [0.8, 0.9]
    assert pool.epoch_seconds.tolist() == pytest.approx([10 / 3, 4.0])
    assert pool.start_seconds.tolist() == [2, 2]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tuner", "budget"), [("random", BUDGET), ("hyperband", BUDGET), ("hyperband", Budget(trials=30, epochs=9))]
)
def test_simulated_search_is_that_of_the_oracle(tuner: str, budget: Budget) -> None:
    import keras_tuner

    from bench.tuning.proposer import Proposer
    from bench.tuning.trials import Proposal
    from bench.tuning.tuners import load

    spec = make_spec(tuner=tuner, budget=budget)
    random = np.random.default_rng(0)
    pool = replace(
        POOL, curves=random.random((200, budget.epochs)), epoch_seconds=np.ones(200), start_seconds=np.ones(200)
    )
    space = keras_tuner.HyperParameters()
    space.Choice("candidate", list(range(200)))
    proposer = Proposer(load(tuner).oracle(spec, space), budget.epochs)
    drawn, best, seconds = [], 0.0, 0
    while isinstance(proposal := proposer.propose(), Proposal):
        candidate = int(proposal.values["candidate"])
        if proposal.parent is None:
            drawn.append(candidate)
        score = float(pool.curves[candidate, proposal.epochs - 1])
        proposer.report(proposal.trial_id, score)
        best = max(best, score if proposal.epochs == budget.epochs else 0.0)
        seconds += 1 + proposal.epochs - proposal.initial_epoch
    steps = tuners.schedule(spec)
    # The oracle, which gets every result at once, draws candidates bracket by bracket.
    order = np.empty(len(drawn), dtype=np.int64)
    order[np.argsort([step.bracket for step in steps if step.initial_epoch == 0], kind="stable")] = drawn
    (search,) = tuners.simulate(steps, pool, order[np.newaxis])
    assert (search.best[-1], search.core_seconds[-1]) == (best, seconds)


@pytest.mark.slow
def test_schedule_starts_the_longest_trials_first() -> None:
    steps = tuners.schedule(make_spec(tuner="hyperband", budget=BUDGET))
    # Two trials of three epochs; three of one epoch, the best of which is continued to three.
    full, short, promoted = tuners.Step(1, 0, 3), tuners.Step(0, 0, 1), tuners.Step(0, 1, 3)
    assert steps == [full, full, short, short, short, promoted]


# Ledgers


def test_trials_end_before_the_first_unfinished_one(tmp_path: Path) -> None:
    folder = write(tmp_path, make_spec(), trials([0.8, 0.9]), unfinished=2)
    assert tuners.read(folder).trials == tuple(trials([0.8, 0.9]))
    assert tuners.is_complete(folder, 2)
    assert not tuners.is_complete(folder, 3)
    assert not tuners.is_complete(run_folder(tmp_path, make_spec(seed=2)), 1)


def test_duplicate_takes_no_time(tmp_path: Path) -> None:
    first, second = trials([0.8, 0.9])
    duplicate = replace(first, trial_id="0002", fit_seconds=0.0, task_seconds=0.0)
    read = tuners.read(write(tmp_path, make_spec(), [first, second, duplicate])).trials
    assert [(trial.score, trial.task_seconds) for trial in read] == [(0.8, 12), (0.9, 13), (0.8, 0)]


# Outcomes


def test_interval_of_searches_that_were_run_is_by_student_s_t() -> None:
    outcome = tuners.measured([trials([0.8, 0.90]), trials([0.92, 0.7])], epochs=3)
    # Winners 90% and 92%: deviation sqrt(2), standard error 1; t at 97.5%, one degree of freedom: 12.706.
    assert outcome.scores.tolist() == pytest.approx([90, 92])
    assert tuners.half_width(outcome.standard_error, outcome.freedom) == pytest.approx(12.706, abs=1e-3)
    assert (outcome.epochs, outcome.core_seconds) == (6, 25)


def test_trials_that_failed_or_are_short_do_not_win() -> None:
    search = [make_trial(0, 0.99, epochs=2), make_failed_trial(1, "ValueError: NaN"), make_trial(2, 0.9)]
    assert tuners.measured([search], epochs=3).scores.tolist() == pytest.approx([90])


def test_single_search_has_no_interval() -> None:
    outcome = tuners.measured([trials([0.9])], epochs=3)
    assert math.isnan(tuners.half_width(outcome.standard_error, outcome.freedom))
    other = tuners.measured([trials([0.8]), trials([0.82])], epochs=3)
    mean, half = tuners.difference(outcome, other)
    assert mean == pytest.approx(9)
    assert math.isnan(half)


def test_simulated_searches_of_equal_candidates_do_not_differ() -> None:
    equal = replace(POOL, curves=np.full((4, 2), 0.9))
    outcome = tuners.simulated([tuners.Step(0, 0, 2)] * 2, equal)
    assert len(outcome.traces) == tuners.SIMULATIONS
    assert (outcome.scores == 90).all()
    assert tuners.half_width(outcome.standard_error, outcome.freedom) == pytest.approx(0, abs=1e-9)


def test_simulated_tuners_are_compared_within_each_sample_of_the_pool() -> None:
    curves = np.array([[0.5, score] for score in np.linspace(0.6, 0.9, 12)])
    pool = replace(POOL, curves=curves, epoch_seconds=np.ones(12), start_seconds=np.ones(12))
    few, more = (tuners.simulated([tuners.Step(0, 0, 2)] * trials, pool) for trials in (3, 4))
    mean, half = tuners.difference(more, few)
    assert mean > half > 0
    assert half < 0.5 * tuners.half_width(math.hypot(few.standard_error, more.standard_error), math.inf)


def test_quantiles_are_those_of_the_best_score_so_far() -> None:
    traces = [tuners.trace([(1.0, 0.0), (1.0, score), (2.0, score + 0.05)]) for score in (0.5, 0.6, 0.7)]
    low, middle, high = tuners.quantiles(traces, np.array([1.0, 2.0, 3.9, 4.0, 9.0]))
    assert np.isnan(low[0])
    assert low[1:].tolist() == pytest.approx([50, 50, 55, 55])
    assert middle[1:].tolist() == pytest.approx([60, 60, 65, 65])
    assert high[1:].tolist() == pytest.approx([70, 70, 75, 75])


@pytest.mark.slow
def test_page_has_every_tuner_with_finished_searches(tmp_path: Path) -> None:
    results = tmp_path / "tuners"
    scores = np.linspace(0.7, 0.9, 20).tolist()
    write(results, make_spec(tuner="random", budget=replace(BUDGET, trials=20)), trials(scores))
    write(
        results, make_spec(tuner="grid", budget=replace(BUDGET, trials=30)), trials([0.5, 0.6, 0.7, 0.8]), unfinished=3
    )
    for seed in (0, 1):
        write(results, make_spec(tuner="tpe", budget=BUDGET, seed=seed), trials([0.5, 0.6, 0.7, 0.9 + seed / 100]))
    write(results, make_spec(tuner="bayesian", budget=BUDGET), trials([0.95]), unfinished=1)
    write(results, make_spec(tuner="tpe", budget=Budget(trials=4, epochs=2)), trials([0.99] * 4))
    tuners.write_page(results, "synthetic", {"dense": BUDGET})
    page = (tmp_path / "tuners.md").read_text(encoding="utf-8")
    page, larger = page.split("## Larger budgets")
    rows = re.findall(r"^\| dense +\| (\w+) +\| ([^|]*?) *\| +(\S+) \|", page, re.MULTILINE)
    assert [row[:2] for row in rows] == [
        ("grid", "1 run in full"),
        ("hyperband", "10,000 simulated"),
        ("random", "10,000 simulated"),
        ("tpe", "2 run in full"),
    ]
    assert (rows[0][2], rows[3][2]) == ("80.00", "90.50")
    assert "4 of 30 candidates fit into the budget; they differ only in units_1." in page
    assert "tpe has the highest mean, 90.50%" in page
    # The pool has 20 candidates; a random search with 8 times the budget would draw 32.
    budgets = re.findall(r"^\| dense +\| +(\d+) \| random ", larger, re.MULTILINE)
    assert budgets == ["12", "24", "48"]
    assert "- dense, compared with the default, hyperband: no tuner is shown to be better" in page
    assert (tmp_path / "tuners-dense.png").exists()


def test_page_without_searches_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="has no search of dense"):
        tuners.write_page(tmp_path, "synthetic", {"dense": BUDGET})


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_search_that_is_ended_continues_and_never_opens_the_test_set(tmp_path: Path) -> None:
    import search_spaces

    location = locate("digits")
    budget = Budget(trials=4, epochs=1)
    source = search_spaces.source_digest("tiny")
    spec = make_spec(dataset=location.name, family="tiny", source=source, budget=budget)
    options = Options(results=tmp_path, dataset=location, workers=1)
    folder = run_folder(tmp_path, spec)
    run_search(spec, options, lambda: tuners.is_complete(folder, 2))
    first = tuners.read(folder).trials
    assert len(first) == 2
    run_search(spec, options)
    assert len(tuners.read(folder).trials) == 4
    assert tuners.read(folder).trials[:2] == first
    assert not folder.finished
    assert not list(tmp_path.rglob("test_evaluations.jsonl"))
