"""Which hyperparameters matter, on trials whose scores are known functions of them."""

import numpy as np
import pytest
from scipy import stats

from bench.evaluation.importance import at_bound, importances
from bench.records.record import Parameter, TrialRecord
from builders import make_failed_trial, make_space, make_trial

WIDTH = Parameter(name="width", kind="Choice", values=(8, 16, 32, 64), finite=True, conditions=())
KIND = Parameter(name="kind", kind="Choice", values=("a", "b", "c"), finite=True, conditions=())
RATE = Parameter(name="rate", kind="Float", values=(0.0001, 0.01), finite=False, conditions=())


def trials(count: int, score: object, seed: int = 0) -> list[TrialRecord]:
    """Trials with values by chance whose accuracy is `score(values)`."""
    random = np.random.default_rng(seed)
    found = []
    for number in range(count):
        values = {
            "width": int(random.choice(WIDTH.values)),
            "kind": str(random.choice(KIND.values)),
            "rate": float(10 ** random.uniform(-4, -2)),
        }
        found.append(make_trial(number, round(score(values), 4), values=values))  # type: ignore[operator]
    return found


def test_what_the_score_depends_on_is_found() -> None:
    found = importances(
        (KIND, RATE, WIDTH), trials(60, lambda values: 0.5 + 0.1 * WIDTH.values.index(values["width"])), 3
    )
    assert found.unavailable_reason is None
    assert found.oob_r2 is not None
    assert found.oob_r2 > 0.8
    first, *others = found.ranking
    assert (first.name, first.std > 0) == ("width", True)
    assert all(one.mean < first.mean / 10 for one in others)


def test_scores_by_chance_are_not_explained() -> None:
    random = np.random.default_rng(1)
    found = importances((KIND, RATE, WIDTH), trials(60, lambda _: 0.5 + 0.3 * random.random()), 3)
    assert found.unavailable_reason is not None
    assert "out-of-bag R²" in found.unavailable_reason
    assert found.ranking == ()


def test_few_trials_are_not_asked() -> None:
    kept = [*trials(9, lambda _: 0.5), make_failed_trial(9, "no"), make_trial(10, 0.9, epochs=2)]
    found = importances((WIDTH,), kept, 3)
    assert found.unavailable_reason == "9 full-length trials, at least 10 required"


@pytest.mark.slow
def test_ten_scores_that_depend_on_nothing_are_seldom_explained() -> None:
    # At most one in twenty: refuted where the 99 % interval of Clopper and Pearson lies wholly above.
    random = np.random.default_rng(0)
    asked = [
        importances((KIND, RATE, WIDTH), trials(10, lambda _: 0.5 + 0.3 * random.random(), seed), 3)
        for seed in range(100)
    ]
    explained = sum(one.unavailable_reason is None for one in asked)
    assert stats.binomtest(explained, len(asked)).proportion_ci(0.99, method="exact").low <= 0.05


def test_equal_scores_say_nothing() -> None:
    assert importances((WIDTH,), trials(30, lambda _: 0.5), 3).unavailable_reason == "all trials have the same score"


@pytest.mark.parametrize(
    ("parameter", "value", "expected"),
    [
        (WIDTH, 8, "smallest"),
        (WIDTH, 64, "largest"),
        (WIDTH, 16, None),
        (RATE, 0.000101, "smallest"),
        (RATE, 0.001, None),
        (RATE, 0.0099, "largest"),
        (KIND, "a", None),
        (Parameter(name="on", kind="Boolean", values=(False, True), finite=True, conditions=()), True, None),
        (Parameter(name="two", kind="Int", values=(1, 2), finite=True, conditions=()), 2, None),
        (Parameter(name="rate", kind="Choice", values=(0.0, 0.1, 0.2), finite=True, conditions=()), 0.0, "smallest"),
    ],
)
def test_winners_at_the_edge_are_told_of(parameter: Parameter, value: object, expected: str | None) -> None:
    assert at_bound(parameter, make_trial(0, 0.9, values={parameter.name: value})) == expected


def test_what_is_not_used_is_at_no_edge() -> None:
    (units_2,) = (one for one in make_space() if one.name == "units_2")
    assert at_bound(units_2, make_trial(0, 0.9)) is None


def test_equal_hyperparameters_say_nothing() -> None:
    kept = [make_trial(number, 0.5 + number / 100, values={"width": 8}) for number in range(20)]
    assert importances((WIDTH,), kept, 3).unavailable_reason == "all trials have the same hyperparameters"
