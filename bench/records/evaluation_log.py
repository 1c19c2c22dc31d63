"""The log of test-set evaluations: one line for each time that the test images of a dataset were opened."""

from dataclasses import dataclass
from pathlib import Path

from bench.records.encoding import decode, encode, read_bytes
from bench.records.files import append_line
from bench.records.store import now


@dataclass(frozen=True, slots=True, kw_only=True)
class TestSetEvaluation:
    """One line of the log."""

    __test__ = False  # not a test case, whatever pytest makes of its name

    time: str  # ISO 8601, UTC
    run: str  # run id


@dataclass(frozen=True, slots=True)
class EvaluationLog:
    """The evaluations on one dataset for one results folder."""

    results: Path
    dataset: str

    @property
    def path(self) -> Path:
        """The file, one JSON line an evaluation."""
        return self.results / "records" / self.dataset / "test_evaluations.jsonl"

    def append(self, run_id: str) -> None:
        """Add an evaluation by a run; it is on disk when this returns.

        Raises:
            StoreError: the line could not be written.
        """
        append_line(self.path, encode(TestSetEvaluation(time=now(), run=run_id), self.path))

    def read(self) -> list[TestSetEvaluation]:
        """All evaluations, oldest first.

        Raises:
            RecordError: the file cannot be read, or a line of it is damaged.
        """
        # A torn last line is an evaluation that never happened: the line is on disk before the test set is opened.
        lines = read_bytes(self.path).split(b"\n")[:-1] if self.path.exists() else []
        return [decode(TestSetEvaluation, line, f"{self.path}:{number}") for number, line in enumerate(lines, 1)]
