"""Two runs compared: test result, metrics, F1 by class, images classified differently, and costs."""

import math
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.errors import SpecError
from bench.evaluation.arrays import BoolArray, FloatArray
from bench.evaluation.comparison import compare_all, mcnemar
from bench.evaluation.error_analysis import majority
from bench.evaluation.text import accuracy_cell, counted, percent
from bench.report.board import PairTest
from bench.report.narrow_table import narrow_table, wrap
from bench.report.ranking import conditions, data_of
from bench.report.runs import Loaded, Run, find_all_runs, find_run, load
from bench.report.tables.costs import cost_cells
from bench.report.tables.scores import metric_text
from bench.report.text.statements import pair_sentence

SHOWN_IMAGES = 10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class RunComparison:
    """Two runs on the same test images.

    The frames list the images that most refits of one run classify correctly and most of the other misclassify, the
    clearest first: columns `image` (index in the test set), `true` (class name), `predicted_a` and `predicted_b` (the
    most frequent predictions), `correct_a` and `correct_b` (fractions of the refits that classify it correctly).
    """

    a: Run
    b: Run
    test: PairTest  # a compared with b
    mcnemar: float | None  # exact p-value, for two single refits only
    only_a_correct: pd.DataFrame
    only_b_correct: pd.DataFrame

    def __repr__(self) -> str:
        return comparison_text(self)


def compare_runs(results: Path, a: str, b: str) -> RunComparison:
    """Compare the runs `a` and `b`, each a model name or a run id.

    Raises:
        SpecError: there is no such run, several have that name, or they were evaluated on different data.
    """
    run_a, run_b = comparable_runs(load(results), a, b)
    difference = compare_all([run_a.correctness, run_b.correctness]).pair(0, 1)
    p_value = math.nan if difference is None else difference.p_value
    single = len(run_a.record.refits) == len(run_b.record.refits) == 1
    correct = run_a.scores.correct.mean(axis=0), run_b.scores.correct.mean(axis=0)
    return RunComparison(
        a=run_a,
        b=run_b,
        test=PairTest(a=run_a.label, b=run_b.label, difference=difference, p_adjusted=p_value),
        mcnemar=mcnemar(run_a.scores.correct[0], run_b.scores.correct[0]) if single else None,
        only_a_correct=_images((run_a, run_b), correct, (correct[0] > 0.5) & (correct[1] < 0.5)),
        only_b_correct=_images((run_a, run_b), correct, (correct[0] < 0.5) & (correct[1] > 0.5)),
    )


def comparable_runs(loaded: Loaded, a: str, b: str) -> tuple[Run, Run]:
    """The runs called `a` and `b`, evaluated on the same data.

    If a name can mean runs on several datasets, those of the same data are chosen if there is only one such pair.

    Raises:
        SpecError: as `compare_runs` does.
    """
    candidates = product(find_all_runs(loaded, a), find_all_runs(loaded, b))
    pairs = [pair for pair in candidates if pair[0] is not pair[1] and _data(pair[0]) == _data(pair[1])]
    if len(pairs) == 1:
        return pairs[0]
    run_a, run_b = find_run(loaded, a), find_run(loaded, b)
    if run_a is run_b:
        raise SpecError(f"{a} and {b} are the same run: name two")
    data_a, data_b = _data(run_a), _data(run_b)
    if differing := [f"{name} ({data_a[name]} and {data_b[name]})" for name in data_a if data_a[name] != data_b[name]]:
        raise SpecError(f"{a} and {b} cannot be compared: they differ in {', '.join(differing)}")
    return run_a, run_b


def _data(run: Run) -> dict[str, str]:
    return {**data_of(run), "dataset": run.record.dataset.name}


def _images(runs: tuple[Run, Run], correct: tuple[FloatArray, FloatArray], selected: BoolArray) -> pd.DataFrame:
    images = np.flatnonzero(selected)
    images = images[np.argsort(-np.abs(correct[0] - correct[1])[images], kind="stable")]
    names = np.array(runs[0].record.dataset.class_names)
    predicted = [names[majority(run.scores.predicted[:, images])] for run in runs]
    return pd.DataFrame(
        {
            "image": images,
            "true": names[runs[0].labels[images]],
            "predicted_a": predicted[0],
            "predicted_b": predicted[1],
            "correct_a": correct[0][images],
            "correct_b": correct[1][images],
        }
    )


def comparison_text(comparison: RunComparison) -> str:
    """The comparison for the terminal."""
    a, b = comparison.a, comparison.b
    parts = [
        pair_sentence(comparison.test, a.record.dataset.n_test),
        "This single test is not corrected for multiple comparisons.",
    ]
    parts += [
        f"Not ranked together: {name} is {value_a} for {a.label} and {value_b} for {b.label}."
        for name, (value_a, value_b) in _different_conditions(a, b).items()
    ]
    if comparison.mcnemar is not None:
        parts.append(
            f"McNemar's exact test of these two refits: p = {comparison.mcnemar:.3g}. It does not account for the "
            "variance across seeds."
        )
    parts = [*map(wrap, parts), narrow_table(_scores(a, b))]
    parts.append("F1 by class, largest difference first\n\n" + narrow_table(_classes(a, b)))
    for better, worse, images in ((a, b, comparison.only_a_correct), (b, a, comparison.only_b_correct)):
        title = (
            f"{counted(len(images), 'test image')} {'is' if len(images) == 1 else 'are'} classified correctly by most "
            f"refits of {better.label} and misclassified by most of {worse.label}"
        )
        if images.empty:
            parts.append(wrap(f"{title}."))
        else:
            shown = "" if len(images) <= SHOWN_IMAGES else f"; the {SHOWN_IMAGES} with the largest difference"
            parts.append(f"{wrap(f'{title}{shown}:')}\n\n{narrow_table(_images_table(a, b, images))}")
    return "\n\n".join(parts)


def _different_conditions(a: Run, b: Run) -> dict[str, tuple[str, str]]:
    """Conditions that keep two tuned models out of one ranking: name to the value of each."""
    if a.record.search is None or b.record.search is None:
        return {}
    of_a, of_b = conditions(a), conditions(b)
    return {name: (of_a[name], of_b[name]) for name in of_a if of_a[name] != of_b[name]}


def _scores(a: Run, b: Run) -> pd.DataFrame:
    same_machine = a.record.environment.machine == b.record.environment.machine

    def column(run: Run) -> dict[str, str]:
        costs = cost_cells(run)
        other = {**dict.fromkeys(costs, "other machine"), "parameters": costs["parameters"]}
        return {
            "test accuracy (%)": accuracy_cell(run.scores.accuracy, run.interval),
            "seeds": str(len(run.record.refits)),
            **{metric.heading: metric_text(run, metric) for metric in run.metrics},
            **(costs if same_machine else other),
        }

    values_a, values_b = column(a), column(b)
    return pd.DataFrame({"": values_a.keys(), a.label: values_a.values(), b.label: values_b.values()})


def _classes(a: Run, b: Run) -> pd.DataFrame:
    names = a.record.dataset.class_names
    f1 = pd.DataFrame({"a": a.scores.by_class.f1, "b": b.scores.by_class.f1}).head(len(names))
    f1["difference"] = f1["a"] - f1["b"]
    f1 = f1.sort_values("difference", key=lambda difference: -difference.abs(), kind="stable")
    text = f1[["a", "b"]].map("{:.3f}".format).assign(difference=f1["difference"].map("{:+.3f}".format))
    text.insert(0, "class", [names[number] for number in f1.index])
    return text.set_axis(["class", a.label, b.label, "difference"], axis="columns")


def _images_table(a: Run, b: Run, images: pd.DataFrame) -> pd.DataFrame:
    text = images.head(SHOWN_IMAGES).astype({"image": str})
    text[["correct_a", "correct_b"]] = text[["correct_a", "correct_b"]].map(lambda fraction: percent(fraction, 0))
    columns = [f"{run.label}: {what}" for what in ("prediction", "correct refits (%)") for run in (a, b)]
    return text.set_axis(["test image", "true class", *columns], axis="columns")


def comparison_json(comparison: RunComparison) -> dict[str, Any]:
    """The comparison as plain values at full precision."""
    a, b = comparison.a, comparison.b
    difference = comparison.test.difference
    return {
        "a": a.record.run_id,
        "b": b.record.run_id,
        "different_conditions": list(_different_conditions(a, b)),
        "verdict": comparison.test.verdict,
        "difference": None if difference is None else asdict(difference),
        "mcnemar_p": comparison.mcnemar,
        "metrics": {metric.key: [a.value(metric), b.value(metric)] for metric in a.metrics},
        "f1_by_class": {
            name: [float(a.scores.by_class.f1[number]), float(b.scores.by_class.f1[number])]
            for number, name in enumerate(a.record.dataset.class_names)
        },
        "only_a_correct": comparison.only_a_correct.to_dict("records"),
        "only_b_correct": comparison.only_b_correct.to_dict("records"),
    }
