"""Two runs compared: test result, metrics, F1 by class, images classified differently, and costs."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.errors import SpecError
from bench.evaluation.comparison import compare_all, mcnemar
from bench.report.board import PairTest
from bench.report.markdown import plain_table
from bench.report.ranking import conditions, data_of
from bench.report.runs import Loaded, Run, find_run, load
from bench.report.text.numbers import accuracy_cell, points, seconds
from bench.report.text.statements import pair_sentence

SHOWN_IMAGES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedImage:
    """A test image that most refits of one model classify correctly and most of the other misclassify."""

    image: int  # index in the test set
    true: str  # class name
    correct_a: float  # fraction of a's refits that classify it correctly, in [0, 1]
    correct_b: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunComparison:
    """Two runs on the same test images."""

    a: Run
    b: Run
    test: PairTest  # a compared with b
    mcnemar: float | None  # exact p-value, for two single refits only
    only_a_correct: tuple[ChangedImage, ...]  # the clearest first
    only_b_correct: tuple[ChangedImage, ...]


def compare_runs(results: Path, a: str, b: str) -> RunComparison:
    """Compare the runs `a` and `b`, each a row label or a run id.

    Raises:
        SpecError: there is no such run, several have that name, or they were evaluated on different data.
    """
    run_a, run_b = comparable_runs(load(results), a, b)
    difference = compare_all([run_a.correctness, run_b.correctness]).pair(0, 1)
    p_value = math.nan if difference is None else difference.p_value
    single = len(run_a.record.refits) == len(run_b.record.refits) == 1
    only_a, only_b = _changed_images(run_a, run_b)
    return RunComparison(
        a=run_a,
        b=run_b,
        test=PairTest(a=run_a.label, b=run_b.label, difference=difference, p_adjusted=p_value),
        mcnemar=mcnemar(run_a.scores.correct[0], run_b.scores.correct[0]) if single else None,
        only_a_correct=only_a,
        only_b_correct=only_b,
    )


def comparable_runs(loaded: Loaded, a: str, b: str) -> tuple[Run, Run]:
    """The runs called `a` and `b`, evaluated on the same data.

    Raises:
        SpecError: as `compare_runs` does.
    """
    run_a, run_b = find_run(loaded, a), find_run(loaded, b)
    if run_a is run_b:
        raise SpecError(f"{a} and {b} are the same run: name two")
    data_a, data_b = data_of(run_a), data_of(run_b)
    data_a["dataset"], data_b["dataset"] = run_a.record.dataset.name, run_b.record.dataset.name
    if differing := [
        f"{name} {data_a[name]!r} and {data_b[name]!r}" for name in data_a if data_a[name] != data_b[name]
    ]:
        raise SpecError(f"{a} and {b} cannot be compared: they differ in {'; '.join(differing)}")
    return run_a, run_b


def _changed_images(a: Run, b: Run) -> tuple[tuple[ChangedImage, ...], tuple[ChangedImage, ...]]:
    names, labels = a.record.dataset.class_names, a.labels
    correct_a, correct_b = a.scores.correct.mean(axis=0), b.scores.correct.mean(axis=0)

    def changed(images: NDArray[np.intp]) -> tuple[ChangedImage, ...]:
        clearest = images[np.argsort(-np.abs(correct_a - correct_b)[images], kind="stable")]
        return tuple(
            ChangedImage(
                image=image,
                true=names[labels[image]],
                correct_a=float(correct_a[image]),
                correct_b=float(correct_b[image]),
            )
            for image in clearest.tolist()
        )

    return (
        changed(np.flatnonzero((correct_a > 0.5) & (correct_b < 0.5))),
        changed(np.flatnonzero((correct_a < 0.5) & (correct_b > 0.5))),
    )


def comparison_text(comparison: RunComparison) -> str:
    """The comparison for the terminal."""
    a, b = comparison.a, comparison.b
    parts = [pair_sentence(comparison.test, a.record.dataset.n_test), "A single test, without Holm's correction."]
    parts += [
        f"Not ranked together: {name} is {value_a} and {value_b}."
        for name, (value_a, value_b) in _different_conditions(a, b).items()
    ]
    if comparison.mcnemar is not None:
        parts.append(
            f"McNemar's exact test of these two refits: p = {comparison.mcnemar:.3g}. It does not cover other seeds, "
            "with which the result may differ."
        )
    parts.append(plain_table(_scores(a, b)))
    parts.append("F1 by class, largest change first\n\n" + plain_table(_classes(a, b)))
    for better, worse, images in ((a, b, comparison.only_a_correct), (b, a, comparison.only_b_correct)):
        title = (
            f"{len(images):,} test images that most refits of {better.label} classify correctly and most of "
            f"{worse.label} misclassify"
        )
        parts.append(f"{title}, the clearest\n\n{plain_table(_images_table(a, b, images))}" if images else title)
    return "\n\n".join(parts)


def _different_conditions(a: Run, b: Run) -> dict[str, tuple[str, str]]:
    """Conditions that keep two tuned models out of one ranking: name to the value of each."""
    if a.record.search is None or b.record.search is None:
        return {}
    of_a, of_b = conditions(a), conditions(b)
    return {name: (of_a[name], of_b[name]) for name in of_a if of_a[name] != of_b[name]}


def _scores(a: Run, b: Run) -> pd.DataFrame:
    same_machine = a.record.environment.cpu == b.record.environment.cpu

    def times(run: Run) -> list[str]:
        if not same_machine:
            return ["other machine", "other machine"]
        training = statistics.median(refit.fit_seconds for refit in run.record.refits)
        return [seconds(training), f"{run.record.latency.microseconds_per_image:.3g}"]

    def column(run: Run) -> list[str]:
        return [
            accuracy_cell(run.scores.accuracy, run.interval),
            str(len(run.record.refits)),
            *(metric.text(value) for metric, value in run.metrics.items()),
            f"{run.record.refits[0].parameters:,}",
            *times(run),
        ]

    names = [
        "test accuracy (%)",
        "seeds",
        *(metric.heading for metric in a.metrics),
        "parameters",
        "training time (s)",
        "prediction time (µs/image)",
    ]
    return pd.DataFrame({"": names, a.label: column(a), b.label: column(b)})


def _classes(a: Run, b: Run) -> pd.DataFrame:
    names = a.record.dataset.class_names
    f1_a, f1_b = (run.scores.by_class.f1[: len(names)] for run in (a, b))
    order = np.argsort(-np.abs(f1_a - f1_b), kind="stable").tolist()
    return pd.DataFrame(
        {
            "class": names[number],
            a.label: f"{f1_a[number]:.3f}",
            b.label: f"{f1_b[number]:.3f}",
            "difference (pp)": points(f1_a[number] - f1_b[number]),
        }
        for number in order
    )


def _images_table(a: Run, b: Run, images: Sequence[ChangedImage]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "test image": str(changed.image),
            "true class": changed.true,
            f"{a.label} correct (%)": f"{100 * changed.correct_a:.0f}",
            f"{b.label} correct (%)": f"{100 * changed.correct_b:.0f}",
        }
        for changed in images[:SHOWN_IMAGES]
    )


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
        "metrics": {metric.key: [value, b.metrics[metric]] for metric, value in a.metrics.items()},
        "f1_by_class": {
            name: [float(a.scores.by_class.f1[number]), float(b.scores.by_class.f1[number])]
            for number, name in enumerate(a.record.dataset.class_names)
        },
        "only_a_correct": [asdict(changed) for changed in comparison.only_a_correct],
        "only_b_correct": [asdict(changed) for changed in comparison.only_b_correct],
    }
