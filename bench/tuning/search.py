"""One family's search: ask ahead, tell in order, keep everything in the ledger, and find everything there again."""

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from bench.errors import SearchError
from bench.records.record import Curve, TrialRecord
from bench.records.spec import RunSpec, TrialSpec, Value, candidate_values, trial_seed
from bench.records.store import LedgerEvent, RunFolder, now
from bench.tuning.oracles import Answer, Oracle, Proposal


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A trial that waits for a worker."""

    TASK: ClassVar[str] = "trial "

    number: int
    spec: TrialSpec
    parent: str | None  # trial id whose kept state it can go on from

    @property
    def task(self) -> str:
        """What a task that trains it is called."""
        return f"{self.TASK}{self.number}"


@dataclass(slots=True, kw_only=True)
class Totals:
    """What has come of a search so far."""

    trials: int = 0  # ended, repeated and failed ones included
    failed: int = 0
    epochs: int = 0  # that they had
    best: float | None = None  # score


class Search:
    """The state of one search.

    Trial i + lookahead is asked only after trial i was told, and results are told in the order of asking. So the order
    of calls to the oracle, and with it every proposal, does not depend on how many workers there are or how fast.
    """

    def __init__(self, spec: RunSpec, oracle: Oracle, folder: RunFolder, events: Sequence[LedgerEvent]) -> None:
        """Start, or go on where `events` of the ledger end.

        Raises:
            SearchError: the ledger is of another version of this suite.
        """
        self.spec = spec
        self.differing_proposals = 0
        self._oracle = oracle
        self._folder = folder
        self._kept_asked = [
            (event.trial_id, event.values)
            for event in events
            if event.trial_id is not None and event.values is not None
        ]
        self._kept_results = {event.trial.trial_id: event.trial for event in events if event.trial is not None}
        self._proposals: list[Proposal] = []
        self._results: dict[int, TrialRecord] = {}
        self._goes_on_from: dict[int, str] = {}  # trials without a result to the trial whose state they need
        self.totals = Totals()
        self._numbers: dict[str, int] = {}  # by trial id
        self._first_of_kind: dict[tuple[str, int], int] = {}
        self._repeats: dict[int, list[int]] = {}  # by the number of the trial whose result answers them
        self._waiting: list[int] = []
        self._under_way: set[int] = set()
        self._states = {path.stem for path in folder.state_file("any").parent.glob("*.npz")}
        self._told = 0
        self._asked_in_vain = False  # since the last trial was told
        self._ended = False
        self._stopped = False
        try:
            # A search that the ledger has whole is done before anybody asks for work.
            self._advance()
        except SearchError:
            oracle.close()
            raise

    @property
    def done(self) -> bool:
        """Whether every proposal has been told and the oracle has no more, or the search was stopped."""
        if self._stopped:
            return not self._under_way
        return self._ended and self._told == len(self._proposals)

    @property
    def results(self) -> tuple[TrialRecord, ...]:
        """Trials that have ended, in the order of asking."""
        return tuple(self._results[number] for number in sorted(self._results))

    def result(self, task: str) -> TrialRecord | None:
        """The record of the trial that `Work.task` names, None where there is none."""
        number = task.removeprefix(Work.TASK)
        return self._results.get(int(number)) if task.startswith(Work.TASK) else None

    def next_work(self, epochs_left: float = math.inf) -> Work | None:
        """The longest trial that waits; None where all that were asked are under way or done.

        Where no trial that waits can be trained in `epochs_left`, the search is stopped.
        """
        self._advance()
        possible = [number for number in self._waiting if self._epochs_to_train(number) <= epochs_left]
        if not possible:
            if self._waiting:
                self.stop()
            return None
        # A long one that starts last keeps the others waiting at the end.
        number = max(possible, key=lambda waiting: (self._epochs_to_train(waiting), -waiting))
        self._waiting.remove(number)
        self._under_way.add(number)
        return self._work(number)

    def finish(self, record: TrialRecord) -> None:
        """Keep the record of a trial that was trained here."""
        self._folder.append(LedgerEvent(event="told", time=now(), trial=record))
        self._under_way.discard(record.number)
        if record.status == "ok" and record.epochs < self.spec.budget.epochs:
            self._states.add(record.trial_id)
        self._take(record)
        self._advance()

    def stop(self) -> None:
        """Start nothing more: time is up. What is under way may end."""
        self._stopped = True
        self._waiting.clear()

    def record(
        self,
        work: Work,
        *,
        error: str | None,
        cut: bool = False,
        curve: Curve,
        parameters: int | None,
        seconds: tuple[float, float, float],
    ) -> TrialRecord:
        """The record of `work`; `curve` is of what was trained, `seconds` are fit, task, since the session began."""
        proposal = self._proposals[work.number]
        earlier = self._by_id(proposal.parent).curve if proposal.parent is not None and error is None else Curve()
        fit_seconds, task_seconds, ended_seconds = seconds
        whole = earlier + curve
        return TrialRecord(
            number=work.number,
            trial_id=proposal.trial_id,
            values=proposal.values,
            status="failed" if error is not None else "cut" if cut else "ok",
            error=error,
            seed=work.spec.seed,
            parent=proposal.parent,
            repeats=None,
            initial_epoch=proposal.initial_epoch,
            epochs=len(whole.validation_accuracy) if cut else proposal.epochs,
            parameters=parameters,
            curve=whole,
            fit_seconds=fit_seconds,
            task_seconds=task_seconds,
            ended_seconds=ended_seconds,
        )

    def winner(self) -> TrialRecord:
        """The trial of full length with the best score; ties go to fewer parameters, then to the earlier one.

        Raises:
            SearchError: no trial of full length succeeded.
        """
        full = [trial for trial in self.results if trial.status == "ok" and trial.epochs == self.spec.budget.epochs]
        if not full:
            reasons = sorted({trial.error for trial in self.results if trial.error is not None})
            which = f"none of the {len(self._results)} trials" if self._results else "no trial"
            raise SearchError(
                f"{which} of {self.spec.family!r} ended with a score at full length. "
                f"Reasons: {'; '.join(reasons) or self._why_none()}"
            )
        return min(full, key=lambda trial: (-trial.score, trial.parameters or 0, trial.number))

    def _why_none(self) -> str:
        if self._stopped:
            return f"the {self.spec.time_limit} s of --budget were too short; give more, or fewer --epochs"
        return "the oracle proposed none"

    def drop_states(self) -> None:
        """Remove what was kept for promotions that will not come any more."""
        shutil.rmtree(self._folder.state_file("any").parent, ignore_errors=True)

    def close(self) -> None:
        """Let go of the oracle."""
        self._oracle.close()

    def _advance(self) -> None:
        """Ask and tell as far as what is known allows."""
        while not self._stopped:
            while self._may_ask():
                answer = self._oracle.ask()
                if isinstance(answer, Proposal):
                    self._accept(answer)
                    continue
                self._asked_in_vain = True
                # An oracle that waits while nothing is under way would wait for ever.
                self._ended = answer is Answer.END or self._told == len(self._proposals)
            if self._told not in self._results or self._results[self._told].status == "cut":
                break
            trial = self._results[self._told]
            self._oracle.tell(trial.trial_id, trial.score if trial.status == "ok" else None, trial.error)
            self._told += 1
            self._asked_in_vain = False
        self._drop_useless_states()

    def _drop_useless_states(self) -> None:
        """Keep what may be promoted, and what a promoted trial that has no result yet goes on from."""
        if not self._states:
            return
        for trial_id in self._states - set(self._goes_on_from.values()) - self._oracle.promotable():
            self._folder.state_file(trial_id).unlink(missing_ok=True)
            self._states.discard(trial_id)

    def _may_ask(self) -> bool:
        # Hyperband draws random numbers before it answers that it waits. Asked so once for each trial that is told, and
        # not whenever a worker is idle, it proposes the same whatever the workers do.
        return not self._ended and not self._asked_in_vain and len(self._proposals) - self._told < self.spec.lookahead

    def _accept(self, proposal: Proposal) -> None:
        number = len(self._proposals)
        if number < len(self._kept_asked):
            proposal = self._as_kept(proposal, *self._kept_asked[number])
        else:
            self._folder.append(
                LedgerEvent(event="asked", time=now(), trial_id=proposal.trial_id, values=proposal.values)
            )
        self._proposals.append(proposal)
        self._numbers[proposal.trial_id] = number
        if proposal.parent is not None:
            self._goes_on_from[number] = proposal.parent
        kind = (json.dumps(candidate_values(proposal.values), sort_keys=True), proposal.epochs)
        first = self._first_of_kind.setdefault(kind, number)
        if proposal.trial_id in self._kept_results:
            self._take(self._kept_results[proposal.trial_id])
        elif first == number:
            self._waiting.append(number)
        elif first in self._results:
            self._take(self._repeated(number, self._results[first]))
        else:
            self._repeats.setdefault(first, []).append(number)

    def _take(self, record: TrialRecord) -> None:
        """A result is known, and with it those of all repeated proposals."""
        self._keep(record)
        for number in self._repeats.pop(record.number, []):
            self._keep(self._repeated(number, record))

    def _keep(self, record: TrialRecord) -> None:
        self._results[record.number] = record
        self._goes_on_from.pop(record.number, None)
        self.totals.trials += 1
        self.totals.failed += record.status == "failed"
        self.totals.epochs += max(0, record.epochs - record.initial_epoch)
        if record.status == "ok" and (self.totals.best is None or record.score > self.totals.best):
            self.totals.best = record.score

    def _repeated(self, number: int, original: TrialRecord) -> TrialRecord:
        proposal = self._proposals[number]
        return replace(
            original,
            number=number,
            trial_id=proposal.trial_id,
            values=proposal.values,
            repeats=original.trial_id,
            fit_seconds=0.0,
            task_seconds=0.0,
        )

    def _as_kept(self, proposal: Proposal, trial_id: str, values: Mapping[str, Value]) -> Proposal:
        """What the ledger says was asked: it wins over what the oracle proposes now."""
        if trial_id != proposal.trial_id:
            raise SearchError(
                f"{self._folder.ledger}: trial {trial_id!r} where the oracle now asks {proposal.trial_id!r}: "
                "a line is missing, or the ledger is of another version of this suite; run with --again"
            )
        if dict(values) == dict(proposal.values):
            return proposal
        self.differing_proposals += 1
        return self._oracle.overrule(trial_id, values)

    def _work(self, number: int) -> Work:
        proposal = self._proposals[number]
        values = candidate_values(proposal.values)
        spec = TrialSpec(
            dataset=self.spec.dataset,
            family=self.spec.family,
            values=values,
            part="train",
            seed=trial_seed(self.spec.seed, values),
            initial_epoch=proposal.initial_epoch,
            epochs=proposal.epochs,
            horizon=self.spec.budget.epochs,
            precision=self.spec.precision,
            keep_state=proposal.epochs < self.spec.budget.epochs,
        )
        return Work(number=number, spec=spec, parent=proposal.parent)

    def _epochs_to_train(self, number: int) -> int:
        proposal = self._proposals[number]
        return proposal.epochs - proposal.initial_epoch

    def _by_id(self, trial_id: str) -> TrialRecord:
        return self._results[self._numbers[trial_id]]
