"""The leaderboard's tables as a reader sees them: numbers as text, with units in the column names."""

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from bench.evaluation.comparison import Interval
from bench.evaluation.metrics import confused_pairs
from bench.report.leaderboard import BEST_ROWS, Row, Table
from bench.report.runs import Run

TOP_PAIRS = 5
MAX_TIES = BEST_ROWS - 1  # of more, only the first TOP_TIES are named
TOP_TIES = 5
COSTS = {"parameters": "", "train once": "s", "predict": "µs/image"}  # name to unit


def percent(fraction: float) -> str:
    """A fraction in [0, 1] as percent, without the sign."""
    return f"{100 * fraction:.2f}"


def seconds(value: float) -> str:
    """Seconds with as many digits as one may believe."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def accuracy_with_interval(accuracy: float, interval: Interval | None) -> str:
    """Percent with its interval: half the width, or both ends where it is not symmetric."""
    if interval is None:
        return f"{percent(accuracy)} (no interval)"
    if (half := half_width_text(interval)) is not None:
        return f"{percent(accuracy)} ± {half}"
    return f"{percent(accuracy)} ({percent(interval.low)} to {percent(interval.high)})"


def accuracy_sentence(accuracy: float, interval: Interval | None) -> str:
    """The same outside a table of percents."""
    if interval is None:
        return f"{percent(accuracy)} %, no interval"
    if (half := half_width_text(interval)) is not None:
        return f"{percent(accuracy)} ± {half} %"
    return f"{percent(accuracy)} % ({percent(interval.low)} to {percent(interval.high)} %)"


def half_width_text(interval: Interval) -> str | None:
    """In points; None where it is not the same to both sides."""
    below, above = percent(interval.mean - interval.low), percent(interval.high - interval.mean)
    return above if below == above else None


def source_text(interval: Interval | None) -> str:
    """What most of the interval's width comes from: more seeds would shrink it, or only more images."""
    if interval is None:
        return "-"
    if interval.n_seeds == 1:
        return "images only"
    return "seeds" if interval.seed_variance_share > 0.5 else "images"


def rank_text(row: Row) -> str:
    """The places that a row may have."""
    if row.rank is None:
        return "-" if row.run.record.spec.fixed else "?"
    best, worst = row.rank
    return str(best) if best == worst else f"{best} to {worst}"


def kind_text(row: Row) -> str:
    """What a reference is."""
    reference = row.run.record.reference
    return "tutorial, not tuned" if reference is not None and reference.is_network else "no network"


def verdict_text(row: Row) -> str:
    """What a reference is, compared with the best searched row, in points."""
    if row.against_best is None:
        return "-"
    difference = row.against_best.difference
    if difference is None:
        return "unknown (1 seed)"
    said = f"{row.against_best.word} than {row.against_best.b}"
    if row.against_best.word == "tied":
        said = "tied, by Holm's correction" if difference.low * difference.high > 0 else "tied"
    return f"{said}: {points(difference.mean)} ({points(difference.low)} to {points(difference.high)})"


def points(fraction: float) -> str:
    """A difference of fractions in percentage points, with its sign."""
    return f"{100 * fraction:+.2f}"


def tied_text(row: Row, rows: int) -> str:
    """Which rows a row cannot be told apart from, in words."""
    if rows == 1:
        return "-"
    if row.tied_with is None:
        return "unknown (1 seed)"
    if len(row.tied_with) > MAX_TIES:
        return f"{', '.join(row.tied_with[:TOP_TIES])} and {len(row.tied_with) - TOP_TIES} more"
    return ", ".join(row.tied_with) or "none"


def scores_table(table: Table) -> pd.DataFrame:
    """How well each searched model does, best first."""
    return pd.DataFrame(
        {
            "rank": rank_text(row),
            "model": row.label,
            "test accuracy, %": accuracy_with_interval(row.test_accuracy, row.run.interval),
            "± mostly from": source_text(row.run.interval),
            "seeds": str(len(row.run.record.refits)),
            "tied with": tied_text(row, len(table.rows)),
            "train/test gap, points": percent(row.train_test_gap),
            "macro F1": f"{row.run.scores.macro_f1:.4f}",
            "log loss": f"{row.run.scores.log_loss:.4f}",
            "validation, %": percent(row.run.record.winning_trial.score),
        }
        for row in table.rows
    )


def references_table(table: Table) -> pd.DataFrame:
    """What was not searched, best first, compared with the best that was."""
    return pd.DataFrame(
        {
            "model": row.label,
            "what": kind_text(row),
            "test accuracy, %": accuracy_with_interval(row.test_accuracy, row.run.interval),
            "± mostly from": source_text(row.run.interval),
            "seeds": seeds_cell(row),
            "against the best found, points": verdict_text(row),
            "train/test gap, points": percent(row.train_test_gap),
            "macro F1": f"{row.run.scores.macro_f1:.4f}",
            "log loss": f"{row.run.scores.log_loss:.4f}",
        }
        for row in table.references
    )


def families_table(table: Table) -> pd.DataFrame:
    """What searches of a family find, on average over their seeds."""
    return pd.DataFrame(
        {
            "family": family.name,
            "test accuracy, %": accuracy_with_interval(family.interval.mean, family.interval),
            "searches": str(len(family.searches)),
        }
        for family in table.families
        if family.interval is not None
    )


def seeds_cell(row: Row) -> str:
    """How many seeds a row has."""
    reference, refits = row.run.record.reference, len(row.run.record.refits)
    return "1, needs no more" if reference is not None and reference.deterministic else str(refits)


def costs_table(table: Table) -> pd.DataFrame:
    """What each model costs, in the order of the scores; machines are named where they differ."""
    on = fronts(table.best, with_seconds=len(table.machines) == 1)
    costs = pd.DataFrame(
        {
            "model": row.label,
            "parameters": f"{row.parameters:,}",
            "search, s": "-" if row.run.record.spec.fixed else seconds(row.run.record.search_seconds),
            "train once, s": seconds(row.costs["train once"]),
            "predict, µs/image": f"{row.costs['predict']:.3g}",
            "Pareto front of": ", ".join(cost for cost in on if row.label in on[cost]) or "-",
        }
        for row in table.everything
    )
    if len(table.machines) > 1:
        costs["machine"] = [row.run.record.environment.cpu for row in table.everything]
    return costs


def fronts(rows: Sequence[Row], *, with_seconds: bool) -> dict[str, list[str]]:
    """By each cost the models that no other one beats in both accuracy and cost, the cheapest first.

    Args:
        rows: the models.
        with_seconds: whether they were made on one machine, so that seconds may be compared.
    """
    found: dict[str, list[str]] = {}
    for cost in COSTS if with_seconds else ("parameters",):
        by_cost = sorted(rows, key=lambda row: (row.costs[cost], -row.test_accuracy))
        found[cost], best = [], -1.0
        for row in by_cost:
            if row.test_accuracy > best:
                best = row.test_accuracy
                found[cost].append(row.label)
    return found


def class_f1_table(table: Table) -> pd.DataFrame:
    """F1 of each class, the best models side by side, the class that is hardest for them on average first."""
    names = table.dataset.class_names
    f1 = pd.DataFrame({row.label: row.run.scores.by_class.f1[: len(names)] for row in table.best}, index=list(names))
    shown = f1.loc[f1.mean(axis=1).sort_values(kind="stable").index].map("{:.3f}".format)
    return shown.rename_axis("class").reset_index()


def confused_table(table: Table) -> pd.DataFrame:
    """The most confused pairs of the best models, both directions, in images a refit."""
    return pd.DataFrame({"model": row.label} | pair for row in table.best for pair in _pairs(row.run))


def pairs_table(run: Run) -> pd.DataFrame:
    """The most confused pairs of one model."""
    return pd.DataFrame(_pairs(run))


def _pairs(run: Run) -> Iterator[dict[str, str]]:
    refits = len(run.record.refits)
    for pair in confused_pairs(run.scores.confusion, run.record.dataset.class_names, TOP_PAIRS):
        yield {
            "taken for each other": f"{pair.a} and {pair.b}",
            "first as second": f"{pair.a_as_b / refits:.1f}",
            "second as first": f"{pair.b_as_a / refits:.1f}",
            "share of errors, %": f"{100 * pair.share:.1f}",
        }


def how_measured(run: Run) -> dict[str, str]:
    """Everything that decides or describes how a run was made: name to value."""
    record, spec, machine = run.record, run.record.spec, run.record.environment
    return {
        "run": record.run_id,
        "started (UTC)": record.started,
        **(_search(run) if record.reference is None else {"recipe": record.reference.recipe}),
        "refit seeds": ", ".join(str(refit.seed) for refit in record.refits),
        "precision": ("" if spec.fixed else f"search {spec.precision}, ") + f"refits {record.precision_refit}",
        "latency": f"batches of {record.latency.batch_size}, {_threads(run)}median of "
        f"{record.latency.repeats} x {record.latency.images:,} images",
        "code of the model": spec.source,
        "machine": f"{machine.cpu}, {machine.cores} usable core(s)",
        "workers": f"{record.workers}, {machine.threads} thread(s) each",
        "instruction sets": ", ".join(machine.instruction_sets) or "none recorded",
        "oneDNN": machine.onednn,
        "system": machine.platform,
        "versions": f"Python {machine.python}, TensorFlow {machine.tensorflow}, Keras {machine.keras}, "
        f"Keras Tuner {machine.keras_tuner}, NumPy {machine.numpy}, scikit-learn {machine.scikit_learn}, "
        f"distributed {machine.distributed}",
        "git commit": machine.git_commit or "unknown",
        **({} if spec.fixed else _usage(run)),
        "taken up again": f"{record.resumed} times, {record.differing_proposals} proposals overruled by the ledger",
    }


def _threads(run: Run) -> str:
    # scikit-learn's classifiers do not say how many they take.
    threads = run.record.latency.threads
    return f"{threads} thread(s), " if threads else ""


def _search(run: Run) -> dict[str, str]:
    record, spec = run.record, run.record.spec
    cut = sum(trial.status == "cut" for trial in record.trials)
    failed = sum(trial.status == "failed" for trial in record.trials)
    return {
        "tuner": spec.tuner,
        "trials": f"{len(record.trials)}, of which {failed} failed" + (f", {cut} cut short" if cut else ""),
        "epochs trained": f"{record.trained_epochs} of {spec.budget.total_epochs}",
        "search seed": str(spec.seed),
    }


def _usage(run: Run) -> dict[str, str]:
    """What workers did with the time of the search; not known of records of schema 1."""
    record = run.record
    if record.usage is None:
        return {}
    usage, workers = record.usage, record.workers
    fit = sum(trial.fit_seconds for trial in record.trials)
    return {
        "start-up": f"{seconds(usage.start_seconds)} s until the first trial",
        "workers while searching": f"{seconds(workers * record.search_seconds)} s of all, {seconds(fit)} s of them in "
        f"training, {seconds(usage.search_idle_seconds)} s without a trial to train",
        "workers after the search": f"{seconds(usage.refit_idle_seconds)} s idle while refits ended, "
        f"{seconds(usage.judge_idle_seconds)} s while judging",
    }


def two_columns(values: Mapping[str, str]) -> pd.DataFrame:
    """Names and values."""
    return pd.DataFrame({"what": values.keys(), "value": values.values()})


def measured_alike(table: Table) -> pd.DataFrame:
    """What was the same for every row."""
    return two_columns(
        {name: values[0] for name, values in _measured(table.everything).items() if len(set(values)) == 1}
    )


def measured_differently(table: Table) -> pd.DataFrame:
    """What was not the same for every row: one column for each of the best models. Empty for a single row."""
    different = {name: values for name, values in _measured(table.everything).items() if len(set(values)) > 1}
    columns = {row.label: [values[number] for values in different.values()] for number, row in enumerate(table.best)}
    return pd.DataFrame({"what": different.keys(), **columns})


def _measured(rows: Sequence[Row]) -> Mapping[str, Sequence[str]]:
    """Name to its value in each row; what older records did not keep stands as such."""
    found = [(how_measured(row.run), "-" if row.run.record.spec.fixed else "not recorded") for row in rows]
    names = dict.fromkeys(name for values, _ in found for name in values)
    return {name: [values.get(name, missing) for values, missing in found] for name in names}
