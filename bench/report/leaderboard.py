"""The leaderboard: which runs may be ranked together, in which order, and which cannot be told apart."""

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations, groupby
from pathlib import Path
from typing import Any, Literal

import numpy as np

from bench.errors import RecordError
from bench.evaluation.comparison import (
    LEVEL,
    Comparison,
    Correctness,
    Difference,
    Interval,
    compare_all,
    holm,
    interval,
)
from bench.records.record import DatasetFacts
from bench.records.spec import RunSpec
from bench.report.runs import SHORT_DIGEST, Loaded, Run, load
from bench.report.words import signature_text

BEST_ROWS = 10  # of a table are shown in full: more columns side by side, or sections of a page, could not be read
MIN_SEARCHES = 3  # of a family that is spoken of as such


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether the difference of two models is more than chance."""

    a: str  # labels
    b: str
    difference: Difference | None  # a minus b; None where one has a single seed
    p_holm: float  # corrected for what was tested together; NaN where there is no difference

    @property
    def word(self) -> Literal["better", "worse", "tied", "unknown"]:
        """What a is, compared with b."""
        if self.difference is None:
            return "unknown"
        if self.p_holm >= 1 - LEVEL:
            return "tied"
        return "better" if self.difference.mean > 0 else "worse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One run among those that it is compared with."""

    run: Run
    rank: tuple[int, int] | None  # best and worst place that it may have; None for a single seed, and for a reference
    tied_with: tuple[str, ...] | None  # labels; None for a single seed, and for a reference
    against_best: Verdict | None  # of a reference, compared with the best searched row; None where there is none
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
    def validation_accuracy(self) -> float | None:
        """What the winner was chosen by, in [0, 1]; None where nothing was searched."""
        record = self.run.record
        return None if record.winner is None else record.winning_trial.score

    @property
    def parameters(self) -> int:
        """Weights of the model."""
        return self.run.record.refits[0].parameters

    @property
    def refit_seconds(self) -> float:
        """Median wall clock of training one refit."""
        return statistics.median(refit.fit_seconds for refit in self.run.record.refits)

    @property
    def costs(self) -> Mapping[str, float]:
        """What it costs: weights, seconds to train it once, microseconds to predict an image."""
        return {
            "parameters": self.parameters,
            "train once": self.refit_seconds,
            "predict": self.run.record.latency.microseconds_per_image,
        }

    @property
    def page(self) -> str:
        """Where the winner's report is, seen from the results folder."""
        return f"{self.run.record.dataset.name}/{self.run.record.spec.family}.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """What is known of a family as such: several searches that differ in nothing but their seed."""

    name: str
    searches: tuple[str, ...]  # labels of their rows
    interval: Interval | None  # of the accuracy of what such a search finds; the spread of the searches enters


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows that may be ranked together, best first, and what they are compared with."""

    number: int  # from 1, within the dataset
    dataset: DatasetFacts
    conditions: Mapping[str, str]  # what all rows have in common: name to value
    differs: Mapping[str, str]  # conditions that differ from the first table's: name to value there
    rows: tuple[Row, ...]  # searched
    references: tuple[Row, ...]  # not searched, best first; under every table of the same data
    verdicts: tuple[Verdict, ...]  # on every two of the best rows, the better one first
    families: tuple["Family", ...]  # those of MIN_SEARCHES searches or more, best first
    family_verdicts: tuple[Verdict, ...]  # on every two of them, the better one first

    @property
    def everything(self) -> tuple[Row, ...]:
        """All rows, the searched ones first."""
        return self.rows + self.references

    @property
    def best(self) -> tuple[Row, ...]:
        """The first BEST_ROWS of all rows."""
        return self.everything[:BEST_ROWS]

    @property
    def machines(self) -> tuple[str, ...]:
        """Different CPUs that the rows were made on; with more than one, seconds cannot be compared."""
        return tuple(sorted({row.run.record.environment.cpu for row in self.everything}))


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
    for _, of_dataset in groupby(sorted(loaded.runs, key=_dataset_name), key=_dataset_name):
        runs = sorted(of_dataset, key=_table_order)
        references = [run for run in runs if run.record.spec.fixed]
        groups: dict[tuple[str, ...], list[Run]] = {}
        for run in runs:
            if not run.record.spec.fixed:
                groups.setdefault(tuple(conditions(run).values()), []).append(run)
        alone = [run for run in references if all(data_of(run) != data_of(group[0]) for group in groups.values())]
        for run in alone:
            groups.setdefault(tuple(conditions(run).values()), []).append(run)
        first = conditions(next(iter(groups.values()))[0])
        tables += [_table(number, group, references, first) for number, group in enumerate(groups.values(), 1)]
    return Board(tables=tuple(tables), problems=loaded.problems)


def _dataset_name(run: Run) -> str:
    return run.record.dataset.name


def _table_order(run: Run) -> tuple[int, int, tuple[str, ...], str]:
    spec = run.record.spec
    return -spec.protocol, -spec.budget.total_epochs, tuple(conditions(run).values()), run.label


def conditions(run: Run) -> dict[str, str]:
    """What must be equal for two runs to be ranked together, in words."""
    spec = run.record.spec
    searched = f"{spec.budget.trials} trials x {spec.budget.epochs} epochs" + (
        "" if spec.time_limit is None else f", in {spec.time_limit:,} s at most"
    )
    return {"budget": "none: nothing was searched" if spec.fixed else searched} | data_of(run)


def data_of(run: Run) -> dict[str, str]:
    """What must be equal for a run to be compared with a reference, in words."""
    dataset = run.record.dataset
    return {
        "protocol": f"version {run.record.spec.protocol}",
        "split": f"{dataset.n_train:,} training, {dataset.n_validation:,} validation, {dataset.n_test:,} test images",
        "dataset checksum": dataset.checksum[:12],
        "test labels": run.test_labels,
    }


def _by_accuracy(runs: Sequence[Run]) -> list[Run]:
    return sorted(runs, key=lambda run: (-run.scores.accuracy, run.label))


def _table(number: int, group: Sequence[Run], references: Sequence[Run], first: Mapping[str, str]) -> Table:
    here = conditions(group[0])
    searched = _by_accuracy([run for run in group if not run.record.spec.fixed])
    given = _by_accuracy([run for run in references if data_of(run) == data_of(group[0])])
    comparison = compare_all([run.answers for run in (*searched, *given)])
    rows, verdicts = _ranked(searched, comparison)
    families, family_verdicts = _families(searched)
    return Table(
        number=number,
        dataset=group[0].record.dataset,
        conditions=here,
        differs={name: first[name] for name in here if here[name] != first[name]},
        rows=rows,
        references=_references(searched, given, comparison),
        verdicts=verdicts,
        families=families,
        family_verdicts=family_verdicts,
    )


def _families(searched: Sequence[Run]) -> tuple[tuple[Family, ...], tuple[Verdict, ...]]:
    """Families that were searched often enough to say something of them, and the verdicts on them."""
    alike: dict[RunSpec, list[Run]] = {}
    for run in searched:
        alike.setdefault(replace(run.record.spec, seed=0), []).append(run)
    often = {spec: runs for spec, runs in alike.items() if len(runs) >= MIN_SEARCHES}
    several = Counter(spec.family for spec in often)
    found = []
    for spec, runs in often.items():
        name = spec.family if several[spec.family] == 1 else f"{spec.family}-{spec.tuner}-{spec.digest[:SHORT_DIGEST]}"
        # The mean of the refits of each search: searches are to a family what seeds are to a model.
        answers = Correctness(correct=np.stack([run.scores.correct.mean(axis=0) for run in runs]))
        found.append(
            (answers, Family(name=name, searches=tuple(run.label for run in runs), interval=interval(answers)))
        )
    found.sort(key=lambda pair: (-float(pair[0].correct.mean()), pair[1].name))
    if len(found) < 2:
        return tuple(family for _, family in found), ()
    comparison = compare_all([answers for answers, _ in found])
    pairs = list(combinations(range(len(found)), 2))
    corrected = holm(np.array([comparison.p_value[pair] for pair in pairs]))
    verdicts = tuple(
        Verdict(
            a=found[one][1].name, b=found[other][1].name, difference=comparison.pair(one, other), p_holm=float(p_holm)
        )
        for (one, other), p_holm in zip(pairs, corrected, strict=True)
    )
    return tuple(family for _, family in found), verdicts


def _ranked(runs: Sequence[Run], comparison: Comparison) -> tuple[tuple[Row, ...], tuple[Verdict, ...]]:
    """Rows of what was searched, and the verdicts on the best of them."""
    count = len(runs)
    a, b = np.triu_indices(count, 1)
    corrected = np.full((count, count), math.nan)
    corrected[a, b] = corrected[b, a] = holm(comparison.p_value[a, b])
    differ = corrected < 1 - LEVEL
    above = (differ & (comparison.difference[:count, :count] < 0)).sum(axis=1)
    below = (differ & (comparison.difference[:count, :count] > 0)).sum(axis=1)
    tied, labels = corrected >= 1 - LEVEL, np.array([run.label for run in runs])
    rows = tuple(
        Row(
            run=run,
            rank=None if run.interval is None else (int(1 + above[number]), int(count - below[number])),
            tied_with=None if run.interval is None else tuple(labels[tied[number]].tolist()),
            against_best=None,
            in_full=number < BEST_ROWS,
            pictured=number == 0 or count <= BEST_ROWS,
        )
        for number, run in enumerate(runs)
    )
    verdicts = tuple(
        Verdict(
            a=runs[one].label,
            b=runs[other].label,
            difference=comparison.pair(one, other),
            p_holm=float(corrected[one, other]),
        )
        for one, other in combinations(range(min(count, BEST_ROWS)), 2)
    )
    return rows, verdicts


def _references(searched: Sequence[Run], given: Sequence[Run], comparison: Comparison) -> tuple[Row, ...]:
    """Rows of what was not searched, each compared with the best searched one; these are tested together."""
    places = range(len(searched), len(searched) + len(given))
    corrected = holm(comparison.p_value[0, list(places)]) if searched else np.full(len(given), math.nan)
    return tuple(
        Row(
            run=run,
            rank=None,
            tied_with=None,
            against_best=Verdict(
                a=run.label, b=searched[0].label, difference=comparison.pair(place, 0), p_holm=float(p_holm)
            )
            if searched
            else None,
            in_full=True,
            pictured=True,
        )
        for run, place, p_holm in zip(given, places, corrected, strict=True)
    )


def find_row(board: Board, dataset: str, run_id: str) -> tuple[Table, Row]:
    """The row of one run, and the table that it stands in.

    Raises:
        RecordError: no such run is finished and readable, or a newer repeat of it stands in its place.
    """
    for table in board.tables:
        for row in table.everything:
            if (table.dataset.name, row.run.record.run_id) == (dataset, run_id):
                return table, row
    known = [f"{table.dataset.name}/{row.run.record.run_id}" for table in board.tables for row in table.everything]
    raise RecordError(
        f"no row for the run {dataset}/{run_id}; rows: {', '.join(known) or 'none'}; "
        f"problems: {'; '.join(board.problems) or 'none'}"
    )


def as_data(board: Board) -> list[dict[str, Any]]:
    """One dict a row with plain values at full precision, for JSON."""
    return [_row_data(table, row) for table in board.tables for row in table.everything]


def _row_data(table: Table, row: Row) -> dict[str, Any]:
    record, scores = row.run.record, row.run.scores
    return {
        "dataset": record.dataset.name,
        "table": table.number,
        "rank": None if row.rank is None else row.rank[0],
        "rank_worst": None if row.rank is None else row.rank[1],
        "reference": None if record.reference is None else record.reference.kind,
        "against_best": None if row.against_best is None else _verdict_data(row.against_best),
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
        "calibration_error": scores.calibration.expected_calibration_error,
        "brier_score": scores.calibration.brier_score,
        "conditions": dict(table.conditions),
        "signature": signature_text(record),
        "page": row.page,
    }


def _verdict_data(verdict: Verdict) -> dict[str, Any]:
    return {
        "best": verdict.b,
        "word": verdict.word,
        "difference": None if verdict.difference is None else asdict(verdict.difference),
        "p_holm": None if math.isnan(verdict.p_holm) else verdict.p_holm,
    }
