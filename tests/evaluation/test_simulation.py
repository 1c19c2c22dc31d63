"""Type I errors and coverage on models drawn by another generator than that of test_error_rates.py.

Whether a model with one seed classifies an image correctly is a probit model: the sum of the image's difficulty,
effects of the model on the image and on its class, and effects of the seed, overall and on the class. The models of a
draw have equal true accuracies, although their effects differ. Of a family, the seeds stand for searches, which have
effects on images too, and several refits. A rate is rejected if its 99.9% interval by Clopper and
Pearson lies beyond 5.5% type I errors or below 94.5% coverage.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from scipy import special, stats

from bench.evaluation.arrays import FloatArray, IntArray
from bench.evaluation.comparison import differences, interval
from bench.evaluation.variance import Correctness

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(3600)]

DRAWS = 20_000
CLASSES = 10
MAX_TYPE_1_ERROR = 0.055
MIN_COVERAGE = 0.945


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Parameters of the simulated models; the last are standard deviations of effects on the probit scale."""

    images: int = 2_000
    seeds: int = 5
    accuracy: float = 0.92
    rows: int = 2
    seed_effects: tuple[float, ...] = (0.03, 0.03)  # of the rows in turn
    seed_class_effect: float = 0.05
    model_image_effect: float = 1.0
    model_class_effect: float = 0.2
    duplicates: float = 0.0  # share of the images that appear twice
    difficulty: float = 1.5
    seed_image_effect: float = 0.0
    refits: int = 1  # of each seed

    def draws(self, seed: int) -> Iterator[list[Correctness]]:
        """DRAWS times the predictions of `rows` models with equal true accuracy."""
        random = np.random.default_rng([seed, self.images, self.seeds, self.rows, round(1e4 * self.accuracy)])
        for _ in range(DRAWS):
            distinct = round(self.images / (1 + self.duplicates))
            image = np.concatenate([np.arange(distinct), np.arange(self.images - distinct)])
            classes = random.integers(CLASSES, size=distinct)
            difficulty = random.normal(0, self.difficulty, distinct)
            yield [self._model(random, number, image, classes, difficulty) for number in range(self.rows)]

    def _model(
        self,
        random: np.random.Generator,
        number: int,
        image: IntArray,
        classes: IntArray,
        difficulty: FloatArray,
    ) -> Correctness:
        seed_effect = self.seed_effects[number % len(self.seed_effects)]
        by_class = random.normal(0, self.model_class_effect, CLASSES)
        level = difficulty + random.normal(0, self.model_image_effect, len(classes)) + by_class[classes]
        by_seed = random.normal(0, seed_effect, (self.seeds, 1))
        by_seed = by_seed + random.normal(0, self.seed_class_effect, (self.seeds, CLASSES))
        by_seed = by_seed[:, classes] + random.normal(0, self.seed_image_effect, (self.seeds, len(classes)))
        latent = (self._intercept(by_class, seed_effect) + level + by_seed)[:, image]
        # The remaining effect has variance 1 and is drawn for each prediction, of an image and its copy apart.
        correct = random.standard_normal((self.refits, *latent.shape), dtype=np.float32) < latent
        return Correctness(correct=correct[0] if self.refits == 1 else correct.mean(axis=0))

    def _intercept(self, by_class: FloatArray, seed_effect: float) -> float:
        """The intercept that gives a model with these effects of classes the true accuracy, by Newton's method."""
        by_seed = (seed_effect, self.seed_class_effect, self.seed_image_effect)
        scale = np.sqrt(1 + sum(effect**2 for effect in (self.difficulty, self.model_image_effect, *by_seed)))
        value = float(special.ndtri(self.accuracy) * scale)
        for _ in range(6):
            z = (value + by_class) / scale
            value -= (special.ndtr(z).mean() - self.accuracy) / (stats.norm.pdf(z).mean() / scale)
        return value


def limits(count: int) -> tuple[float, float]:
    """The 99.9% interval of a rate of `count` in DRAWS."""
    result = stats.binomtest(count, DRAWS).proportion_ci(0.999, method="exact")
    return float(result.low), float(result.high)


def type_1_errors(cell: Cell) -> int:
    """Draws with at least one significant difference after Holm's correction, though all models are equal."""
    a, b = np.triu_indices(cell.rows, 1)
    count = 0
    for models in cell.draws(0):
        difference, variance = differences(models, a, b)
        # Holm's correction finds a difference if and only if the smallest p-value is below 5% / the number of pairs.
        count += bool((np.abs(difference) > variance.half_width(1 - 0.05 / len(a))).any())
    return count


PAIRS = [
    *(Cell(seeds=seeds, seed_effects=effects) for seeds in (3, 5, 10) for effects in ((0.03, 0.03), (0.01, 0.15))),
    *(Cell(seeds=seeds, accuracy=0.995, images=images) for seeds in (3, 10) for images in (360, 2_000)),
    Cell(seeds=3, model_class_effect=0.6, seed_class_effect=0.3),
    Cell(seeds=4, model_image_effect=0.2, difficulty=3.0),
    Cell(images=10_000, seeds=5),
    # Families: three searches with five refits each.
    *(
        Cell(seeds=3, refits=5, seed_image_effect=0.7, seed_effects=effects, images=images)
        for effects, images in (((0.03, 0.03), 2_000), ((0.01, 0.15), 2_000), ((0.01, 0.03), 10_000))
    ),
]
TABLES = [Cell(rows=rows, seeds=seeds, images=1_000) for rows, seeds in ((2, 3), (5, 5), (20, 3), (20, 5))]


@pytest.mark.parametrize("cell", [*PAIRS, *TABLES], ids=str)
def test_type_1_error_of_a_table_is_at_most_its_nominal_rate(cell: Cell) -> None:
    low, _ = limits(type_1_errors(cell))
    assert low <= MAX_TYPE_1_ERROR


@pytest.mark.parametrize("cell", PAIRS, ids=str)
def test_intervals_cover_the_true_accuracy_and_the_true_difference(cell: Cell) -> None:
    covered = np.zeros(2, dtype=np.int64)
    for first, second in cell.draws(1):
        own = interval(first)
        assert own is not None
        difference, variance = differences([first, second], np.array([0]), np.array([1]))
        within = abs(difference.item()) <= variance.half_width(0.95).item()
        covered += (own.low <= cell.accuracy <= own.high, within)
    assert [limits(count)[1] >= MIN_COVERAGE for count in covered.tolist()] == [True, True]


@pytest.mark.parametrize("duplicates", [0.01, 0.1, 1.0])
def test_near_duplicates_raise_the_type_1_error(duplicates: float) -> None:
    """Copies of images are not independent, and no interval accounts for them: docs/statistics.md states the rates."""
    rate = type_1_errors(Cell(duplicates=duplicates)) / DRAWS
    print(f"{100 * duplicates:g}% of the images appear twice: {100 * rate:.2f}% type I errors")
    assert rate < {0.01: 0.06, 0.1: 0.08, 1.0: 0.2}[duplicates]
