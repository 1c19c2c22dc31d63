"""Ranking: which runs may be compared, in which order, and which differences are significant."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations, groupby
from pathlib import Path

import msgspec
import numpy as np

from bench.evaluation.comparison import LEVEL, Comparison, Correctness, compare_all, holm, interval
from bench.records.spec import RunSpec, SearchSpec
from bench.report.board import TOP_ROWS, Board, FamilyResult, PairTest, Row, Table
from bench.report.labels import SHORT_DIGEST
from bench.report.runs import Loaded, Run, load

MIN_SEARCHES = 3  # of a family, to estimate the variance across searches


def leaderboard(results: Path) -> Board:
    """The leaderboard of a results folder, from its records alone."""
    return rank(results, load(results))


def rank(results: Path, loaded: Loaded) -> Board:
    """Rank runs that are comparable; tables of a dataset are in the order of protocol, then budget, largest first."""
    tables: list[Table] = []
    for _, of_dataset in groupby(sorted(loaded.runs, key=_dataset_name), key=_dataset_name):
        runs = sorted(of_dataset, key=_table_order)
        references = [run for run in runs if run.record.reference is not None]
        groups: dict[tuple[str, ...], list[Run]] = {}
        for run in runs:
            if run.record.search is not None:
                groups.setdefault(tuple(conditions(run).values()), []).append(run)
        alone = [run for run in references if all(data_of(run) != data_of(group[0]) for group in groups.values())]
        for run in alone:
            groups.setdefault(tuple(conditions(run).values()), []).append(run)
        first = conditions(next(iter(groups.values()))[0])
        tables += [
            _table(number, group, references, loaded.reproductions, first)
            for number, group in enumerate(groups.values(), 1)
        ]
    return Board(results=results, tables=tuple(tables), problems=loaded.problems)


def _dataset_name(run: Run) -> str:
    return run.record.dataset.name


def _table_order(run: Run) -> tuple[int, int, tuple[str, ...], str]:
    spec = run.record.spec
    epochs = spec.budget.total_epochs if isinstance(spec, SearchSpec) else 0
    return -spec.protocol, -epochs, tuple(conditions(run).values()), run.label


def conditions(run: Run) -> dict[str, str]:
    """Conditions that must be equal for two runs to be ranked together: name to value."""
    return {"budget": _budget_text(run.record.spec)} | data_of(run)


def _budget_text(spec: RunSpec) -> str:
    if not isinstance(spec, SearchSpec):
        return "none (no search)"
    limit = "" if spec.time_limit is None else f", time limit {spec.time_limit:,} s"
    return f"{spec.budget.trials} trials x {spec.budget.epochs} epochs{limit}"


def data_of(run: Run) -> dict[str, str]:
    """Conditions that must be equal for a run to be compared with a reference model: name to value."""
    dataset = run.record.dataset
    return {
        "protocol": f"version {run.record.spec.protocol}",
        "split": f"{dataset.n_train:,} training, {dataset.n_validation:,} validation, {dataset.n_test:,} test images",
        "dataset checksum": dataset.checksum[:12],
        "test labels": run.test_labels,
    }


def _by_accuracy(runs: Sequence[Run]) -> list[Run]:
    return sorted(runs, key=lambda run: (-run.scores.accuracy, run.label))


def _table(
    number: int,
    group: Sequence[Run],
    references: Sequence[Run],
    reproductions: Sequence[Run],
    first: Mapping[str, str],
) -> Table:
    here = conditions(group[0])
    tuned = _by_accuracy([run for run in group if run.record.search is not None])
    untuned = _by_accuracy([run for run in references if data_of(run) == data_of(group[0])])
    comparison = compare_all([run.correctness for run in (*tuned, *untuned)])
    rows, pair_tests = _ranked(tuned, comparison)
    families, family_tests = _families(tuned)
    published = {(run.record.dataset.name, run.label) for run in (*tuned, *untuned)}
    return Table(
        number=number,
        dataset=group[0].record.dataset,
        conditions=here,
        differs={name: first[name] for name in here if here[name] != first[name]},
        rows=rows,
        references=_references(tuned, untuned, comparison),
        reproductions=tuple(
            _unranked(run)
            for run in reproductions
            if run.reproduces is not None and (run.record.dataset.name, run.reproduces.label) in published
        ),
        pair_tests=pair_tests,
        families=families,
        family_tests=family_tests,
    )


def _families(tuned: Sequence[Run]) -> tuple[tuple[FamilyResult, ...], tuple[PairTest, ...]]:
    """Families with at least MIN_SEARCHES searches, and the tests of every two of them."""
    by_spec: dict[RunSpec, list[Run]] = {}
    for run in tuned:
        by_spec.setdefault(msgspec.structs.replace(run.record.spec, seed=0), []).append(run)
    repeated = {spec: runs for spec, runs in by_spec.items() if len(runs) >= MIN_SEARCHES}
    variants = Counter(spec.model for spec in repeated)
    results: list[tuple[Correctness, FamilyResult]] = []
    for spec, runs in repeated.items():
        # The mean over the refits of each search: searches are to a family what seeds are to a model.
        correctness = Correctness(correct=np.stack([run.scores.correct.mean(axis=0) for run in runs]))
        name = spec.model if variants[spec.model] == 1 else f"{spec.name.removesuffix(spec.digest)}{_short(spec)}"
        searches = tuple(run.label for run in runs)
        results.append((correctness, FamilyResult(name=name, searches=searches, interval=interval(correctness))))
    results.sort(key=lambda pair: (-float(pair[0].correct.mean()), pair[1].name))
    if len(results) < 2:
        return tuple(family for _, family in results), ()
    comparison = compare_all([correctness for correctness, _ in results])
    pairs = list(combinations(range(len(results)), 2))
    adjusted = holm(np.array([comparison.p_value[pair] for pair in pairs]))
    tests = tuple(
        PairTest(a=results[a][1].name, b=results[b][1].name, difference=comparison.pair(a, b), p_adjusted=float(p))
        for (a, b), p in zip(pairs, adjusted, strict=True)
    )
    return tuple(family for _, family in results), tests


def _short(spec: RunSpec) -> str:
    return spec.digest[:SHORT_DIGEST]


def _ranked(runs: Sequence[Run], comparison: Comparison) -> tuple[tuple[Row, ...], tuple[PairTest, ...]]:
    """Rows of the tuned models, and the tests of every two of the best."""
    count = len(runs)
    a, b = np.triu_indices(count, 1)
    adjusted = np.full((count, count), math.nan)
    adjusted[a, b] = adjusted[b, a] = holm(comparison.p_value[a, b])
    differs = adjusted < 1 - LEVEL
    better = (differs & (comparison.difference[:count, :count] < 0)).sum(axis=1)
    worse = (differs & (comparison.difference[:count, :count] > 0)).sum(axis=1)
    similar, labels = adjusted >= 1 - LEVEL, np.array([run.label for run in runs])
    rows = tuple(
        Row(
            run=run,
            rank=None if run.interval is None else (int(1 + better[number]), int(count - worse[number])),
            not_different_from=None if run.interval is None else tuple(labels[similar[number]].tolist()),
            versus_best=None,
            in_full=number < TOP_ROWS,
            has_figures=number == 0 or count <= TOP_ROWS,
        )
        for number, run in enumerate(runs)
    )
    tests = tuple(
        PairTest(a=runs[a].label, b=runs[b].label, difference=comparison.pair(a, b), p_adjusted=float(adjusted[a, b]))
        for a, b in combinations(range(min(count, TOP_ROWS)), 2)
    )
    return rows, tests


def _references(tuned: Sequence[Run], untuned: Sequence[Run], comparison: Comparison) -> tuple[Row, ...]:
    """Rows of the reference models, each compared with the best tuned model; these tests are one family."""
    places = range(len(tuned), len(tuned) + len(untuned))
    adjusted = holm(comparison.p_value[0, list(places)]) if tuned else np.full(len(untuned), math.nan)
    return tuple(
        _unranked(
            run,
            PairTest(a=run.label, b=tuned[0].label, difference=comparison.pair(place, 0), p_adjusted=float(p))
            if tuned
            else None,
        )
        for run, place, p in zip(untuned, places, adjusted, strict=True)
    )


def _unranked(run: Run, versus_best: PairTest | None = None) -> Row:
    return Row(run=run, rank=None, not_different_from=None, versus_best=versus_best, in_full=True, has_figures=True)
