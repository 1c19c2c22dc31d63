"""The search loop of one run: propose trials, report results in order of proposal, log every step in the ledger."""

import math
import shutil
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict, replace

from bench.errors import SearchError
from bench.records.ledger import LedgerEvent, RefitEnded, TrialEnded, TrialProposed, ended_trials
from bench.records.record import Curve, TrialRecord
from bench.records.spec import SearchSpec, trial_key
from bench.records.store import RunFolder, now
from bench.tuning.proposer import ProposalSource
from bench.tuning.trials import NoProposal, PendingTrial, Proposal, Totals, trial_name, trial_spec

# Enough for a large cluster; a proposal takes milliseconds, so proposing everything at once would delay the start.
MAX_AHEAD = 256
MAX_REASONS = 3  # of failures in a message, the most frequent ones


class Search:
    """The state of one search, with queries, which change nothing, and commands.

    It does not know which trials are in flight: the caller passes their names.

    Results are reported to the tuner in order of proposal. The tuner proposes as far ahead as it can or, with a maximum
    number m of pending trials, proposes trial i + m only after trial i was reported. Proposals therefore do not depend
    on the number or speed of workers.
    """

    def __init__(
        self,
        spec: SearchSpec,
        proposer: ProposalSource,
        folder: RunFolder,
        events: Sequence[LedgerEvent],
        *,
        retrains: bool = False,
    ) -> None:
        """Start the search, or resume it from the ledger's `events`; new proposals are appended to the ledger.

        Args:
            spec: of the search.
            proposer: must be new.
            folder: of the run.
            events: in its ledger.
            retrains: whether promoted trials start from their first epoch, since an own `fit` cannot continue.

        Raises:
            SearchError: the ledger belongs to another search.
        """
        self.spec = spec
        self.totals = Totals()
        self.overruled_proposals = 0
        self._folder = folder
        self._ledger_proposals = [event for event in events if isinstance(event, TrialProposed)]
        self._ledger_results = ended_trials(events)
        self._proposals: list[Proposal] = []
        self._numbers: dict[str, int] = {}  # by trial id
        self._results: dict[int, TrialRecord] = {}
        self._pending: list[int] = []  # trials to train, including those in flight
        self._originals: dict[tuple[str, int], int] = {}  # first trial with the same values and epochs
        self._duplicates: dict[int, list[int]] = {}  # trials waiting for the result of an original
        self._parents: dict[int, str] = {}  # of trials without a result: the trial whose state they need
        self._states = {path.stem for path in folder.states_dir.glob("*.npz")}
        self._reported = 0
        self._tuner_waits = False  # until the next result is reported
        self._ended = False  # the tuner has no more proposals
        self._stopped = False
        self._proposer = proposer
        self._retrains = retrains
        self._max_ahead = spec.max_pending or proposer.max_pending or MAX_AHEAD
        self._advance()
        # Without this, a search that its time limit ended would continue.
        self._stopped = folder.plain_file.exists() or any(map(_ends_search, events))

    # Queries

    def next_trial(self, in_flight: Collection[str] = (), max_epochs: float = math.inf) -> PendingTrial | None:
        """The waiting trial with the most epochs, at most `max_epochs`; None if there is none.

        Args:
            in_flight: names of trials that workers are training.
            max_epochs: number of epochs that the remaining time allows.
        """
        startable = [number for number in self._waiting(in_flight) if self._epochs_to_train(number) <= max_epochs]
        if not startable:
            return None
        # Longest first, so that no long trial starts last while all other workers are idle.
        return self._pending_trial(max(startable, key=lambda number: (self._epochs_to_train(number), -number)))

    def is_out_of_time(self, in_flight: Collection[str], max_epochs: float) -> bool:
        """Whether trials are waiting but all need more than `max_epochs` epochs, so that the search should stop."""
        waiting = self._waiting(in_flight)
        return bool(waiting) and all(self._epochs_to_train(number) > max_epochs for number in waiting)

    def is_done(self, in_flight: Collection[str] = ()) -> bool:
        """Whether all trials have ended and no more will be proposed."""
        if self._stopped:
            return not in_flight
        return self._ended and self._reported == len(self._proposals)

    @property
    def results(self) -> tuple[TrialRecord, ...]:
        """Ended trials, in order of proposal."""
        return tuple(self._results[number] for number in sorted(self._results))

    def winner(self) -> TrialRecord:
        """The full-length trial with the best score; ties go to fewer parameters, then to the earlier trial.

        Raises:
            SearchError: no full-length trial succeeded.
        """
        full = [trial for trial in self.results if trial.status == "ok" and trial.epochs == self.spec.budget.epochs]
        if not full:
            trials = f"none of {len(self._results)} trials" if self._results else "no trial"
            raise SearchError(
                f"{trials} of {self.spec.family!r} completed at full length. Reasons: {self._failure_reasons()}"
            )
        return min(full, key=lambda trial: (-trial.score, trial.parameters or 0, trial.number))

    # Commands

    def finish(self, record: TrialRecord) -> None:
        """Add a trial's result to the ledger, report it to the tuner, and propose new trials."""
        self._folder.append(TrialEnded(time=now(), trial=record))
        if record.status == "ok" and record.epochs < self.spec.budget.epochs:
            self._states.add(record.trial_id)
        self._pending.remove(record.number)
        self._add_result(record)
        self._advance()

    def stop(self) -> None:
        """Start no more trials, because time is up; those in flight may end."""
        self._stopped = True

    def drop_states(self) -> None:
        """Delete all saved states; call it when there will be no more promotions."""
        shutil.rmtree(self._folder.states_dir, ignore_errors=True)

    # Proposals

    def _advance(self) -> None:
        """Propose trials and report results as far as possible."""
        while not self._stopped:
            while self._may_propose():
                proposal = self._proposer.propose()
                if isinstance(proposal, Proposal):
                    self._add_proposal(proposal)
                    continue
                self._tuner_waits = True
                # A tuner that waits although every result has been reported would wait forever.
                self._ended = proposal is NoProposal.END or self._reported == len(self._proposals)
            if self._reported not in self._results or self._results[self._reported].status == "cut":
                break
            trial = self._results[self._reported]
            self._proposer.report(trial.trial_id, trial.score if trial.status == "ok" else None, trial.error)
            self._reported += 1
            self._tuner_waits = False
        self._drop_unneeded_states()

    def _may_propose(self) -> bool:
        # Hyperband draws random numbers even if it then has to wait. It is therefore called once after each report, not
        # whenever a worker is idle, so that its proposals do not depend on the workers.
        ahead = len(self._proposals) - self._reported
        return not self._ended and not self._tuner_waits and ahead < self._max_ahead

    def _add_proposal(self, proposal: Proposal) -> None:
        number = len(self._proposals)
        if number < len(self._ledger_proposals):
            proposal = self._as_in_ledger(proposal, self._ledger_proposals[number])
        else:
            self._folder.append(TrialProposed(time=now(), **asdict(proposal)))
        self._proposals.append(proposal)
        self._numbers[proposal.trial_id] = number
        if proposal.parent is not None:
            self._parents[number] = self._original(proposal.parent)
        original = self._originals.setdefault(trial_key(proposal.values, proposal.epochs), number)
        if proposal.trial_id in self._ledger_results:
            self._add_result(self._ledger_results[proposal.trial_id])
        elif original == number:
            self._pending.append(number)
        elif original in self._results:
            self._add_result(self._duplicate(number, self._results[original]))
        else:
            self._duplicates.setdefault(original, []).append(number)

    def _as_in_ledger(self, proposal: Proposal, event: TrialProposed) -> Proposal:
        """The proposal in the ledger, which overrules the tuner's current one."""
        if event.trial_id != proposal.trial_id:
            raise SearchError(
                f"{self._folder.ledger}: expected trial {proposal.trial_id!r}, found {event.trial_id!r}: a line is "
                "missing, or another version of this package wrote the ledger; rerun with --again"
            )
        in_ledger = Proposal(
            trial_id=event.trial_id,
            values=event.values,
            initial_epoch=event.initial_epoch,
            # Before schema 4, ledgers contain epochs only for tuners that promote; others train to full length.
            epochs=event.epochs or self.spec.budget.epochs,
            parent=event.parent,
        )
        if in_ledger != proposal:
            self.overruled_proposals += 1
            self._proposer.overrule(event.trial_id, event.values)
        return in_ledger

    # Results

    def _add_result(self, record: TrialRecord) -> None:
        """Store a result, and assign it to all duplicates of its trial."""
        self._results[record.number] = record
        self._parents.pop(record.number, None)
        score = record.score if record.status == "ok" else None
        self.totals = Totals(
            trials=self.totals.trials + 1,
            failed=self.totals.failed + (record.status == "failed"),
            # As planned: a duplicate may share the result of a trial that started in another epoch.
            epochs=self.totals.epochs + max(0, record.epochs - self._proposals[record.number].initial_epoch),
            best=max((value for value in (self.totals.best, score) if value is not None), default=None),
        )
        for number in self._duplicates.pop(record.number, []):
            self._add_result(self._duplicate(number, record))

    def _original(self, trial_id: str) -> str:
        """The trial that was trained, whose state is saved, if `trial_id` is a duplicate of it."""
        proposal = self._proposals[self._numbers[trial_id]]
        return self._proposals[self._originals[trial_key(proposal.values, proposal.epochs)]].trial_id

    def _duplicate(self, number: int, original: TrialRecord) -> TrialRecord:
        proposal = self._proposals[number]
        return replace(
            original,
            number=number,
            trial_id=proposal.trial_id,
            values=proposal.values,
            duplicate_of=original.trial_id,
            fit_seconds=0.0,
            task_seconds=0.0,
        )

    def _drop_unneeded_states(self) -> None:
        """Delete states that no current or future promotion needs."""
        if not self._states:
            return
        promotable = set(map(self._original, self._proposer.promotable()))
        for trial_id in self._states - set(self._parents.values()) - promotable:
            self._folder.state_file(trial_id).unlink(missing_ok=True)
            self._states.discard(trial_id)

    def _failure_reasons(self) -> str:
        errors = Counter(trial.error for trial in self.results if trial.error is not None).most_common()
        if errors:
            more = len(errors) - MAX_REASONS
            rest = [f"and {more} more in {self._folder.ledger}"] if more > 0 else []
            return "; ".join([*(error for error, _ in errors[:MAX_REASONS]), *rest])
        if self._stopped:
            return f"--time-limit of {self.spec.time_limit} s was too short; raise it, or lower --epochs"
        return "the tuner proposed no trial"

    # Pending trials

    def _waiting(self, in_flight: Collection[str]) -> list[int]:
        return [] if self._stopped else [n for n in self._pending if trial_name(n) not in in_flight]

    def _epochs_to_train(self, number: int) -> int:
        proposal = self._proposals[number]
        return proposal.epochs - (0 if self._retrains else proposal.initial_epoch)

    def _pending_trial(self, number: int) -> PendingTrial:
        proposal = self._proposals[number]
        parent = None if proposal.parent is None else self._original(proposal.parent)
        return PendingTrial(
            number=number,
            trial_id=proposal.trial_id,
            spec=trial_spec(self.spec, proposal.values, initial_epoch=proposal.initial_epoch, epochs=proposal.epochs),
            parent=parent,
            parent_curve=Curve() if parent is None else self._results[self._numbers[parent]].curve,
        )


def _ends_search(event: LedgerEvent) -> bool:
    """Whether there was no search after it: the time limit cut a trial short, or the winner has a refit."""
    return isinstance(event, RefitEnded) or (isinstance(event, TrialEnded) and event.trial.status == "cut")
