"""The user's tuner as a source of trials: calls its oracle as Keras Tuner's own search does."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from bench.compat import own_tuner as compat
from bench.own_tuner.ledger import TrialProposed
from bench.own_tuner.project import Project
from bench.own_tuner.sequence import Proposal
from bench.records.store import now
from bench.training.own_tuner.exchange import Config, TrialRun
from bench.tuning.proposer import create_trial
from bench.tuning.trials import NoProposal

PARENT = "tuner/trial_id"  # Hyperband's name for the trial whose weights a promoted one continues from


class TunerSource:
    """Proposes trials, and reports their results."""

    def __init__(
        self,
        tuner: Any,
        project: Project,
        known: Mapping[tuple[str, int], TrialProposed],
        space_after_build: Callable[[Config], Config | None],
    ) -> None:
        """Use the oracle of `tuner`.

        Args:
            tuner: the user's.
            project: its folder.
            known: proposals of earlier sessions, by trial id and run.
            space_after_build: returns hyperparameters after their model was built; None if it cannot be built.
        """
        self._space_after_build = space_after_build
        self._tuner = tuner
        self._oracle = tuner.oracle
        self._project = project
        self._known = known
        self._runs: Counter[str] = Counter()
        self._proposed = 0

    def propose(self) -> Proposal | NoProposal:
        """The next trial, or why there is none."""
        self._tuner.pre_create_trial()
        trial = create_trial(self._oracle, self._proposed)
        if isinstance(trial, NoProposal):
            return trial
        self._runs[trial.trial_id] += 1
        run = self._runs[trial.trial_id]
        space = self._complete(trial, run)
        compat.propose_ahead(self._oracle, trial.trial_id)
        self._tuner.on_trial_begin(trial)
        self._proposed += 1
        values = compat.space_config(trial.hyperparameters)["values"]
        return Proposal(number=self._proposed - 1, trial_id=trial.trial_id, run=run, values=values, space=space)

    def checked(self, result: TrialRun) -> TrialRun:
        """`result` as failed, with a message, if its objective is NaN; the oracle counts it as failed, without one."""
        objective = self._oracle.objective.name
        values = [update.metrics.get(objective) for update in result.updates]
        if result.status != "COMPLETED" or set(values) != {"nan"} or compat.overridden(self._oracle, "score_trial"):
            return result
        return msgspec.structs.replace(result, status="INVALID", message=f"{objective} is NaN")

    def report(self, proposal: Proposal, result: TrialRun) -> None:
        """Report how a trial ended, and write its trial.json.

        Raises:
            RuntimeError: too many consecutive trials have failed.
        """
        trial = self._oracle.get_trial(proposal.trial_id)
        if proposal.run > 1:  # otherwise the metrics of a failed run would count
            trial.metrics = type(trial.metrics)()
        for update in result.updates:
            metrics = {name: float(value) for name, value in update.metrics.items()}
            self._oracle.update_trial(trial.trial_id, metrics, step=update.step)
        config = dict(compat.space_config(trial.hyperparameters))
        found = {"values": result.values, "space": result.space}
        trial.hyperparameters = compat.hyperparameters_of(
            config | {name: value for name, value in found.items() if value is not None}
        )
        trial.status, trial.message = result.status, result.message
        try:
            self._tuner.on_trial_end(trial)
            if result.space is None:
                compat.continue_once(self._oracle, trial.trial_id)
        finally:
            self._project.write_trial(trial.trial_id, self._oracle.get_trial(trial.trial_id).get_state())

    def log(self, proposal: Proposal) -> None:
        """Log a proposal in the ledger."""
        event = TrialProposed(
            time=now(),
            trial_id=proposal.trial_id,
            run=proposal.run,
            values=proposal.values,
            space=proposal.space,
        )
        self._project.ledger.append(event)

    def states(self, proposal: Proposal) -> tuple[Config, ...]:
        """The state of a trial, and of the one whose weights it continues from."""
        state = self._oracle.get_trial(proposal.trial_id).get_state()
        if proposal.run > 1:
            state = state | {"metrics": {"metrics": {}}, "message": None}
        parent = proposal.values.get(PARENT)
        return (state,) if parent is None else (state, self._oracle.get_trial(parent).get_state())

    def _complete(self, trial: Any, run: int) -> Sequence[Config] | None:
        """Add the hyperparameters that only building the model declares; returns the space of the trial if it has some.

        Often a model has hyperparameters that depend on others, such as the units of each layer, which Keras Tuner
        finds when the trial runs. Here later trials are proposed before that.
        """
        proposed = compat.space_config(trial.hyperparameters)
        known = self._known.get((trial.trial_id, run))
        if known is not None:
            # Trials keep the values that they were trained with: a Gaussian process may propose others after an update
            # of scikit-learn, or on another CPU model.
            found: Config = {"space": known.space or proposed["space"], "values": known.values}
        else:
            found = self._space_after_build(proposed) or proposed
        if found == proposed:
            return None
        compat.extend_trial(self._oracle, trial, compat.hyperparameters_of(found))
        return None if found["space"] == proposed["space"] else found["space"]
