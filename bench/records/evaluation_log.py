"""The log of test-set evaluations: one line each time a dataset's test set is evaluated."""

from dataclasses import dataclass
from pathlib import Path

from bench.records.encoding import encode, read_lines
from bench.records.files import append_line
from bench.records.store import now


@dataclass(frozen=True, slots=True, kw_only=True)
class TestSetEvaluation:
    """One line of the log."""

    __test__ = False  # pytest would collect it by its name

    time: str  # ISO 8601, UTC
    run: str  # run id


@dataclass(frozen=True, slots=True)
class EvaluationLog:
    """All test-set evaluations on one dataset in one results folder."""

    results: Path
    dataset: str

    @property
    def path(self) -> Path:
        """The file, one JSON line per evaluation."""
        return self.results / "records" / self.dataset / "test_evaluations.jsonl"

    def append(self, run_id: str) -> None:
        """Log an evaluation of a run; it is on disk when this returns.

        Raises:
            StoreError: the line could not be written.
        """
        append_line(self.path, encode(TestSetEvaluation(time=now(), run=run_id), self.path))

    def read(self) -> list[TestSetEvaluation]:
        """All evaluations, oldest first.

        The evaluation of a torn last line never happened, since the line is written before the test set is opened.

        Raises:
            RecordError: the file cannot be read, or a line is damaged.
        """
        return read_lines(TestSetEvaluation, self.path)
