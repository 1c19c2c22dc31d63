"""The order of an oracle's calls: the same whatever the number of workers and the durations of trials."""

import random
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.own_tuner.job import SearchJob
from bench.own_tuner.ledger import Ledger
from bench.own_tuner.options import Options
from bench.own_tuner.scores import Scores
from bench.own_tuner.sequence import Proposal, TrialSequence
from bench.training.own_tuner.exchange import TrialRun
from bench.tuning.trials import NoProposal

COMPLETED = TrialRun(status="COMPLETED")
FAILED = TrialRun(status="INVALID", message="ValueError")


@dataclass
class Oracle:
    """Proposes `trials` trials in rungs of `rung`, and waits for the results of each rung.

    It retries failures once, or, if `max_failures` is given, ends the search after as many in a row.
    """

    trials: int = 12
    rung: int = 12
    max_failures: int | None = None
    failures: int = 0
    calls: list[str] = field(default_factory=list)
    proposed: list[Proposal] = field(default_factory=list)
    reported: int = 0
    retries: list[str] = field(default_factory=list)
    logged: list[Proposal] = field(default_factory=list)

    def log(self, proposal: Proposal) -> None:
        self.logged.append(proposal)

    def propose(self) -> Proposal | NoProposal:
        if self.retries:
            return self._propose(self.retries.pop(), run=2)
        firsts = sum(proposal.run == 1 for proposal in self.proposed)
        pending = len(self.proposed) - self.reported
        if firsts == self.trials:
            self.calls.append("end")
            return NoProposal.END
        if firsts % self.rung == 0 and pending:
            self.calls.append("wait")
            return NoProposal.WAIT
        return self._propose(str(firsts), run=1)

    def report(self, proposal: Proposal, result: TrialRun) -> None:
        self.reported += 1
        self.calls.append(f"report {proposal.name} {result.status}")
        self.failures = self.failures + 1 if result.status == "INVALID" else 0
        if self.failures == self.max_failures:
            raise RuntimeError(f"{self.failures} failures")
        if result.status == "INVALID" and proposal.run == 1 and self.max_failures is None:
            self.retries.append(proposal.trial_id)

    def _propose(self, trial_id: str, run: int) -> Proposal:
        proposal = Proposal(number=len(self.proposed), trial_id=trial_id, run=run, values={})
        self.proposed.append(proposal)
        self.calls.append(f"propose {proposal.name}")
        return proposal


def result_of(proposal: Proposal) -> TrialRun:
    """Every fifth trial fails at first."""
    return FAILED if int(proposal.trial_id) % 5 == 3 and proposal.run == 1 else COMPLETED


def run(sequence: TrialSequence, workers: int, seed: int = 0, until: int = 10_000) -> int:
    """Train with `workers` workers, whose trials end in random order; returns the largest number in flight."""
    chance, in_flight, most = random.Random(seed), dict[str, Proposal](), 0
    trained = 0
    while not sequence.done and trained < until:
        sequence.refill(in_flight, workers)
        for proposal in sequence.waiting(in_flight)[: workers - len(in_flight)]:
            in_flight[proposal.name] = proposal
        most = max(most, len(in_flight))
        if in_flight:
            ended = in_flight.pop(chance.choice(sorted(in_flight)))
            sequence.finish(ended, result_of(ended))
            trained += 1
    return most


@pytest.mark.parametrize(("trials", "rung"), [(12, 12), (12, 4), (0, 12), (1, 12)])
@pytest.mark.parametrize("first_alone", [False, True])
@pytest.mark.parametrize("max_pending", [1, 3, 32])
def test_calls_do_not_depend_on_workers(trials: int, rung: int, first_alone: bool, max_pending: int) -> None:
    all_calls = []
    for workers, seed in ((1, 0), (2, 1), (3, 2), (8, 3), (8, 4)):
        source = Oracle(trials, rung)
        sequence = TrialSequence(source, max_pending, {}, first_alone=first_alone)
        run(sequence, workers, seed)
        assert sequence.complete
        all_calls.append(source.calls)
    assert all(calls == all_calls[0] for calls in all_calls)


def test_maximum_of_pending_trials_is_used_and_kept() -> None:
    for max_pending, workers, expected in ((3, 8, 3), (32, 8, 8), (32, 2, 2)):
        sequence = TrialSequence(Oracle(), max_pending, {}, first_alone=False)
        assert run(sequence, workers) == expected


def test_results_are_reported_in_order_and_failures_are_retried() -> None:
    source = Oracle(trials=5)
    run(TrialSequence(source, 2, {}, first_alone=False), 2)
    # At most two trials are pending, and a report is made only when no proposal is possible.
    assert source.calls == [
        "propose trial 0",
        "propose trial 1",
        "report trial 0 COMPLETED",
        "propose trial 2",
        "report trial 1 COMPLETED",
        "propose trial 3",
        "report trial 2 COMPLETED",
        "propose trial 4",
        "report trial 3 INVALID",
        "propose trial 3, retry 1",
        "report trial 4 COMPLETED",
        "end",
        "report trial 3, retry 1 COMPLETED",
        "end",
    ]


@pytest.mark.parametrize("results", ["FFF", "FCFFF"])
@pytest.mark.parametrize("max_failures", [3, None])
def test_oracle_that_ends_the_search_is_told_at_once(results: str, max_failures: int | None) -> None:
    padded = enumerate(results.ljust(12, "F"))
    known = {(str(number), 1): FAILED if each == "F" else COMPLETED for number, each in padded}
    source = Oracle(max_failures=3)
    sequence = TrialSequence(source, 32, known, first_alone=False, max_failures=max_failures)
    with pytest.raises(RuntimeError, match="3 failures"):
        sequence.refill((), 1)
    assert len(source.proposed) == (len(results) if max_failures else 12)


def test_oracle_that_continues_after_many_failures_is_asked_again() -> None:
    known = {(str(number), 1): FAILED for number in range(12)}
    source = Oracle(max_failures=99)
    sequence = TrialSequence(source, 32, known, first_alone=False, max_failures=3)
    sequence.refill((), 1)
    assert sequence.complete
    assert source.calls[:8] == [
        *(f"propose trial {n}" for n in range(3)),
        *(f"report trial {n} INVALID" for n in range(3)),
        "propose trial 3",
        "propose trial 4",
    ]


def test_second_trial_waits_for_the_first_if_that_may_extend_the_space() -> None:
    source = Oracle(trials=3)
    run(TrialSequence(source, 32, {}, first_alone=True), 2)
    assert source.calls[:4] == ["propose trial 0", "report trial 0 COMPLETED", "propose trial 1", "propose trial 2"]


@pytest.mark.parametrize("until", range(13))
def test_resumed_search_makes_the_same_calls(until: int) -> None:
    uninterrupted = Oracle(rung=4)
    run(TrialSequence(uninterrupted, 3, {}, first_alone=False), 2)
    interrupted, known = Oracle(rung=4), {}
    sequence = TrialSequence(interrupted, 3, {}, first_alone=False)
    run(sequence, 2, until=until)
    for proposal in interrupted.proposed:
        if proposal not in sequence.waiting(()):
            known[proposal.trial_id, proposal.run] = result_of(proposal)
    resumed = Oracle(rung=4)
    run(TrialSequence(resumed, 3, known, first_alone=False), 3, seed=5)
    assert resumed.calls == uninterrupted.calls


def test_stopped_search_reports_all_results_and_proposes_no_more() -> None:
    source = Oracle()
    sequence = TrialSequence(source, 32, {}, first_alone=False)
    sequence.refill((), 3)
    first, second, third = sequence.waiting(())
    sequence.finish(third, COMPLETED)
    sequence.finish(first, COMPLETED)
    sequence.flush()
    assert (sequence.done, sequence.complete) == (True, False)
    assert [proposal for proposal, _ in sequence.results] == [first, third]  # the second has no result
    sequence.refill((), 3)
    assert source.proposed == [first, second, third]


@pytest.mark.parametrize(("results", "fails"), [("FF-FC", False), ("FFFC-C", True)])
def test_search_that_is_stopped_after_failures_reports_the_other_results(results: str, fails: bool) -> None:
    source = Oracle(max_failures=3)
    sequence = TrialSequence(source, 32, {}, first_alone=False)
    sequence.refill((), len(results))
    for proposal, result in zip(sequence.waiting(()), results, strict=True):
        if result != "-":
            sequence.finish(proposal, FAILED if result == "F" else COMPLETED)
    with pytest.raises(RuntimeError) if fails else nullcontext():
        sequence.flush()
    assert [int(proposal.trial_id) for proposal, _ in sequence.results] == [
        number for number, result in enumerate(results) if result != "-"
    ]


def test_results_after_a_trial_without_one_are_known_before_it_is_trained() -> None:
    source, known = Oracle(), {("1", 1): COMPLETED, ("3", 1): COMPLETED}
    sequence = TrialSequence(source, 32, known, first_alone=False, earlier=5)
    sequence.refill((), 1)
    sequence.flush()  # no worker could start
    assert [proposal.trial_id for proposal, _ in sequence.results] == ["1", "3"]
    assert len(source.proposed) == 5


def test_idle_worker_starts_a_waiting_trial_before_the_oracle_is_called(tmp_path: Path) -> None:
    source: Any = Oracle()
    scores = Scores(SimpleNamespace(end_order=[]))
    sequence = TrialSequence(source, 32, {}, first_alone=False)
    ledger = Ledger(tmp_path / "search.jsonl")
    shared: Any = {"options": Options(), "title": "mine", "payload": "", "seed": 1, "deadline": None}
    job = SearchJob(sequence, source, ledger, scores, print, workers=2, **shared)
    proposed = []
    for in_flight in ((), ("trial 0",), ("trial 0", "trial 1")):
        job.advance(in_flight)
        proposed.append(len(source.proposed))
    assert proposed == [2, 2, 4]


def test_only_proposals_without_a_known_result_are_logged() -> None:
    source = Oracle()
    sequence = TrialSequence(source, 32, {("1", 1): COMPLETED}, first_alone=False)
    sequence.refill((), 3)
    assert [proposal.trial_id for proposal in source.logged] == ["0", "2", "3"]
