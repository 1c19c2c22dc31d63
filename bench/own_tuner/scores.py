"""The scores of a search's trials so far, for its progress."""

from collections.abc import Collection, Sequence
from math import isnan
from statistics import fmean
from typing import Any

from bench.compat import own_tuner as compat
from bench.own_tuner.sequence import Proposal
from bench.training.own_tuner.exchange import TrialRun


class Scores:
    """Counts the trials of an oracle, and finds the best."""

    def __init__(self, oracle: Any) -> None:
        """Count the trials of `oracle`."""
        self._oracle = oracle
        self._seen = 0
        self.ended = len(oracle.end_order)
        self._failed: set[str] = set()  # ids; a retried trial has several results
        self._best: float | None = None

    @property
    def failed(self) -> int:
        """Number of failed trials."""
        return len(self._failed)

    @property
    def total(self) -> int | None:
        """The maximum number of trials; None if it is unknown."""
        return compat.planned_trials(self._oracle)

    @property
    def best_text(self) -> str | None:
        """The best score, with the name of the objective."""
        return None if self._best is None else f"{self._oracle.objective.name} {self._best:.4g}"

    def update(self, results: Sequence[tuple[Proposal, TrialRun]], unreported: Collection[TrialRun]) -> None:
        """Add the results after those of the last call.

        Args:
            results: those that have been reported to the oracle.
            unreported: the others, whose scores are the means of their executions.
        """
        for proposal, _ in results[self._seen :]:
            trial = self._oracle.get_trial(proposal.trial_id)
            if trial.status == "FAILED":
                self._failed.add(proposal.trial_id)
            if trial.status == "COMPLETED":
                self._add(float(trial.score))
        self._seen = len(results)
        self.ended = len(self._oracle.end_order) + len(unreported)
        for run in unreported:
            scores = [float(each.metrics.get(self._oracle.objective.name, "nan")) for each in run.executions]
            if scores and not isnan(score := fmean(scores)):
                self._add(score)

    def _add(self, score: float) -> None:
        if self._best is None or (score > self._best) == (self._oracle.objective.direction == "max"):
            self._best = score
