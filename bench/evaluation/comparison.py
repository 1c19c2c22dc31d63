"""Is a score, or the difference of two, more than chance? Intervals and tests on arrays of right and wrong answers.

Both the finite test set and the seeds make a score uncertain, and each enters with its own quantile:

    half-width^2 = z^2 C + t^2 S    with    S = sum of s^2 / k,    C = var_i(c_i) / n - min(R, S)

where c_i is the mean over seeds at image i (for two models the difference of these means), s^2 a model's variance of
accuracy over its k seeds, and R = sum of mean_i(variance over seeds) / (k n), which both parts would count; z is a
quantile of the normal distribution and t one of Student's with Welch's degrees of freedom for S. A p-value is the level
at which an interval would just reach no difference.

One quantile for the sum, with Satterthwaite's degrees of freedom, raises 8 false alarms in 100 where one of two models
with three seeds varies ten times as much as the other; this raises 5 (tests/test_promises.py holds it to that).

Source: Banerjee 1960, Approximate confidence interval for linear functions of means of k populations, Sankhya 22.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats
from scipy.optimize import elementwise
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from bench.errors import MetricError

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

LEVEL = 0.95
FEW = 100  # wrong answers, or right ones, below which limits at equal distances hold the truth too seldom
P_VALUE_PRECISION = 1e-6  # relative, of the quantile


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Correctness:
    """Which test images the trainings of a model classify correctly."""

    correct: BoolArray | FloatArray  # (k, n): for each of k trainings and n images; or means of several, in [0, 1]
    deterministic: bool = False  # whether every training would give the same answers, so that one says all

    def __post_init__(self) -> None:
        if self.correct.ndim != 2 or self.correct.shape[0] < 1 or self.correct.shape[1] < 2:
            raise MetricError(f"correct must have shape (seeds, at least 2 images), got {self.correct.shape}")
        if not ((self.correct >= 0) & (self.correct <= 1)).all():
            raise MetricError("correct must hold 0 and 1, or means of them")

    @property
    def comparable(self) -> bool:
        """Whether the chance in them is known."""
        return self.deterministic or len(self.correct) > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean accuracy and how far it can be trusted."""

    mean: float  # fraction in [0, 1], as are low and high
    low: float
    high: float
    standard_error: float
    seeds_share: float  # of the squared half-width, what comes from the seeds, in [0, 1]; the rest is the images'
    level: float
    n_seeds: int
    n_images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Mean accuracy of one model minus that of another, on the same images."""

    mean: float  # in [-1, 1], as are low and high
    low: float
    high: float
    p_value: float  # of no difference, two-sided, not corrected for other comparisons


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Variance:
    """Where the uncertainty of means or differences comes from: arrays, an element for each; NaN where not known."""

    images: FloatArray  # C of the module's docstring
    seeds: FloatArray  # S
    degrees_of_freedom: FloatArray  # of S

    def at(self, *place: int) -> "Variance":
        """That of the mean or difference at this place of the arrays."""
        images, seeds, freedom = (part[place] for part in (self.images, self.seeds, self.degrees_of_freedom))
        return Variance(images=images, seeds=seeds, degrees_of_freedom=freedom)

    @property
    def standard_error(self) -> FloatArray:
        """Of the mean or difference."""
        error: FloatArray = np.sqrt(self.images + self.seeds)
        return error

    def half_width(self, level: float) -> FloatArray:
        """Of the interval that holds the truth in `level` of all cases."""
        upper = (1 + level) / 2
        student = special.stdtrit(self.degrees_of_freedom, upper)
        half: FloatArray = np.sqrt(special.ndtri(upper) ** 2 * self.images + student**2 * self.seeds)
        return half

    def p_value(self, difference: FloatArray) -> FloatArray:
        """The level at which the interval around each difference would just reach 0."""
        total = self.images + self.seeds
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio, share = difference**2 / total, self.seeds / total
        found: FloatArray = np.where(np.isnan(total), np.nan, np.where(difference == 0, 1.0, 0.0))  # nothing varies
        simple = (share == 0) & (difference != 0)
        found[simple] = 2 * special.ndtr(-np.sqrt(ratio[simple]))
        both = (share > 0) & (difference != 0)
        found[both] = _both_parts(ratio[both], share[both], self.degrees_of_freedom[both])
        return found


def _both_parts(ratio: FloatArray, share: FloatArray, freedom: FloatArray) -> FloatArray:
    """p-values where the seeds' share is not 0; `ratio` is the squared difference in squared standard errors."""

    def excess(t: FloatArray, ratio: FloatArray, share: FloatArray, freedom: FloatArray) -> FloatArray:
        # A probability that cannot be told from 0 would make z infinite.
        z = special.ndtri(np.maximum(special.stdtr(freedom, -t), np.finfo(float).tiny))
        found: FloatArray = (1 - share) * z**2 + share * t**2 - ratio
        return found

    low, high = np.sqrt(ratio) * (1 - 1e-9), np.sqrt(ratio / share) * (1 + 1e-9)  # z^2 is between 0 and t^2
    root = elementwise.find_root(
        excess, (low, high), args=(ratio, share, freedom), tolerances={"xrtol": P_VALUE_PRECISION}
    )
    found: FloatArray = 2 * special.stdtr(freedom, -root.x)
    return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparison:
    """Every two of m models: arrays of shape (m, m), row against column, models in the order that they were given in.

    All but the differences are NaN on the diagonal, and where the chance in one of the two is not known.
    """

    difference: FloatArray  # mean accuracy of the row's model minus that of the column's, in [-1, 1]
    variance: Variance  # of it
    p_value: FloatArray  # of no difference, two-sided

    def pair(self, a: int, b: int) -> Difference | None:
        """Model `a` minus model `b`; None where it is not known what chance does."""
        if math.isnan(self.p_value[a, b]):
            return None
        mean, half = float(self.difference[a, b]), float(self.variance.at(a, b).half_width(LEVEL))
        low, high = max(-1.0, mean - half), min(1.0, mean + half)
        return Difference(mean=mean, low=low, high=high, p_value=float(self.p_value[a, b]))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Parts:
    """What the variance of means or differences is made of, an element for each; NaN where it is not known."""

    images: FloatArray  # var_i(c_i) / n
    seeds: FloatArray  # sum of s^2 / k
    squares: FloatArray  # sum of (s^2 / k)^2 / (k - 1)
    twice: FloatArray  # R

    @property
    def variance(self) -> Variance:
        with np.errstate(divide="ignore", invalid="ignore"):
            freedom = np.where(self.seeds == 0, 1.0, self.seeds**2 / self.squares)
        images = np.maximum(0.0, self.images - np.minimum(self.twice, self.seeds))
        return Variance(images=images, seeds=self.seeds, degrees_of_freedom=freedom)


def _parts(models: Sequence[Correctness]) -> _Parts:
    """Of each model by itself."""
    images, seeds, squares, twice = np.array([_parts_of_one(one) for one in models]).T
    return _Parts(images=images, seeds=seeds, squares=squares, twice=twice)


def _parts_of_one(model: Correctness) -> tuple[float, float, float, float]:
    """Of one model: images, seeds, squares, twice."""
    images, seeds, squares, twice = _parts_of_values(model.correct)
    return (images, 0.0, 0.0, 0.0) if model.deterministic else (images, seeds, squares, twice)


def _parts_of_values(values: BoolArray | FloatArray) -> tuple[float, float, float, float]:
    """Of the mean of any values, shape (k, n): images, seeds, squares, twice."""
    k, n = values.shape
    mean = values.mean(axis=0)
    images = float(mean.var(ddof=1)) / n
    if k == 1:
        return images, math.nan, math.nan, math.nan
    seeds = float(values.mean(axis=1).var(ddof=1)) / k
    # The mean over images of the variance over seeds, by means of squares, which is many times faster.
    squares = np.square(values, dtype=np.float64).mean() - np.square(mean).mean()
    return images, seeds, seeds**2 / (k - 1), max(0.0, float(squares)) / ((k - 1) * n)


def paired_difference(newer: Correctness, older: Correctness) -> tuple[Difference, Variance]:
    """Two models under the same seeds, row by row: each training is compared with the other one of its seed.

    Much narrower than without pairs where a seed decides about both; k - 1 degrees of freedom.

    Raises:
        MetricError: their shapes differ, or there is a single seed.
    """
    shapes = newer.correct.shape, older.correct.shape
    if shapes[0] != shapes[1] or shapes[0][0] < 2:
        raise MetricError(f"pairs take two or more seeds, the same of both, and the same images, got shapes {shapes}")
    apart = newer.correct.astype(np.float64) - older.correct
    n = apart.shape[1]
    images, seeds, squares, twice = _parts_of_values(apart)
    variance = _Parts(
        images=np.array([images if images > 0 else 1 / n**2]),  # as in `differences`
        seeds=np.array([seeds]),
        squares=np.array([squares]),
        twice=np.array([twice]),
    ).variance
    mean, half = float(apart.mean()), variance.half_width(LEVEL).item()
    p_value = variance.p_value(np.array([mean])).item()
    return Difference(mean=mean, low=max(-1.0, mean - half), high=min(1.0, mean + half), p_value=p_value), variance


def interval(model: Correctness, level: float = LEVEL) -> Interval | None:
    """The mean accuracy of a model with its interval, None where it is not known what chance does: for a single seed.

    Near 0 and 1, where fewer than FEW answers are wrong or right, the limits are Wilson's, for as many images as would
    give the same half-width; where every answer of every seed is right, or wrong, the variance says nothing, and they
    are those of Clopper and Pearson for n images.

    Source: Wilson 1927, https://doi.org/10.1080/01621459.1927.10502953.
    """
    if not model.comparable:
        return None
    k, n = model.correct.shape
    variance = _parts([model]).variance
    mean, half = float(model.correct.mean()), variance.half_width(level).item()
    low, high = max(0.0, mean - half), min(1.0, mean + half)
    if mean in (0.0, 1.0):
        exact = stats.binomtest(round(mean * n), n).proportion_ci(level, method="exact")
        low, high = float(exact.low), float(exact.high)
    elif n * min(mean, 1 - mean) < FEW:
        images = special.ndtri((1 + level) / 2) ** 2 * mean * (1 - mean) / half**2
        low, high = map(float, proportion_confint(mean * images, images, 1 - level, method="wilson"))
    seeds_part = special.stdtrit(variance.degrees_of_freedom, (1 + level) / 2) ** 2 * variance.seeds
    return Interval(
        mean=mean,
        low=low,
        high=high,
        standard_error=variance.standard_error.item(),
        seeds_share=seeds_part.item() / half**2 if half > 0 else 0.0,
        level=level,
        n_seeds=k,
        n_images=n,
    )


def compare_all(models: Sequence[Correctness]) -> Comparison:
    """Compare every two of `models`, which answered the same images.

    Raises:
        MetricError: the numbers of images differ.
    """
    sizes = sorted({one.correct.shape[1] for one in models})
    if len(sizes) > 1:
        raise MetricError(f"models must share their images, got {' and '.join(map(str, sizes))}")
    a, b = np.triu_indices(len(models), 1)
    difference, variance = differences(models, a, b)

    def matrix(above: FloatArray, sign: int = 1, diagonal: float = math.nan) -> FloatArray:
        found = np.full((len(models), len(models)), diagonal)
        found[a, b], found[b, a] = above, sign * above
        return found

    return Comparison(
        difference=matrix(difference, sign=-1, diagonal=0.0),
        variance=Variance(
            images=matrix(variance.images),
            seeds=matrix(variance.seeds),
            degrees_of_freedom=matrix(variance.degrees_of_freedom),
        ),
        p_value=matrix(variance.p_value(difference)),
    )


def differences(models: Sequence[Correctness], a: IntArray, b: IntArray) -> tuple[FloatArray, Variance]:
    """Chosen pairs of `models`: model a[i] minus model b[i], and its variance; one matrix product serves all pairs."""
    one, n = _parts(models), models[0].correct.shape[1]
    counts = np.array([len(model.correct) for model in models], dtype=np.float64)
    right = np.array([model.correct.sum(axis=0) for model in models], dtype=np.float64)
    # The products are of whole numbers, and so exact: models with the same answers differ by exactly nothing.
    products = right @ right.T / np.outer(counts, counts)
    squares, mean = products.diagonal(), right.sum(axis=1) / (counts * n)
    difference = mean[a] - mean[b]
    spread = (squares[a] + squares[b] - 2 * products[a, b] - n * difference**2) / (n - 1)
    parts = _Parts(
        # Models that answer all of these images alike may differ at the next one: as if they did at one of them.
        images=np.where(spread > 0, spread, 1 / n) / n,
        seeds=one.seeds[a] + one.seeds[b],
        squares=one.squares[a] + one.squares[b],
        twice=one.twice[a] + one.twice[b],
    )
    return difference, parts.variance


def holm(p_values: FloatArray) -> FloatArray:
    """p-values corrected for being tested together, by Holm's method; NaN are left out and stay.

    Args:
        p_values: any shape.
    """
    tested = np.isfinite(p_values)
    corrected = np.full(p_values.shape, np.nan)
    if tested.any():
        corrected[tested] = multipletests(p_values[tested], method="holm")[1]
    return corrected


def mcnemar(one: BoolArray, other: BoolArray) -> float:
    """The exact p-value of no difference between two single fitted models; it knows nothing of other seeds.

    Args:
        one: whether the first is right at each image, shape (n,).
        other: the same of the second.

    Source: McNemar 1947, https://doi.org/10.1007/BF02295996.
    """
    only_one, only_other = int((one & ~other).sum()), int((other & ~one).sum())
    if only_one + only_other == 0:
        return 1.0
    return float(stats.binomtest(only_one, only_one + only_other).pvalue)


def prediction_interval(accuracies: FloatArray, level: float = LEVEL) -> tuple[float, float] | None:
    """Where the accuracy of one more seed would lie, on the same images; None for a single seed.

    Args:
        accuracies: of k trainings that differ in their seed only, shape (k,).
        level: how often it would lie there.
    """
    k = len(accuracies)
    if k < 2:
        return None
    half = float(stats.t.ppf((1 + level) / 2, k - 1) * accuracies.std(ddof=1) * math.sqrt(1 + 1 / k))
    mean = float(accuracies.mean())
    return max(0.0, mean - half), min(1.0, mean + half)
