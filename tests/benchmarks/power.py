"""What a comparison of two models promises, tried on models whose truth is known: false alarms, coverage, power.

python tests/benchmarks/power.py

Every model answers every image: some images are easy, some fatal, and some it gets right with a probability of its
own; a seed makes it better or worse at all of these by chance. So two models of equal truth, or of a known difference,
can be drawn as often as one likes, and compared by the code that a report uses.

The page results/benchmarks/power.md has how often it claims a difference that is not there, by how much the two models
vary over their seeds, and how often it finds one that is there, by its size and the number of seeds, beside what
`python -m bench plan` expects.
"""

import argparse
import hashlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from itertools import product
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import stats

from bench.evaluation.comparison import LEVEL, Correctness, differences
from bench.evaluation.power import VarianceComponents, power
from bench.machine import Environment, environment
from bench.records.files import write_atomic
from bench.report.figures.picture import Picture
from bench.report.markdown import table

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

# Share of all images, and how probably each of two models gets one right: easy, fatal, better for one than for the
# other, and open. Both are right at 90 % of the images, and disagree as winners on Fashion-MNIST do.
KINDS = ((0.84, 1.0, 1.0), (0.04, 0.0, 0.0), (0.03, 0.85, 0.15), (0.03, 0.15, 0.85), (0.06, 0.5, 0.5))
OPEN = sum(share for share, one, _ in KINDS if 0 < one < 1)
TRUTH = sum(share * one for share, one, _ in KINDS)

PAGE = Path("results/benchmarks/power.md")
IMAGES = (360, 10_000)
SEEDS = (3, 5, 10)
DEVIATIONS = ((0.001, 0.001), (0.003, 0.003), (0.01, 0.01), (0.001, 0.003), (0.001, 0.01), (0.003, 0.01))
CURVE = (0.0, 0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.008, 0.01)
CURVE_DEVIATION = 0.003
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")  # Okabe and Ito's
CHUNK = 2_000_000  # answers drawn at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarms:
    """How often a comparison claimed a difference."""

    images: int
    seeds: int  # of each model
    deviations: tuple[float, float]  # of accuracy over seeds
    difference: float  # the true one
    pairs: int
    claims: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """All that the page is made from."""

    environment: Environment
    scipy: str  # its version
    alarms: tuple[Alarms, ...]


def draw(  # noqa: PLR0917 - a test passes them in this order
    random: np.random.Generator,
    images: int,
    seeds: int,
    deviations: FloatArray,
    difference: float = 0.0,
    kinds_of_images: Sequence[tuple[float, float, float]] = KINDS,
) -> Iterator[tuple[Correctness, Correctness]]:
    """Pairs of models, the second as good as its kinds of images notify, the first by `difference` better.

    Each pair has images of its own.

    Args:
        random: where chance comes from.
        images: of the test set.
        seeds: of each model.
        deviations: of accuracy over seeds, shape (pairs, 2), as fractions.
        difference: as a fraction.
        kinds_of_images: share of all, and how probably each of the two models gets one right.
    """
    shares = np.array(kinds_of_images)[:, 0]
    _, one, other = np.array(kinds_of_images, dtype=np.float32).T
    open_share = shares[(one > 0) & (one < 1)].sum()
    all_counts = random.multinomial(images, shares, len(deviations))
    for pair, counts in zip(deviations, all_counts, strict=True):
        kinds = np.repeat(np.arange(len(shares)), counts)  # their order does not matter
        is_open = np.flatnonzero((one[kinds] > 0) & (one[kinds] < 1))
        found = []
        for chances, deviation, better in ((one, pair[0], difference), (other, pair[1], 0.0)):
            right = np.tile(chances[kinds] == 1, (seeds, 1))
            shift = ((random.normal(0, deviation, (seeds, 1)) + better) / open_share).astype(np.float32)
            uniform = random.random((seeds, len(is_open)), dtype=np.float32)
            right[:, is_open] = uniform < chances[kinds[is_open]] + shift
            found.append(Correctness(correct=right))
        yield found[0], found[1]


def estimates(pairs: Sequence[tuple[Correctness, Correctness]]) -> tuple[FloatArray, FloatArray]:
    """Difference and half-width of each pair, by the code of the leaderboard."""
    models = [one for one, _ in pairs] + [other for _, other in pairs]
    number = np.arange(len(pairs))
    difference, variance = differences(models, number, number + len(pairs))
    return difference, variance.half_width(LEVEL)


def all_estimates(
    random: np.random.Generator, images: int, seeds: int, deviations: FloatArray, difference: float = 0.0
) -> tuple[FloatArray, FloatArray]:
    """As `estimates`, of pairs drawn by `draw`, a few at a time."""
    few = max(1, CHUNK // (2 * seeds * images))
    parts = [
        estimates(list(draw(random, images, seeds, deviations[at : at + few], difference)))
        for at in range(0, len(deviations), few)
    ]
    found, half = (np.concatenate(part) for part in zip(*parts, strict=True))
    return found, half


def claims(images: int, seeds: int, deviations: tuple[float, float], difference: float, pairs: int) -> Alarms:
    """Count how often a difference is claimed."""
    random = np.random.default_rng([images, seeds, *(round(1e6 * part) for part in (*deviations, difference))])
    found, half = all_estimates(random, images, seeds, np.tile(deviations, (pairs, 1)), difference)
    return Alarms(
        images=images,
        seeds=seeds,
        deviations=deviations,
        difference=difference,
        pairs=pairs,
        claims=int((np.abs(found) > half).sum()),
    )


def measure(pairs: int, power_pairs: int) -> Iterator[Alarms]:
    """All that the page says; false alarms first."""
    cells = [(n, k, deviations, 0.0, pairs) for n, k, deviations in product(IMAGES, SEEDS, DEVIATIONS)]
    curve = (CURVE_DEVIATION, CURVE_DEVIATION)
    cells += [(IMAGES[-1], k, curve, true, power_pairs) for k, true in product(SEEDS, CURVE) if true]
    for number, cell in enumerate(cells, 1):
        yield (found := claims(*cell))
        sys.stderr.write(f"{number}/{len(cells)}: {found.claims} of {found.pairs}\n")


def chance(images: int, deviations: tuple[float, float]) -> VarianceComponents:
    """What makes drawn models uncertain, from what they are drawn by."""
    shares, one, other = np.array(KINDS).T
    # A seed's accuracy also varies since it is drawn, image by image.
    drawing = [float((shares * right * (1 - right)).sum()) / images for right in (one, other)]
    return VarianceComponents(
        image_variance=float((shares * (one - other) ** 2).sum()) / images,
        seed_std=((deviations[0] ** 2 + drawing[0]) ** 0.5, (deviations[1] ** 2 + drawing[1]) ** 0.5),
    )


def main(pairs: int, power_pairs: int, page_only: bool) -> None:
    """Measure, write page and picture."""
    kept = PAGE.with_suffix(".json")
    if not page_only:
        measured = Measurement(
            environment=environment(), scipy=version("scipy"), alarms=tuple(measure(pairs, power_pairs))
        )
        write_atomic(kept, msgspec.json.format(msgspec.json.encode(measured), indent=1) + b"\n")
    measurement = msgspec.json.decode(kept.read_bytes(), type=Measurement)
    curve = [alarms for alarms in measurement.alarms if alarms.difference]
    digest = hashlib.sha256(kept.read_bytes()).hexdigest()
    write_atomic(PAGE.with_suffix(".png"), Picture(digest=digest, draw=partial(_draw, curve)).png())
    write_atomic(PAGE, _page(measurement).encode())
    sys.stdout.write(PAGE.read_text(encoding="utf-8"))


def _draw(curve: Sequence[Alarms]) -> Figure:
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    expected = np.linspace(0, max(CURVE), 60)
    for seeds, colour in zip(SEEDS, COLOURS, strict=False):
        drawn = [alarms for alarms in curve if alarms.seeds == seeds]
        here = chance(IMAGES[-1], (CURVE_DEVIATION, CURVE_DEVIATION))
        axes.plot(100 * expected, [100 * power(true, here, seeds) for true in expected], color=colour, linewidth=1)
        axes.plot(
            [100 * alarms.difference for alarms in drawn],
            [100 * alarms.claims / alarms.pairs for alarms in drawn],
            "o",
            color=colour,
            markersize=4,
            label=f"{seeds} seeds",
        )
    axes.axhline(80, color="black", linewidth=0.8, linestyle=":")
    axes.set(
        xlabel="true difference of accuracy (points)",
        ylabel="differences found (%)",
        xlim=(0, 100 * max(CURVE)),
        ylim=(0, 100),
    )
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower right", frameon=False)
    return figure


def _page(measurement: Measurement) -> str:
    machine = measurement.environment
    false = [alarms for alarms in measurement.alarms if not alarms.difference]
    curve = [alarms for alarms in measurement.alarms if alarms.difference]
    worst = max(false, key=lambda alarms: alarms.claims / alarms.pairs)
    return "\n".join(
        [
            "# How often a comparison is wrong, and what it can see",
            "",
            (
                "Models of known truth were drawn and compared by the code of the leaderboard, at a nominal 5 %. They "
                f"are right at {100 * TRUTH:.0f} % of the images, and {100 * OPEN:.0f} % of the images are open to "
                "chance. The deviation is that of a model's accuracy over seeds, in points."
            ),
            "",
            "## Differences claimed where there is none",
            "",
            table(pd.DataFrame(_false_rows(false))),
            "",
            (
                f"In % of {false[0].pairs:,} pairs each. The largest is {_percent(worst)} %; with so many pairs, 99 % "
                f"of all measurements of a true 5 % lie below {100 * _limit(false[0].pairs):.2f} %. With few seeds "
                "there are fewer false alarms than 5 %, since nobody knows how much such a model varies."
            ),
            "",
            "## Differences found that are there",
            "",
            table(pd.DataFrame(_power_rows(curve))),
            "",
            (
                f"In % of {curve[0].pairs:,} pairs each, on {curve[0].images:,} images, deviation "
                f"{100 * CURVE_DEVIATION:.1f} points of both; in brackets what `python -m bench plan` expects. "
                "The curves of the picture are expected, its points are counted."
            ),
            "",
            "![Differences found by true difference and number of seeds](power.png)",
            "",
            (
                f"On {machine.cpu}, NumPy {machine.numpy}, SciPy {measurement.scipy}. Made by "
                "`python tests/benchmarks/power.py` from [power.json](power.json)."
            ),
            "",
        ]
    )


def _limit(pairs: int) -> float:
    """What a measurement of a true false-alarm rate of 5 % stays below in 99 % of all cases."""
    return float(stats.binom.ppf(0.99, pairs, 1 - LEVEL)) / pairs


def _percent(alarms: Alarms) -> str:
    return f"{100 * alarms.claims / alarms.pairs:.1f}"


def _deviations(alarms: Alarms) -> str:
    return " and ".join(f"{100 * deviation:.1f}" for deviation in alarms.deviations)


def _false_rows(false: Sequence[Alarms]) -> Iterator[dict[str, str]]:
    for images, deviations in product(IMAGES, DEVIATIONS):
        here = [alarms for alarms in false if (alarms.images, alarms.deviations) == (images, deviations)]
        yield {"images": f"{images:,}", "deviations": _deviations(here[0])} | {
            f"{alarms.seeds} seeds": _percent(alarms) for alarms in here
        }


def _power_rows(curve: Sequence[Alarms]) -> Iterator[dict[str, str]]:
    for difference in sorted({alarms.difference for alarms in curve}):
        here = [alarms for alarms in curve if alarms.difference == difference]
        yield {"true difference": f"{100 * difference:.1f}"} | {
            f"{alarms.seeds} seeds": f"{_percent(alarms)} ({_expected(alarms)})" for alarms in here
        }


def _expected(alarms: Alarms) -> str:
    return f"{100 * power(alarms.difference, chance(alarms.images, alarms.deviations), alarms.seeds):.0f}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=10_000, help="of equal truth, for each case")
    parser.add_argument("--power-pairs", type=int, default=2_000, help="that differ, for each case")
    parser.add_argument("--page-only", action="store_true", help="write page and picture anew from what is kept")
    arguments = parser.parse_args()
    main(arguments.pairs, arguments.power_pairs, arguments.page_only)
