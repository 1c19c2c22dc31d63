"""Two runs side by side: verdict, what changes for each class, the images that flip, and what both cost."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.errors import SpecError
from bench.evaluation.comparison import compare_all, mcnemar
from bench.report.leaderboard import Verdict, conditions, data_of
from bench.report.markdown import plain_table
from bench.report.runs import Loaded, Run, find_run, load
from bench.report.tables import accuracy_with_interval, points, seconds
from bench.report.verdicts import sentence

SHOWN_FLIPS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """A test image that one model mostly gets right and the other mostly wrong."""

    image: int  # index in the test part
    true: str  # class name
    right_a: float  # share of a's refits that get it right, in [0, 1]
    right_b: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two runs on the same test images."""

    a: Run
    b: Run
    verdict: Verdict  # a compared with b
    mcnemar: float | None  # exact p-value; only of two single fitted models
    only_a: tuple[Flip, ...]  # a mostly right, b mostly wrong, the clearest first
    only_b: tuple[Flip, ...]


def pair(results: Path, a: str, b: str) -> Pair:
    """Compare the runs `a` and `b`, each the name of a row or of a run's folder.

    Raises:
        SpecError: there is no such run, several have that name, or the two were not judged on the same data.
    """
    one, other = comparable(load(results), a, b)
    compared = compare_all([one.answers, other.answers]).pair(0, 1)
    p_value = math.nan if compared is None else compared.p_value
    single = len(one.record.refits) == len(other.record.refits) == 1
    only_a, only_b = _flips(one, other)
    return Pair(
        a=one,
        b=other,
        verdict=Verdict(a=one.label, b=other.label, difference=compared, p_holm=p_value),
        mcnemar=mcnemar(one.scores.correct[0], other.scores.correct[0]) if single else None,
        only_a=only_a,
        only_b=only_b,
    )


def comparable(loaded: Loaded, a: str, b: str) -> tuple[Run, Run]:
    """The runs called `a` and `b`, judged on the same data.

    Raises:
        SpecError: as `pair` does.
    """
    one, other = find_run(loaded, a), find_run(loaded, b)
    if one is other:
        raise SpecError(f"{a} and {b} are the same run: name two")
    here, there = data_of(one), data_of(other)
    here["dataset"], there["dataset"] = one.record.dataset.name, other.record.dataset.name
    if differing := [f"{name} {here[name]!r} and {there[name]!r}" for name in here if here[name] != there[name]]:
        raise SpecError(f"{a} and {b} cannot be compared: they differ in {'; '.join(differing)}")
    return one, other


def _flips(a: Run, b: Run) -> tuple[tuple[Flip, ...], tuple[Flip, ...]]:
    names, labels = a.record.dataset.class_names, a.labels
    right_a, right_b = a.scores.correct.mean(axis=0), b.scores.correct.mean(axis=0)

    def flips(images: Any) -> tuple[Flip, ...]:
        clearest = images[np.argsort(-np.abs(right_a - right_b)[images], kind="stable")]
        return tuple(
            Flip(image=image, true=names[labels[image]], right_a=float(right_a[image]), right_b=float(right_b[image]))
            for image in clearest.tolist()
        )

    return (
        flips(np.flatnonzero((right_a > 0.5) & (right_b < 0.5))),
        flips(np.flatnonzero((right_a < 0.5) & (right_b > 0.5))),
    )


def pair_text(found: Pair) -> str:
    """What a terminal shows."""
    a, b = found.a, found.b
    parts = [sentence(found.verdict, a.record.dataset.n_test), "Of these two alone, without Holm's correction."]
    parts += [f"Not ranked together: {name} is {here} and {there}." for name, (here, there) in _unlike(a, b).items()]
    if found.mcnemar is not None:
        parts.append(
            f"McNemar's exact test of these two fitted models: p = {found.mcnemar:.3g}. It knows nothing of other "
            "seeds, under which the answer may be another."
        )
    parts.append(plain_table(_scores(a, b)))
    parts.append("F1 of each class, the largest change first\n\n" + plain_table(_classes(a, b)))
    for better, worse, flips in ((a, b, found.only_a), (b, a, found.only_b)):
        title = f"{len(flips):,} test images that {better.label} mostly gets right and {worse.label} mostly wrong"
        parts.append(f"{title}, the clearest\n\n{plain_table(_flips_table(a, b, flips))}" if flips else title)
    return "\n\n".join(parts)


def _unlike(a: Run, b: Run) -> dict[str, tuple[str, str]]:
    """Conditions that keep two searched runs out of one ranking: name to its value in each."""
    if a.record.spec.fixed or b.record.spec.fixed:
        return {}
    here, there = conditions(a), conditions(b)
    return {name: (here[name], there[name]) for name in here if here[name] != there[name]}


def _scores(a: Run, b: Run) -> pd.DataFrame:
    same_machine = a.record.environment.cpu == b.record.environment.cpu

    def costs(run: Run) -> list[str]:
        refits = run.record.refits
        fit = float(np.median([refit.fit_seconds for refit in refits]))
        return [seconds(fit), f"{run.record.latency.microseconds_per_image:.3g}"]

    def column(run: Run) -> list[str]:
        return [
            accuracy_with_interval(run.scores.accuracy, run.interval),
            str(len(run.record.refits)),
            f"{run.scores.macro_f1:.4f}",
            f"{run.scores.log_loss:.4f}",
            f"{run.record.refits[0].parameters:,}",
            *(costs(run) if same_machine else ["other machine", "other machine"]),
        ]

    names = ["test accuracy, %", "seeds", "macro F1", "log loss", "parameters", "train once, s", "predict, µs/image"]
    return pd.DataFrame({"": names, a.label: column(a), b.label: column(b)})


def _classes(a: Run, b: Run) -> pd.DataFrame:
    names = a.record.dataset.class_names
    one, other = (run.scores.by_class.f1[: len(names)] for run in (a, b))
    order = np.argsort(-np.abs(one - other), kind="stable").tolist()
    return pd.DataFrame(
        {
            "class": names[number],
            a.label: f"{one[number]:.3f}",
            b.label: f"{other[number]:.3f}",
            "change, points": points(one[number] - other[number]),
        }
        for number in order
    )


def _flips_table(a: Run, b: Run, flips: Sequence[Flip]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "test image": str(flip.image),
            "true class": flip.true,
            f"{a.label} right, %": f"{100 * flip.right_a:.0f}",
            f"{b.label} right, %": f"{100 * flip.right_b:.0f}",
        }
        for flip in flips[:SHOWN_FLIPS]
    )


def pair_data(found: Pair) -> dict[str, Any]:
    """The same with plain values at full precision, for JSON."""
    a, b = found.a, found.b
    return {
        "a": a.record.run_id,
        "b": b.record.run_id,
        "not_ranked_together_for": list(_unlike(a, b)),
        "verdict": found.verdict.word,
        "difference": None if found.verdict.difference is None else asdict(found.verdict.difference),
        "mcnemar_p": found.mcnemar,
        "f1_by_class": {
            name: [float(a.scores.by_class.f1[number]), float(b.scores.by_class.f1[number])]
            for number, name in enumerate(a.record.dataset.class_names)
        },
        "only_a_right": [asdict(flip) for flip in found.only_a],
        "only_b_right": [asdict(flip) for flip in found.only_b],
    }
