"""The order in which an oracle proposes trials and gets their results, whatever the number of workers."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Protocol

from bench.training.own_tuner.exchange import Config, TrialRun
from bench.tuning.trials import NoProposal


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A trial that the oracle proposes, or one that it retries."""

    number: int  # from 0, in order of proposal
    trial_id: str
    run: int  # from 1; more for retries
    values: Mapping[str, Any]
    space: Sequence[Config] | None = None  # of the trial, if building its model extended that of the oracle

    @property
    def name(self) -> str:
        """For messages."""
        return f"trial {self.trial_id}" + (f", retry {self.run - 1}" if self.run > 1 else "")


class Source(Protocol):
    """An oracle."""

    def propose(self) -> Proposal | NoProposal:
        """The next trial, or why there is none."""

    def report(self, proposal: Proposal, result: TrialRun) -> None:
        """Report how a trial ended."""

    def log(self, proposal: Proposal) -> None:
        """Log a proposal whose result is not known yet."""


class TrialSequence:
    """Calls an oracle in an order that depends on nothing but its answers and the results of trials.

    A result is reported only if the oracle cannot propose: because `max_pending` trials await their results, or since
    it waits itself. Results are reported in order of proposal, until the search is stopped. If so many trials in a row
    have failed that the oracle ends the search once it knows, it is told at once.
    """

    def __init__(
        self,
        source: Source,
        max_pending: int,
        known: Mapping[tuple[str, int], TrialRun],
        *,
        first_alone: bool,
        max_failures: int | None = None,
        earlier: int = 0,
    ) -> None:
        """Start with no trials.

        Args:
            source: a new oracle.
            max_pending: maximum number of trials without a result when the oracle proposes another one.
            known: results of an earlier session, by trial id and run.
            first_alone: propose the second trial only after the result of the first, which may extend the space.
            max_failures: consecutive failures after which the oracle ends the search; None if that is unknown.
            earlier: number of trials that the oracle proposed in earlier sessions.
        """
        self.results: list[tuple[Proposal, TrialRun]] = []  # as reported to the oracle
        self._source = source
        self._max_pending = max_pending
        self._known = dict(known)
        self._first_alone = first_alone
        self._max_failures = max_failures
        self._earlier = earlier
        self._proposals: list[Proposal] = []
        self._early: dict[int, TrialRun] = {}  # results that have not been reported yet, by number
        self._oracle_waits = False
        self._ended = False
        self._stopped = False

    @property
    def done(self) -> bool:
        """Whether all trials have ended and been reported, and no more will be proposed."""
        return self._stopped or (self._ended and len(self.results) == len(self._proposals))

    @property
    def complete(self) -> bool:
        """Whether the oracle has no more proposals."""
        return self.done and not self._stopped

    @property
    def unreported(self) -> Collection[TrialRun]:
        """Results that the oracle does not have yet."""
        return self._early.values()

    def waiting(self, in_flight: Collection[str]) -> list[Proposal]:
        """Trials to start.

        Args:
            in_flight: names of trials that workers are training.
        """
        unreported = self._proposals[len(self.results) :]
        return [each for each in unreported if each.number not in self._early and each.name not in in_flight]

    def refill(self, in_flight: Collection[str], wanted: int) -> None:
        """Call the oracle until it has proposed the earlier trials and `wanted` are waiting, or as far as possible.

        Args:
            in_flight: names of trials that workers are training.
            wanted: number of trials.
        """
        while not self.done and (len(self._proposals) < self._earlier or len(self.waiting(in_flight)) < wanted):
            if self._may_propose():
                self._propose()
            elif len(self.results) in self._early:
                self._report(len(self.results))
            else:
                return

    def finish(self, proposal: Proposal, result: TrialRun) -> None:
        """Add the result of a trial, which `refill` reports to the oracle."""
        self._early[proposal.number] = result

    def flush(self) -> None:
        """Report all results, in the end those after a trial that has none, and propose nothing more.

        Raises:
            RuntimeError: too many consecutive trials have failed.
        """
        self._stopped = self._stopped or not self.done
        try:
            while len(self.results) in self._early:
                self._report(len(self.results))
        finally:
            for number in sorted(self._early):
                with suppress(RuntimeError):  # failures before and after a trial that has not ended
                    self._report(number)

    def _may_propose(self) -> bool:
        maximum = 1 if self._first_alone and not self.results else self._max_pending
        pending = len(self._proposals) - len(self.results)
        return not (self._ended or self._oracle_waits or pending >= maximum or self._fails())

    def _fails(self) -> bool:
        """Whether the results that can be reported next complete the maximum of consecutive failures."""
        failures = sum(1 for _ in takewhile(_is_failed, (result for _, result in reversed(self.results))))
        number = len(self.results)
        while (result := self._early.get(number)) is not None:
            failures = failures + 1 if _is_failed(result) else 0
            if failures == self._max_failures:
                return True
            number += 1
        return False

    def _propose(self) -> None:
        proposal = self._source.propose()
        if not isinstance(proposal, Proposal):
            # An oracle may have proposals again after a result: a retry, or a promotion.
            self._oracle_waits = True
            self._ended = len(self.results) == len(self._proposals)
            return
        self._proposals.append(proposal)
        result = self._known.get((proposal.trial_id, proposal.run))
        if result is None:
            self._source.log(proposal)
        else:
            self._early[proposal.number] = result

    def _report(self, number: int) -> None:
        proposal, result = self._proposals[number], self._early.pop(number)
        self.results.append((proposal, result))
        self._oracle_waits = False
        self._source.report(proposal, result)


def _is_failed(result: TrialRun) -> bool:
    return result.status != "COMPLETED"
