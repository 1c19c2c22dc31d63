"""The leaderboard as data: rows, the tables they stand in, and the results of the tests between them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bench.errors import RecordError
from bench.evaluation.comparison import LEVEL, Difference, Interval
from bench.machine import Machine, machine_names
from bench.records.dataset import DatasetFacts
from bench.records.objective import score_name
from bench.records.record import RunRecord
from bench.report.runs import Run

MAX_TIME_RATIO = 1.5  # between tuned models of one table, beyond which they are marked
UNSET = {"objective": "accuracy", "class weights": "none"}  # conditions that are listed only if they are set
TOP_ROWS = 10  # of a table are shown in full: more columns or sections would be unreadable

Verdict = Literal["better", "worse", "not significantly different", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairTest:
    """The test of whether two models, or two families, differ in test accuracy."""

    a: str  # labels
    b: str
    difference: Difference | None  # a minus b; None if one has a single seed
    p_adjusted: float  # by Holm's method over the family of tests; NaN without a difference

    @property
    def verdict(self) -> Verdict:
        """A compared with b."""
        if self.difference is None:
            return "unknown"
        if self.p_adjusted >= 1 - LEVEL:
            return "not significantly different"
        return "better" if self.difference.mean > 0 else "worse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One run in a table."""

    run: Run
    rank: tuple[int, int] | None = None  # best and worst possible rank; None for a single seed, and for unranked rows
    not_different_from: tuple[str, ...] | None = None  # labels of tuned models; None for a single seed
    # The test against the selected tuned model; None for that model, and if there is none.
    versus_best: PairTest | None = None
    versus_reference: PairTest | None = None  # of a tuned model: the test against the best reference model
    # Of a reference model: labels of the tuned models than which it is significantly better.
    better_than: tuple[str, ...] = ()
    in_full: bool = True  # whether its page has a section for it
    has_figures: bool = True  # whether that section has figures

    @property
    def label(self) -> str:
        """The run's name within its dataset."""
        return self.run.label

    @property
    def record(self) -> RunRecord:
        """What is stored of the run, without its predictions."""
        return self.run.record

    @property
    def test_accuracy(self) -> float:
        """Mean over seeds, in [0, 1]."""
        return self.run.scores.accuracy

    @property
    def predicted(self) -> bytes:
        """The predicted classes of all refits, for comparing models."""
        return self.run.scores.predicted.tobytes()

    @property
    def page(self) -> str:
        """Path of the model's page, relative to the results folder."""
        return f"{self.record.dataset.name}/{self.page_name}"

    @property
    def page_name(self) -> str:
        """File name of the model's page."""
        return f"{self.record.spec.model}.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyResult:
    """Several searches of a family that differ in their seed and split only, taken together."""

    name: str
    searches: tuple[str, ...]  # labels of their rows
    splits: int  # how many different ones they have
    refits: int  # of each search
    interval: Interval | None  # of the mean accuracy of their winners, variance across searches included


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Tuned models that may be ranked together, best first, and the models they are compared with."""

    number: int  # from 1, within the dataset
    dataset: DatasetFacts
    conditions: Mapping[str, str]  # shared by all rows: name to value
    differs: Mapping[str, str]  # conditions that differ from those of the first table: name to value there
    rows: tuple[Row, ...]  # tuned models
    selected_row: Row | None  # the tuned model with the best score on the validation images; None without tuned models
    references: tuple[Row, ...]  # reference models, best first; in every table of the same data
    reproductions: tuple[Row, ...]  # of rows above, with other predictions; not ranked and in no family of tests
    pair_tests: tuple[PairTest, ...]  # of the TOP_ROWS best tuned models, the better one first
    families: tuple[FamilyResult, ...]  # best first
    family_tests: tuple[PairTest, ...]  # of every two of them, the better one first

    @property
    def compared(self) -> tuple[Row, ...]:
        """Tuned models, then reference models."""
        return self.rows + self.references

    def condition(self, name: str) -> str:
        """A condition of the table."""
        return {**UNSET, **self.conditions}[name]

    @property
    def differing_text(self) -> str:
        """The conditions that differ from those of the first table, such as "preset long, objective macro F1"."""
        differing = {name: self.condition(name) for name in self.differs}
        return ", ".join(value if name == "budget" else f"{name} {value}" for name, value in differing.items())

    @property
    def score(self) -> str:
        """Name of the score by which searches select, such as "validation accuracy"."""
        return score_name(self.compared[0].record.spec)

    @property
    def covers_splits(self) -> bool:
        """Whether every family has searches on several splits, so that their variance includes that of splits."""
        return all(family.splits > 1 for family in self.families)

    @property
    def compared_with(self) -> Row | None:
        """The selected row if there are others, which are compared with it."""
        return self.selected_row if len(self.compared) > 1 else None

    def took_too_long(self, row: Row) -> bool:
        """Whether a tuned model took more than MAX_TIME_RATIO times the core-seconds of another of the same machine."""
        if row.record.search is None:
            return False
        machine = row.record.environment.machine
        same = (other.run for other in (row, *self.rows) if other.record.environment.machine == machine)
        return row.run.core_seconds > MAX_TIME_RATIO * min(run.core_seconds for run in same)

    @property
    def everything(self) -> tuple[Row, ...]:
        """All rows."""
        return self.compared + self.reproductions

    @property
    def references_by_predictions(self) -> dict[bytes, list[Row]]:
        """The reference models, those that predict the same classes, seed by seed, together."""
        groups: dict[bytes, list[Row]] = {}
        for row in self.references:
            groups.setdefault(row.predicted, []).append(row)
        return groups

    @property
    def distinct(self) -> tuple[Row, ...]:
        """The compared rows; of reference models with the same predictions only the first."""
        return (*self.rows, *(first for first, *_ in self.references_by_predictions.values()))

    @property
    def top(self) -> tuple[Row, ...]:
        """The first TOP_ROWS of the distinct rows."""
        return self.distinct[:TOP_ROWS]

    @property
    def machine_names(self) -> dict[Machine, str]:
        """Names of the machines of the compared rows."""
        return machine_names(row.record.environment for row in self.compared)

    @property
    def machines(self) -> tuple[str, ...]:
        """The names; times are comparable only if there is one."""
        return tuple(self.machine_names.values())

    @property
    def timed(self) -> tuple[Row, ...]:
        """The compared rows from the machine that most of them come from, so that their times are comparable."""
        machines = [row.record.environment.machine for row in self.compared]
        machine = Counter(machines).most_common(1)[0][0]
        return tuple(row for row, own in zip(self.compared, machines, strict=True) if own == machine)


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """All that pages are made from."""

    results: Path
    tables: tuple[Table, ...]  # those of a dataset are adjacent
    problems: tuple[str, ...]  # runs that could not be read

    @property
    def placed(self) -> list[tuple[Table, Row]]:
        """Every row with its table; a reference model has a row in every table of the same data."""
        return [(table, row) for table in self.tables for row in table.everything]


def score_names(tables: Iterable[Table]) -> str:
    """The scores by which the searches of several tables select."""
    return " or ".join(dict.fromkeys(table.score for table in tables))


def find_row(board: Board, dataset: str, run_id: str) -> tuple[Table, Row]:
    """The row of one run, and its table.

    Raises:
        RecordError: no such run is finished and readable, or a newer repeat has taken its place.
    """
    for table, row in board.placed:
        if (table.dataset.name, row.record.run_id) == (dataset, run_id):
            return table, row
    known = [f"{table.dataset.name}/{row.record.run_id}" for table, row in board.placed]
    raise RecordError(
        f"the run {dataset}/{run_id} is not on the leaderboard, whose runs are {', '.join(known) or 'none'}; "
        f"problems: {'; '.join(board.problems) or 'none'}"
    )
