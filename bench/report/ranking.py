"""Ranking: which runs may be compared, in which order, and which differences are significant."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations, groupby
from pathlib import Path

import numpy as np

from bench.evaluation.comparison import LEVEL, Comparison, compare_all, holm, interval
from bench.evaluation.text import counted
from bench.evaluation.variance import Correctness
from bench.records.choices import Preset
from bench.records.objective import objective_name
from bench.records.spec import RunSpec, SearchSpec, without_search_number
from bench.report.board import TOP_ROWS, UNSET, Board, FamilyResult, PairTest, Row, Table
from bench.report.row_labels import SHORT_DIGEST
from bench.report.runs import Loaded, Run, load
from bench.tuning.presets import CORE_SECONDS

TEST_LABELS = "test-label checksum"  # name of a condition
_PRESET_ORDER: tuple[Preset, ...] = ("default", "long", "quick")  # the default is what most readers look for
MIN_SEARCHES = 3  # of a family, to estimate the variance across searches


def leaderboard(results: Path) -> Board:
    """The leaderboard of a results folder, from its records alone."""
    return rank(results, load(results))


def rank(results: Path, loaded: Loaded) -> Board:
    """Rank runs that are comparable; tables of a dataset are in the order of protocol, preset and budget."""
    tables: list[Table] = []
    for _, of_dataset in groupby(sorted(loaded.runs, key=_table_order), key=lambda run: run.record.dataset.name):
        runs = list(of_dataset)
        references = [run for run in runs if run.record.reference is not None]
        searched = [data_of(run) for run in runs if run.record.search is not None]
        groups: dict[tuple[str, ...], list[Run]] = {}
        for run in sorted(runs, key=lambda run: run.record.search is None):
            # Reference models have a table of their own only if there is no tuned model to compare them with.
            if run.record.search is not None or data_of(run) not in searched:
                groups.setdefault(tuple(conditions(run).values()), []).append(run)
        first = conditions(next(iter(groups.values()))[0])
        tables += [
            _table(number, group, references, loaded.reproductions, first)
            for number, group in enumerate(groups.values(), 1)
        ]
    return Board(results=results, tables=tuple(tables), problems=loaded.problems)


def _table_order(run: Run) -> tuple[str, int, int, int, tuple[str, ...], str]:
    spec = run.record.spec
    preset, epochs = len(_PRESET_ORDER), 0
    if isinstance(spec, SearchSpec):
        epochs = spec.budget.total_epochs
        preset = preset if spec.preset is None else _PRESET_ORDER.index(spec.preset)
    return run.record.dataset.name, -spec.protocol, preset, -epochs, tuple(conditions(run).values()), run.label


def conditions(run: Run) -> dict[str, str]:
    """Conditions that must be equal for two runs to be ranked together: name to value."""
    spec = run.record.spec
    kind, budget, precision, goal = "reference", "none (no search)", "none (no search)", UNSET
    if isinstance(spec, SearchSpec):
        kind, budget, precision = "tuned", _budget_text(spec), spec.precision
        goal = {"objective": objective_name(spec), "class weights": spec.class_weights or "none"}
    return {
        "budget": budget,
        "search precision": precision,
        "protocol": f"version {spec.protocol} ({kind} models)",
        **{name: value for name, value in goal.items() if value != UNSET[name]},
        **data_of(run),
    }


def _budget_text(spec: SearchSpec) -> str:
    limit = "" if spec.time_limit is None else f", time limit {spec.time_limit:,} s"
    if spec.preset is not None:
        minutes = counted(CORE_SECONDS[spec.preset] // 120, "minute")
        return f"preset {spec.preset}, planned for {minutes} per family on two cores{limit}"
    total, trials = counted(spec.budget.total_epochs, "epoch"), counted(spec.budget.trials, "trial")
    return f"{total} (equivalent to {trials} of {counted(spec.budget.epochs, 'epoch')}){limit}"


def data_of(run: Run) -> dict[str, str]:
    """Conditions that must be equal for a run to be compared with a reference model: name to value."""
    dataset = run.record.dataset
    return {
        "split": f"{dataset.n_train:,} training, {dataset.n_validation:,} validation, {dataset.n_test:,} test images",
        "dataset checksum": dataset.checksum[:12],
        TEST_LABELS: run.test_labels,
    }


def _table(
    number: int,
    group: Sequence[Run],
    references: Sequence[Run],
    reproductions: Sequence[Run],
    first: Mapping[str, str],
) -> Table:
    here = conditions(group[0])
    comparable = [run for run in group if run.record.search is not None]
    comparable += [run for run in references if data_of(run) == data_of(group[0])]
    # Tuned models first.
    compared = sorted(comparable, key=lambda run: (run.record.search is None, -run.scores.accuracy, run.label))
    tuned = [run for run in compared if run.record.search is not None]
    comparison = compare_all([run.correctness for run in compared])
    selected = min(range(len(tuned)), key=lambda number: selection_order(tuned[number]), default=0)
    rows, pair_tests = _ranked(tuned, comparison, selected)
    rows, untuned = _with_references(rows, compared, comparison, selected)
    families, family_tests = _families(tuned)
    return Table(
        number=number,
        dataset=group[0].record.dataset,
        conditions=here,
        differs={name: {**UNSET, **first}[name] for name in {**first, **here} if here.get(name) != first.get(name)},
        rows=rows,
        selected_row=rows[selected] if rows else None,
        references=untuned,
        reproductions=tuple(Row(run=run) for run in reproductions if run.reproduces in compared),
        pair_tests=pair_tests,
        families=families,
        family_tests=family_tests,
    )


def _families(tuned: Sequence[Run]) -> tuple[tuple[FamilyResult, ...], tuple[PairTest, ...]]:
    """Families with at least MIN_SEARCHES searches, and the tests of every two of them."""
    by_spec: dict[RunSpec, list[Run]] = {}
    for run in tuned:
        by_spec.setdefault(without_search_number(run.record.spec), []).append(run)
    repeated = {spec: runs for spec, runs in by_spec.items() if len(runs) >= MIN_SEARCHES}
    variants = Counter(spec.model for spec in repeated)
    results: list[tuple[Correctness, FamilyResult]] = []
    for spec, runs in repeated.items():
        # The mean over the refits of each search: searches are to a family what seeds are to a model.
        correctness = Correctness(correct=np.stack([run.scores.correct.mean(axis=0) for run in runs]))
        digest = spec.digest[:SHORT_DIGEST]
        name = spec.model if variants[spec.model] == 1 else f"{spec.name.removesuffix(spec.digest)}{digest}"
        family = FamilyResult(
            name=name,
            searches=tuple(run.label for run in runs),
            splits=len({run.record.spec.split for run in runs if isinstance(run.record.spec, SearchSpec)}),
            refits=spec.refit_seeds,
            interval=interval(correctness),
        )
        results.append((correctness, family))
    if not results:
        return (), ()
    results.sort(key=lambda pair: (-float(pair[0].correct.mean()), pair[1].name))
    families = tuple(family for _, family in results)
    comparison = compare_all([correctness for correctness, _ in results])
    pairs = list(combinations(range(len(families)), 2))
    adjusted = holm(np.array([comparison.p_value[pair] for pair in pairs]))
    names = [family.name for family in families]
    tests = (_pair_test(names, comparison, *pair, p) for pair, p in zip(pairs, adjusted, strict=True))
    return families, tuple(tests)


def selection_order(run: Run) -> tuple[float, int, int, str]:
    """Sorts tuned models, the best by validation images first; ties as among trials: fewer parameters, then earlier.

    By test accuracy, the best of several would look better than it is.
    """
    record, search = run.record, run.record.search
    score = -1.0 if search is None else search.winning_trial.score
    return -score, record.refits[0].parameters, record.spec.seed, run.label


def _pair_test(names: Sequence[str], comparison: Comparison, a: int, b: int, p_adjusted: float) -> PairTest:
    return PairTest(a=names[a], b=names[b], difference=comparison.pair(a, b), p_adjusted=float(p_adjusted))


def _ranked(runs: Sequence[Run], comparison: Comparison, selected: int) -> tuple[tuple[Row, ...], tuple[PairTest, ...]]:
    """Rows of the tuned models, compared with the model `selected`, and the tests of every two of the best."""
    count = len(runs)
    a, b = np.triu_indices(count, 1)
    adjusted = np.full((count, count), math.nan)
    adjusted[a, b] = adjusted[b, a] = holm(comparison.p_value[a, b])
    differs, similar = adjusted < 1 - LEVEL, adjusted >= 1 - LEVEL
    better = (differs & (comparison.difference[:count, :count] < 0)).sum(axis=1)
    worse = (differs & (comparison.difference[:count, :count] > 0)).sum(axis=1)
    names = [run.label for run in runs]
    labels = np.array(names)
    rows = tuple(
        Row(
            run=run,
            rank=None if run.interval is None else (int(1 + better[number]), int(count - worse[number])),
            not_different_from=None if run.interval is None else tuple(labels[similar[number]].tolist()),
            versus_best=None
            if number == selected
            else _pair_test(names, comparison, number, selected, adjusted[number, selected]),
            in_full=number < TOP_ROWS,
            has_figures=number == 0 or count <= TOP_ROWS,
        )
        for number, run in enumerate(runs)
    )
    # Corrected for the pairs of all rows, as the ranks are.
    pairs = combinations(range(min(count, TOP_ROWS)), 2)
    return rows, tuple(_pair_test(names, comparison, *pair, adjusted[pair]) for pair in pairs)


def _with_references(
    rows: tuple[Row, ...], compared: Sequence[Run], comparison: Comparison, selected: int
) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """The tuned models, and the reference models that follow them in `compared`, with the tests between them.

    Each reference model is tested against every tuned model; all these tests are one family.
    """
    count = len(rows)
    references = compared[count:]
    if not rows or not references:
        return rows, tuple(Row(run=run) for run in references)
    adjusted = holm(comparison.p_value[count:, :count])
    better = (adjusted < 1 - LEVEL) & (comparison.difference[count:, :count] > 0)
    similar = adjusted >= 1 - LEVEL
    names = [run.label for run in compared]
    labels = np.array(names[:count])
    tuned_rows = (
        replace(row, versus_reference=_pair_test(names, comparison, number, count, adjusted[0, number]))
        for number, row in enumerate(rows)
    )
    reference_rows = (
        Row(
            run=run,
            not_different_from=None if run.interval is None else tuple(labels[similar[number]].tolist()),
            versus_best=_pair_test(names, comparison, count + number, selected, adjusted[number, selected]),
            better_than=tuple(labels[better[number]].tolist()),
        )
        for number, run in enumerate(references)
    )
    return tuple(tuned_rows), tuple(reference_rows)
