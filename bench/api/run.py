"""A finished run, as Python objects."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.api.python_names import python_names
from bench.execution.trained import model_file, own_family
from bench.records.record import RunRecord
from bench.records.store import RunFolder
from bench.report.run_text import run_row, run_text

if TYPE_CHECKING:
    import pandas as pd


class Run:
    """A finished run in a results folder; its data is read when it is used."""

    def __init__(self, results: Path, name: str) -> None:
        """Read the run with the model name or run id `name`.

        Raises:
            SpecError: there is none, or there are several.
            RecordError: it cannot be read.
        """
        self.results = results
        self._table, self._row = run_row(results, name)

    @property
    def run_id(self) -> str:
        """The name of its folder."""
        return self.record.run_id

    @property
    def label(self) -> str:
        """Its model name on the leaderboard."""
        return self._row.label

    @property
    def record(self) -> RunRecord:
        """Everything recorded about the run, except its predictions."""
        return self._row.record

    @property
    def test_accuracy(self) -> float:
        """Mean over the refits, fraction in [0, 1]."""
        return self._row.test_accuracy

    @property
    def interval(self) -> tuple[float, float] | None:
        """Limits of the 95% confidence interval of the test accuracy, fractions in [0, 1].

        None for a single seed, unless training is deterministic or the model was trained elsewhere.
        """
        interval = self._row.run.interval
        return None if interval is None else (interval.low, interval.high)

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """Those of the winner; empty for a reference model."""
        return dict(self.record.hyperparameters)

    @property
    def page(self) -> Path:
        """Its report."""
        return self.results / self._row.page

    @cached_property
    def trials(self) -> "pd.DataFrame":
        """One row per trial; hyperparameters have the prefix `hp_`. Empty for a reference model."""
        from bench.report.frames import trials_frame

        return trials_frame([self.record])

    @cached_property
    def predictions(self) -> "pd.DataFrame":
        """One row per refit and test image, with classes, and probabilities with the prefix `probability_`."""
        from bench.report.frames import predictions_frame

        return predictions_frame(self.record, self.folder.read_predictions(self.record))

    @property
    def folder(self) -> RunFolder:
        """Where its files are."""
        return self._row.run.folder

    @python_names()
    def model(self, refit: int = 0) -> Any:
        """A trained Keras model, from pixels, uint8 (n, height, width, channels), to probabilities (n, classes).

        Args:
            refit: index of the refit, starting at 0.

        Raises:
            ModelError: there is no such refit, or the model is not on this machine; the message names the command that
                trains it again.
        """
        file = model_file(self.folder, self.record, refit)
        from bench.training.export import with_probabilities
        from bench.training.inference import open_model

        return with_probabilities(open_model(file, own_family(self.folder, self.record)))

    def __repr__(self) -> str:
        return run_text(self.results, self._table, self._row)
