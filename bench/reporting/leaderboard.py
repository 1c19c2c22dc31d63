"""The leaderboard: which runs may be ranked together, in which order, and which cannot be told apart."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import compress, groupby
from pathlib import Path
from typing import Any

from bench.errors import RecordError
from bench.evaluation.comparison import compare_all
from bench.record import DatasetFacts
from bench.reporting.runs import Loaded, Run, load

BEST_ROWS = 10  # of a table are shown in full: more columns side by side, or sections of a page, could not be read
PICTURED_ROWS = 3  # of a larger table: drawing more would take longer than all pages of a thousand runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One run among those that it is ranked with."""

    run: Run
    rank: int | None  # 1 + number of rows that are significantly better; None for a single seed
    tied_with: tuple[str, ...] | None  # labels; None for a single seed
    in_full: bool  # whether it has a section on its page
    pictured: bool  # and pictures there

    @property
    def label(self) -> str:
        """The run's name in its dataset."""
        return self.run.label

    @property
    def test_accuracy(self) -> float:
        """Mean over seeds, in [0, 1]."""
        return self.run.scores.accuracy

    @property
    def train_test_gap(self) -> float:
        """Mean accuracy of the refits on what they were fitted on, minus their mean test accuracy."""
        return statistics.fmean(refit.train_accuracy for refit in self.run.record.refits) - self.test_accuracy

    @property
    def validation_accuracy(self) -> float:
        """What the winner was chosen by, in [0, 1]."""
        return self.run.record.winning_trial.score

    @property
    def parameters(self) -> int:
        """Weights of the model."""
        return self.run.record.refits[0].parameters

    @property
    def refit_seconds(self) -> float:
        """Median wall clock of training one refit."""
        return statistics.median(refit.fit_seconds for refit in self.run.record.refits)

    @property
    def page(self) -> str:
        """Where the winner's report is, seen from the results folder."""
        return f"{self.run.record.dataset.name}/{self.run.record.spec.family}.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows that may be ranked together, best first."""

    number: int  # from 1, within the dataset
    dataset: DatasetFacts
    conditions: Mapping[str, str]  # what all rows have in common: name to value
    differs: Mapping[str, str]  # conditions that differ from the first table's: name to value there
    rows: tuple[Row, ...]

    @property
    def best(self) -> tuple[Row, ...]:
        """The first BEST_ROWS rows."""
        return self.rows[:BEST_ROWS]

    @property
    def machines(self) -> tuple[str, ...]:
        """Different CPUs that the rows were made on; with more than one, seconds cannot be compared."""
        return tuple(sorted({row.run.record.environment.cpu for row in self.rows}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """Everything that a leaderboard says."""

    tables: tuple[Table, ...]  # those of a dataset stand together
    problems: tuple[str, ...]  # runs that could not be read


def leaderboard(results: Path) -> Board:
    """The leaderboard of a results folder, from its records alone."""
    return rank(load(results))


def rank(loaded: Loaded) -> Board:
    """Rank what may be ranked together; of a dataset, the newest protocol's largest budget comes first."""
    tables: list[Table] = []
    for _, runs in groupby(sorted(loaded.runs, key=_dataset_name), key=_dataset_name):
        groups: dict[tuple[str, ...], list[Run]] = {}
        for run in sorted(runs, key=_table_order):
            groups.setdefault(tuple(conditions(run).values()), []).append(run)
        first = conditions(next(iter(groups.values()))[0])
        tables += [_table(number, group, first) for number, group in enumerate(groups.values(), 1)]
    return Board(tables=tuple(tables), problems=loaded.problems)


def _dataset_name(run: Run) -> str:
    return run.record.dataset.name


def _table_order(run: Run) -> tuple[int, int, tuple[str, ...], str]:
    spec = run.record.spec
    return -spec.protocol, -spec.budget.total_epochs, tuple(conditions(run).values()), run.label


def conditions(run: Run) -> dict[str, str]:
    """What must be equal for two runs to be ranked together, in words."""
    spec, dataset = run.record.spec, run.record.dataset
    return {
        "budget": f"{spec.budget.trials} trials x {spec.budget.epochs} epochs"
        + ("" if spec.seconds is None else f", in {spec.seconds:,} s at most"),
        "protocol": f"version {spec.protocol}",
        "split": f"{dataset.n_train:,} training, {dataset.n_validation:,} validation, {dataset.n_test:,} test images",
        "dataset checksum": dataset.checksum[:12],
        "test labels": run.test_labels,
    }


def _table(number: int, runs: list[Run], first: Mapping[str, str]) -> Table:
    here = conditions(runs[0])
    runs = sorted(runs, key=lambda run: (-run.scores.accuracy, run.label))
    return Table(
        number=number,
        dataset=runs[0].record.dataset,
        conditions=here,
        differs={name: first[name] for name in here if here[name] != first[name]},
        rows=_rows(runs),
    )


def _rows(runs: Sequence[Run]) -> tuple[Row, ...]:
    found = compare_all([run.scores.correct for run in runs])
    ranks, tied = 1 + found.better.sum(axis=0), found.tied
    return tuple(
        Row(
            run=run,
            rank=None if run.interval is None else int(ranks[number]),
            tied_with=None if run.interval is None else tuple(other.label for other in compress(runs, tied[number])),
            in_full=number < BEST_ROWS,
            pictured=len(runs) <= BEST_ROWS or number < PICTURED_ROWS,
        )
        for number, run in enumerate(runs)
    )


def find_row(board: Board, dataset: str, run_id: str) -> tuple[Table, Row]:
    """The row of one run, and the table that it stands in.

    Raises:
        RecordError: no such run is finished and readable, or a newer repeat of it stands in its place.
    """
    for table in board.tables:
        for row in table.rows:
            if (table.dataset.name, row.run.record.run_id) == (dataset, run_id):
                return table, row
    known = [f"{table.dataset.name}/{row.run.record.run_id}" for table in board.tables for row in table.rows]
    raise RecordError(
        f"no row for the run {dataset}/{run_id}; rows: {', '.join(known) or 'none'}; "
        f"problems: {'; '.join(board.problems) or 'none'}"
    )


def as_data(board: Board) -> list[dict[str, Any]]:
    """One dict a row with plain values at full precision, for JSON."""
    return [_row_data(table, row) for table in board.tables for row in table.rows]


def _row_data(table: Table, row: Row) -> dict[str, Any]:
    record, scores = row.run.record, row.run.scores
    return {
        "dataset": record.dataset.name,
        "table": table.number,
        "rank": row.rank,
        "label": row.label,
        "run_id": record.run_id,
        "family": record.spec.family,
        "tuner": record.spec.tuner,
        "test_accuracy": row.test_accuracy,
        "test_accuracy_by_seed": scores.correct.mean(axis=1).tolist(),
        "interval": None if row.run.interval is None else asdict(row.run.interval),
        "seeds": len(record.refits),
        "n_test": record.dataset.n_test,
        "tied_with": None if row.tied_with is None else list(row.tied_with),
        "train_test_gap": row.train_test_gap,
        "validation_accuracy": row.validation_accuracy,
        "macro_f1": scores.macro_f1,
        "log_loss": scores.log_loss,
        "f1_by_class": dict(zip(record.dataset.class_names, scores.by_class.f1.tolist(), strict=False)),
        "parameters": row.parameters,
        "search_seconds": record.search_seconds,
        "refit_seconds": row.refit_seconds,
        "predict_microseconds_per_image": record.latency.microseconds_per_image,
        "cpu": record.environment.cpu,
        "conditions": dict(table.conditions),
        "page": row.page,
    }
