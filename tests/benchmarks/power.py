"""Type I error and power of the comparison of two models, by simulation of models with known accuracy.

python tests/benchmarks/power.py

Some images are classified correctly by every model, some by none, and the others with a probability of their own, which
each seed raises or lowers a little. So pairs of models with equal accuracy, or with a known difference, can be drawn in
any number and compared by the code of the leaderboard.

results/benchmarks/power.md shows the type I error by standard deviation across seeds, and the power by true difference
and number of seeds, next to the power that `python -m bench plan` computes.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from itertools import product
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy import stats

from bench.evaluation.arrays import FloatArray
from bench.evaluation.comparison import LEVEL, differences
from bench.evaluation.power import VarianceComponents, power
from bench.evaluation.variance import Correctness
from bench.machine import Environment, environment
from bench.records.encoding import read_json
from bench.records.files import write_atomic
from bench.report.figures.labels import label_ends
from bench.report.figures.model import plain_axes
from bench.report.figures.picture import picture

sys.path.append(str(Path(__file__).parents[1]))
from benchmarks.shared import COLORS, page, page_parser, publish, store, table, verdicts

# Fraction of all images, and the probability that each of two models classifies them correctly: easy, impossible,
# easier for one model, undecided. Both have 90% accuracy, and disagree about as often as tuned models on Fashion-MNIST.
KINDS = ((0.84, 1.0, 1.0), (0.04, 0.0, 0.0), (0.03, 0.85, 0.15), (0.03, 0.15, 0.85), (0.06, 0.5, 0.5))
RANDOM_FRACTION = sum(fraction for fraction, a, _ in KINDS if 0 < a < 1)
ACCURACY = sum(fraction * a for fraction, a, _ in KINDS)

PAGE = Path("results/benchmarks/power.md")
IMAGES = (360, 10_000)
SEEDS = (3, 5, 10)
SEED_STDS = ((0.001, 0.001), (0.003, 0.003), (0.01, 0.01), (0.001, 0.003), (0.001, 0.01), (0.003, 0.01))
DIFFERENCES = (0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.008, 0.01)
POWER_SEED_STD = 0.003
CHUNK = 2_000_000  # predictions drawn at once
MAX_TYPE_1_ERROR = 0.055  # goal: no 99.9% lower confidence bound of a rate is above it


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Simulated pairs of models, and how many comparisons were significant."""

    images: int
    seeds: int  # per model
    seed_std: tuple[float, float]  # standard deviation of accuracy across seeds
    difference: float  # true difference of the accuracies
    pairs: int
    significant: int

    @property
    def percent(self) -> float:
        """Percentage of significant comparisons: the type I error without a difference, else the power."""
        return 100 * self.significant / self.pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """The data of the page."""

    environment: Environment
    scipy: str  # version
    cases: tuple[Case, ...]


def simulate(  # noqa: PLR0917 - a test passes them in this order
    random: np.random.Generator,
    images: int,
    seeds: int,
    seed_stds: FloatArray,
    difference: float = 0.0,
    kinds: Sequence[tuple[float, float, float]] = KINDS,
) -> Iterator[tuple[Correctness, Correctness]]:
    """Pairs of models, each with its own images; the first is more accurate by `difference` than its kinds of images.

    Args:
        random: source of randomness.
        images: size of the test set.
        seeds: per model.
        seed_stds: standard deviations of accuracy across seeds, shape (pairs, 2), as fractions.
        difference: as a fraction.
        kinds: fraction of all images, and the probability of each of the two models to classify them correctly.
    """
    fractions = np.array(kinds)[:, 0]
    _, a, b = np.array(kinds, dtype=np.float32).T
    random_fraction = fractions[(a > 0) & (a < 1)].sum()
    all_counts = random.multinomial(images, fractions, len(seed_stds))
    for stds, counts in zip(seed_stds, all_counts, strict=True):
        kind = np.repeat(np.arange(len(fractions)), counts)  # the order of images does not matter
        is_random = np.flatnonzero((a[kind] > 0) & (a[kind] < 1))
        pair = []
        for probability, std, offset in ((a, stds[0], difference), (b, stds[1], 0.0)):
            correct = np.tile(probability[kind] == 1, (seeds, 1))
            shift = ((random.normal(0, std, (seeds, 1)) + offset) / random_fraction).astype(np.float32)
            uniform = random.random((seeds, len(is_random)), dtype=np.float32)
            correct[:, is_random] = uniform < probability[kind[is_random]] + shift
            pair.append(Correctness(correct=correct))
        yield pair[0], pair[1]


def estimate(pairs: Sequence[tuple[Correctness, Correctness]]) -> tuple[FloatArray, FloatArray]:
    """Difference and half-width of the confidence interval for each pair, by the code of the leaderboard."""
    models = [a for a, _ in pairs] + [b for _, b in pairs]
    index = np.arange(len(pairs))
    difference, variance = differences(models, index, index + len(pairs))
    return difference, variance.half_width(LEVEL)


def estimate_in_chunks(
    random: np.random.Generator, images: int, seeds: int, seed_stds: FloatArray, difference: float = 0.0
) -> tuple[FloatArray, FloatArray]:
    """`estimate` for pairs drawn by `simulate`, a few at a time to limit memory."""
    size = max(1, CHUNK // (2 * seeds * images))
    chunks = [
        estimate(list(simulate(random, images, seeds, seed_stds[start : start + size], difference)))
        for start in range(0, len(seed_stds), size)
    ]
    observed, half = (np.concatenate(parts) for parts in zip(*chunks, strict=True))
    return observed, half


def run_case(images: int, seeds: int, seed_std: tuple[float, float], difference: float, pairs: int) -> Case:
    """Count the significant comparisons."""
    random = np.random.default_rng([images, seeds, *(round(1e6 * part) for part in (*seed_std, difference))])
    observed, half = estimate_in_chunks(random, images, seeds, np.tile(seed_std, (pairs, 1)), difference)
    return Case(
        images=images,
        seeds=seeds,
        seed_std=seed_std,
        difference=difference,
        pairs=pairs,
        significant=int((np.abs(observed) > half).sum()),
    )


def run_all(pairs: int, power_pairs: int) -> Iterator[Case]:
    """All cases of the page, those without a difference first."""
    cases = [(n, k, seed_std, 0.0, pairs) for n, k, seed_std in product(IMAGES, SEEDS, SEED_STDS)]
    both = (POWER_SEED_STD, POWER_SEED_STD)
    cases += [(IMAGES[-1], k, both, difference, power_pairs) for k, difference in product(SEEDS, DIFFERENCES)]
    for number, arguments in enumerate(cases, 1):
        case = run_case(*arguments)
        sys.stderr.write(f"{number}/{len(cases)}: {case.significant} of {case.pairs} significant\n")
        yield case


def variance_components(images: int, seed_std: tuple[float, float]) -> VarianceComponents:
    """The true variances of simulated models."""
    fractions, a, b = np.array(KINDS).T
    # Accuracy also varies across seeds because correctness is drawn image by image.
    drawing = [float((fractions * probability * (1 - probability)).sum()) / images for probability in (a, b)]
    return VarianceComponents(
        image_variance=float((fractions * (a - b) ** 2).sum()) / images,
        seed_std=((seed_std[0] ** 2 + drawing[0]) ** 0.5, (seed_std[1] ** 2 + drawing[1]) ** 0.5),
    )


def main(pairs: int, power_pairs: int, page_only: bool) -> None:
    """Simulate, then write page and figure."""
    stored = PAGE.with_suffix(".json")
    if not page_only:
        cases = tuple(run_all(pairs, power_pairs))
        store(stored, Simulation(environment=environment(), scipy=version("scipy"), cases=cases))
    simulation: Simulation = read_json(Simulation, stored)
    different = [case for case in simulation.cases if case.difference]
    write_atomic(PAGE.with_suffix(".png"), picture("power", [different], partial(_draw, different)).png())
    publish(PAGE, _page(simulation))


def _draw(cases: Sequence[Case]) -> Figure:
    figure = Figure(figsize=(7, 4.3), layout="constrained")
    axes = figure.subplots()
    grid = np.linspace(0, max(DIFFERENCES), 60)
    components = variance_components(IMAGES[-1], (POWER_SEED_STD, POWER_SEED_STD))
    ends = {}
    for seeds, color in zip(SEEDS, COLORS, strict=False):
        axes.plot(100 * grid, [100 * power(true, components, seeds) for true in grid], color=color, linewidth=1)
        simulated = [case for case in cases if case.seeds == seeds]
        axes.plot(
            [100 * case.difference for case in simulated],
            [case.percent for case in simulated],
            "o",
            color=color,
            markersize=4,
            clip_on=False,
        )
        ends[f"{seeds} seeds"] = (100 * grid[-1], 100 * power(grid[-1], components, seeds))
    axes.axhline(80, color="black", linewidth=0.8, linestyle=":")
    axes.set(
        xlabel="true difference in accuracy (pp)",
        ylabel="power (%)",
        xlim=(0, 100 * max(DIFFERENCES)),
        ylim=(0, 100),
    )
    plain_axes(axes)
    figure.suptitle("Power by true difference and number of seeds", fontsize=11)
    figure.draw_without_rendering()  # so that the axes have their final height
    label_ends(axes, ends)
    return figure


def _page(simulation: Simulation) -> str:
    machine = simulation.environment
    equal = [case for case in simulation.cases if not case.difference]
    different = [case for case in simulation.cases if case.difference]
    worst = max(equal, key=lambda case: case.percent)
    return page(
        "# Type I error and power of the comparison of two models",
        (
            "Simulated models with known accuracy, compared by the code of the leaderboard at the 5% level. Their "
            f"accuracy is {100 * ACCURACY:.0f}%; {100 * RANDOM_FRACTION:.0f}% of the images are classified "
            "correctly with a probability between 0 and 1. The standard deviation is that of a model's accuracy "
            "across seeds, in percentage points."
        ),
        "## Type I error",
        table(_type_1_error_rows(equal)),
        (
            f"Significant differences between models of equal accuracy, in % of {equal[0].pairs:,} simulated pairs "
            f"per cell. The largest is {worst.percent:.1f}%; with this many pairs, 99% of the estimates of a true "
            f"rate of 5% are below {100 * _upper_limit(equal[0].pairs):.2f}%. With few seeds the rate is often "
            "lower than 5%, since the quantile of Student's distribution multiplies the variance across seeds even "
            "where most of the uncertainty is that of the test set."
        ),
        *_goal(equal),
        "## Power",
        table(_power_rows(different)),
        (
            f"Significant differences in % of {different[0].pairs:,} simulated pairs per cell, on "
            f"{different[0].images:,} images, with a standard deviation of {100 * POWER_SEED_STD:.1f} pp for both "
            "models; in parentheses the power that `python -m bench plan` computes."
        ),
        "![Power by true difference and number of seeds](power.png)",
        "Computed power (lines) and simulated power (points) by true difference. Dotted: 80%.",
        (
            f"On {machine.cpu}, NumPy {machine.numpy}, SciPy {simulation.scipy}. Generated by "
            "`python tests/benchmarks/power.py` from [power.json](power.json)."
        ),
    )


def _goal(equal: Sequence[Case]) -> list[str]:
    tests = (stats.binomtest(case.significant, case.pairs) for case in equal)
    lower = max(float(test.proportion_ci(0.998).low) for test in tests)  # one-sided 99.9%
    text = f"the largest 99.9% lower bound of a type I error rate is {100 * lower:.2f}%"
    return verdicts([(f"{text} (goal {100 * MAX_TYPE_1_ERROR:.1f}%)", lower <= MAX_TYPE_1_ERROR)])


def _upper_limit(pairs: int) -> float:
    """The 99th percentile of the estimate of a true rate of 5%."""
    return float(stats.binom.ppf(0.99, pairs, 1 - LEVEL)) / pairs


def _type_1_error_rows(cases: Sequence[Case]) -> Iterator[dict[str, str]]:
    for images, seed_std in product(IMAGES, SEED_STDS):
        row = [case for case in cases if (case.images, case.seed_std) == (images, seed_std)]
        stds = " and ".join(f"{100 * std:.1f}" for std in seed_std)
        yield {"images": f"{images:,}", "standard deviations (pp)": stds} | {
            f"{case.seeds} seeds (%)": f"{case.percent:.1f}" for case in row
        }


def _power_rows(cases: Sequence[Case]) -> Iterator[dict[str, str]]:
    for difference in sorted({case.difference for case in cases}):
        row = [case for case in cases if case.difference == difference]
        yield {"true difference (pp)": f"{100 * difference:.1f}"} | {
            f"{case.seeds} seeds (%)": f"{case.percent:.1f} ({_computed_power(case)})" for case in row
        }


def _computed_power(case: Case) -> str:
    return f"{100 * power(case.difference, variance_components(case.images, case.seed_std), case.seeds):.0f}"


if __name__ == "__main__":
    parser = page_parser(__doc__)
    parser.add_argument("--pairs", type=int, default=10_000, help="simulated pairs of equal accuracy per case")
    parser.add_argument("--power-pairs", type=int, default=2_000, help="simulated pairs with a difference per case")
    arguments = parser.parse_args()
    main(arguments.pairs, arguments.power_pairs, arguments.page_only)
