"""Metrics: one declaration gives a column in tables, a field in JSON, a row in comparisons and a glossary entry."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.errors import ExtensionError, MetricError
from bench.evaluation.arrays import FloatArray, IntArray
from bench.evaluation.scores import Scores
from bench.extensions import extensions, load_extension

GROUP = "keras_family_bench.metrics"
_REMEDY = "Fix or uninstall the package that provides it"
_SCALE = {"%": 100, "pp": 100}  # units of values that are computed as fractions


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evaluated:
    """What metrics are computed from: the predictions of one model's refits on the test set."""

    probabilities: FloatArray  # (seeds, n_test, classes), each row sums to 1
    labels: IntArray  # true class numbers, (n_test,)
    class_names: tuple[str, ...]
    train_accuracy: float  # mean over refits, on the images they were fitted on, in [0, 1]
    scores: Scores  # what the report computes for every model, so that a metric need not compute it again


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A number that describes one model.

    Args:
        name: as in column headings; JSON uses it in snake case.
        unit: appended to the name; a value with the unit "%" or "pp" (percentage points) is a fraction.
        direction: whether higher or lower values are better; None for a metric that ranks nothing.
        digits: decimals in tables.
        compute: gives the value, a finite number.
        glossary: its definition, one sentence without the name and without the full stop.
        details_only: leave it out of the leaderboard, whose width is limited; all other places show it.

    Raises:
        MetricError: a field is not valid.
    """

    name: str
    unit: str
    direction: Literal["higher", "lower"] | None
    digits: int
    compute: Callable[[Evaluated], float]
    glossary: str
    details_only: bool = False

    def __post_init__(self) -> None:
        if not self.key:
            raise MetricError(f"a metric needs a name with a letter or digit, got {self.name!r}")
        if self.direction not in ("higher", "lower", None):
            raise MetricError(f"metric {self.name!r}: direction must be higher, lower or None, got {self.direction!r}")

    @property
    def key(self) -> str:
        """The name in snake case."""
        return re.sub(r"[^a-z0-9]+", "_", self.name.lower()).strip("_")

    @property
    def heading(self) -> str:
        """The name with its unit."""
        return f"{self.name} ({self.unit})" if self.unit else self.name

    def value(self, evaluated: Evaluated) -> float:
        """The value for one model.

        Raises:
            ExtensionError: it cannot be computed, or is not a finite number.
        """
        try:
            value = float(self.compute(evaluated))
        except Exception as error:
            raise ExtensionError(f"{self._where} failed: {type(error).__name__}: {error}. {_REMEDY}") from error
        if not math.isfinite(value):
            raise ExtensionError(f"{self._where}: expected a finite number, got {value}. {_REMEDY}")
        return value

    @property
    def _where(self) -> str:
        return f"metric {self.name!r} of {self.compute.__module__}"

    def text(self, value: float) -> str:
        """The value as tables show it, without the unit."""
        return f"{_SCALE.get(self.unit, 1) * value:.{self.digits}f}"


def metrics() -> tuple[Metric, ...]:
    """The built-in metrics, then those of installed packages (entry points of the group `keras_family_bench.metrics`).

    Raises:
        ExtensionError: an entry point cannot be imported or is not a Metric, or two metrics have the same name.
    """
    by_key = {metric.key: metric for metric in BUILT_IN}
    for entry_point in extensions(GROUP).values():
        metric: Metric = load_extension(entry_point, Metric, "a Metric")
        if metric.key in by_key:
            raise ExtensionError(
                f"the entry point {entry_point.value} in {GROUP}: there is another metric called {metric.name!r}: "
                "rename or uninstall one"
            )
        by_key[metric.key] = metric
    return tuple(by_key.values())


TEST_ACCURACY = Metric(  # not among BUILT_IN: tables show it with its interval
    name="test accuracy",
    unit="%",
    direction="higher",
    digits=2,
    compute=lambda evaluated: evaluated.scores.accuracy,
    glossary="fraction of the test images classified correctly",
)
TRAIN_TEST_GAP = Metric(
    name="train/test gap",
    unit="pp",
    direction=None,
    digits=2,
    compute=lambda evaluated: evaluated.train_accuracy - evaluated.scores.accuracy,
    glossary="accuracy on the images a refit was trained on minus its test accuracy",
)
MACRO_F1 = Metric(
    name="macro F1",
    unit="",
    direction="higher",
    digits=4,
    compute=lambda evaluated: evaluated.scores.macro_f1,
    glossary="mean of F1 over classes, each class weighted equally",
)
BALANCED_ACCURACY = Metric(
    name="balanced accuracy",
    unit="%",
    direction="higher",
    digits=2,
    compute=lambda evaluated: evaluated.scores.by_class.recall[len(evaluated.class_names)],
    glossary="mean of recall over classes, each class weighted equally; equal to accuracy if all classes have the same "
    "number of test images",
    details_only=True,
)
LOG_LOSS = Metric(
    name="log loss",
    unit="nats",
    direction="lower",
    digits=4,
    compute=lambda evaluated: evaluated.scores.log_loss,
    glossary="mean of -ln(predicted probability of the true class); 0 is perfect, confident errors cost most; "
    "probabilities below 2.2e-16 count as 2.2e-16, which decides the log loss of models that predict exact zeros, such "
    "as random forests",
)
CALIBRATION_ERROR = Metric(
    name="calibration error",
    unit="pp",
    direction="lower",
    digits=2,
    compute=lambda evaluated: evaluated.scores.calibration.expected_calibration_error,
    glossary="mean absolute difference between confidence and accuracy over ten bins of confidence, weighted by their "
    "numbers of predictions, which are pooled over refits (expected calibration error; Guo et al. 2017, On Calibration "
    "of Modern Neural Networks, https://arxiv.org/abs/1706.04599)",
    details_only=True,
)
BRIER_SCORE = Metric(
    name="Brier score",
    unit="",
    direction="lower",
    digits=4,
    compute=lambda evaluated: evaluated.scores.calibration.brier_score,
    glossary="squared distance of the predicted probabilities from the one-hot label, summed over classes; 0 is "
    "perfect, 2 is the worst",
    details_only=True,
)
WORST_CLASS_RECALL = Metric(
    name="lowest class recall",
    unit="%",
    direction="higher",
    digits=2,
    compute=lambda evaluated: evaluated.scores.by_class.recall[: len(evaluated.class_names)].min(),
    glossary="lowest recall of any class",
    details_only=True,
)
BUILT_IN: Sequence[Metric] = (
    TRAIN_TEST_GAP,
    MACRO_F1,
    LOG_LOSS,
    CALIBRATION_ERROR,
    BRIER_SCORE,
    BALANCED_ACCURACY,
    WORST_CLASS_RECALL,
)
