"""The result of a search, in addition to that of the tuner itself."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.evaluation.text import counted
from bench.own_tuner.sequence import Proposal
from bench.training.own_tuner.exchange import Execution, TrialRun

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class SearchResult:
    """What a search trained, also in earlier calls that this one resumed."""

    project: Path  # folder with Keras Tuner's files and the ledger
    complete: bool  # False if the time limit ended the search
    trained: int  # trials of this call; others were read from the ledger
    objective: str
    results: Sequence[tuple[Proposal, TrialRun]]  # in order of proposal

    @cached_property
    def executions(self) -> "pd.DataFrame":
        """One row per model that was trained: its metrics in its best epoch, and the hyperparameters of its trial.

        A trial that failed has one row, with its error. Hyperparameters have the prefix `hp_`. As in `curves`, epochs
        are counted from the first of the trial that a promoted one continues from.
        """
        import pandas as pd

        return pd.DataFrame([row for proposal, result in self.results for row in _rows(proposal, result)])

    @cached_property
    def curves(self) -> "pd.DataFrame":
        """One row per epoch of every model that was trained, as far as its epochs are known.

        They are unknown if `fit` returns something else than a History, and does not pass on the callbacks.
        """
        import pandas as pd

        rows = [row for proposal, result in self.results for row in _curves(proposal, result)]
        return pd.DataFrame(rows, columns=None if rows else ["trial", "execution", "epoch"])

    def __repr__(self) -> str:
        statuses = {proposal.trial_id: result.status for proposal, result in self.results}  # of their last runs
        failed = sum(status != "COMPLETED" for status in statuses.values())
        failures = f" ({failed} failed)" if failed else ""
        state = "" if self.complete else ". Time is up: repeat the call to continue"
        trials = f"{counted(len(statuses), 'trial')}{failures} in {self.project}"
        return f"{trials}, {self.trained} of them trained in this call{state}"


def no_success(result: SearchResult, ledger: Path) -> str:
    """That no trial succeeded, and why, as far as trials have ended."""
    errors = [error_line(run) for _, run in result.results]
    first = f". The first error is {errors[0]}; tracebacks are in {ledger}" if errors else ""
    return f"no trial succeeded: {result!r}{first}"


def error_line(result: TrialRun) -> str:
    """The exception at the end of the traceback of a failed trial in one line, or the first line of another text."""
    lines = (result.message or "").strip().splitlines()
    frames = [number for number, line in enumerate(lines) if line.startswith('  File "')]
    after = [line.strip() for line in lines[frames[-1] + 1 if frames else 0 :] if line and not line.startswith(" ")]
    # The message of some exceptions starts with an empty line.
    return " ".join(after[: 2 if after and after[0].endswith(":") else 1])


def _rows(proposal: Proposal, result: TrialRun) -> Iterator[dict[str, Any]]:
    trial = {"trial": proposal.trial_id, "run": proposal.run, "status": result.status}
    values = proposal.values if result.values is None else result.values
    hyperparameters = {f"hp_{name}": value for name, value in values.items()}
    for number, execution in enumerate(result.executions):
        measured = _measured(execution, _first(proposal))
        yield trial | {"execution": number} | measured | {"error": result.message} | hyperparameters
    if not result.executions:
        yield trial | {"execution": 0, "error": result.message} | hyperparameters


def _first(proposal: Proposal) -> int:
    """Number of epochs that the trial which a promoted one continues from was trained for."""
    return int(proposal.values.get("tuner/initial_epoch", 0))


def _measured(execution: Execution, first: int) -> dict[str, Any]:
    metrics = {name: float(value) for name, value in execution.metrics.items()}
    best = None if execution.best_epoch is None else first + execution.best_epoch + 1
    return metrics | {"best_epoch": best, "epochs": execution.epochs or None, "seconds": execution.seconds or None}


def _curves(proposal: Proposal, result: TrialRun) -> Iterator[dict[str, Any]]:
    first = _first(proposal)
    for number, execution in enumerate(result.executions):
        for epoch in range(execution.epochs):
            values = {name: float(curve[epoch]) for name, curve in execution.curves.items() if epoch < len(curve)}
            yield {"trial": proposal.trial_id, "execution": number, "epoch": first + epoch + 1} | values
