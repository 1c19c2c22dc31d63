"""Hyperparameter importance, on trials whose scores are known functions of their hyperparameters."""

from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from bench.evaluation.importance import at_bound, importances
from bench.records.record import TrialRecord
from bench.records.space import Condition, Parameter
from builders import make_failed_trial, make_space, make_trial

WIDTH = Parameter(name="width", kind="Choice", values=(8, 16, 32, 64), finite=True, conditions=())
KIND = Parameter(name="kind", kind="Choice", values=("a", "b", "c"), finite=True, conditions=())
RATE = Parameter(name="rate", kind="Float", values=(0.0001, 0.01), finite=False, conditions=())
NINE = tuple(
    Parameter(name=f"rate_{number}", kind="Float", values=(0.0, 1.0), finite=False, conditions=())
    for number in range(9)
)


def make_trials(count: int, score: object, seed: int = 0) -> list[TrialRecord]:
    """Trials with random hyperparameters, whose accuracy is `score(values)`."""
    random = np.random.default_rng(seed)
    trials = []
    for number in range(count):
        values = {
            "width": int(random.choice(WIDTH.values)),
            "kind": str(random.choice(KIND.values)),
            "rate": float(10 ** random.uniform(-4, -2)),
        }
        trials.append(make_trial(number, round(score(values), 4), values=values))  # type: ignore[operator]
    return trials


def make_unrelated_trials(space: Sequence[Parameter], seed: int) -> list[TrialRecord]:
    """Ten trials whose accuracies are unrelated to their hyperparameters."""
    random = np.random.default_rng(seed)
    return [
        make_trial(
            number,
            round(0.5 + 0.3 * random.random(), 4),
            values={each.name: random.choice(each.values).item() if each.finite else random.random() for each in space},
        )
        for number in range(10)
    ]


def test_hyperparameter_that_determines_the_score_ranks_first() -> None:
    trials = make_trials(60, lambda values: 0.5 + 0.1 * WIDTH.values.index(values["width"]))
    analysis = importances((KIND, RATE, WIDTH), trials, 3)
    assert analysis.unavailable_reason is None
    assert analysis.oob_r2 is not None
    assert analysis.oob_r2 > 0.8
    first, *others = analysis.ranking
    assert (first.name, first.std > 0) == ("width", True)
    assert all(other.mean < first.mean / 10 for other in others)


def test_random_scores_have_no_importances() -> None:
    random = np.random.default_rng(1)
    analysis = importances((KIND, RATE, WIDTH), make_trials(60, lambda _: 0.5 + 0.3 * random.random()), 3)
    assert analysis.unavailable_reason is not None
    assert "out-of-bag R²" in analysis.unavailable_reason
    assert analysis.ranking == ()


def test_too_few_full_length_trials_have_no_importances() -> None:
    trials = [*make_trials(9, lambda _: 0.5), make_failed_trial(9, "no"), make_trial(10, 0.9, epochs=2)]
    reason = importances((WIDTH,), trials, 3).unavailable_reason
    assert reason == "at least 10 full-length trials are required, the search has 9"


def test_forest_that_fits_random_scores_by_chance_gives_no_importances() -> None:
    # One of 30 such searches reaches an out-of-bag R² of 0.3; this one has 0.72, as have forests of shuffled scores.
    analysis = importances(NINE, make_unrelated_trials(NINE, seed=80), 3)
    assert analysis.oob_r2 is not None
    assert analysis.oob_r2 > 0.7
    assert analysis.unavailable_reason is not None
    assert "one of 19 forests fitted to shuffled scores reaches it, too" in analysis.unavailable_reason


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("space", [(KIND, RATE, WIDTH), NINE], ids=["3", "9"])
def test_ten_random_scores_rarely_have_importances(space: Sequence[Parameter]) -> None:
    # In at most 5% of searches: rejected if the 99% interval of Clopper and Pearson lies above.
    analyses = [importances(space, make_unrelated_trials(space, seed), 3) for seed in range(100)]
    available = sum(analysis.unavailable_reason is None for analysis in analyses)
    assert stats.binomtest(available, len(analyses)).proportion_ci(0.99, method="exact").low <= 0.05


def test_hyperparameters_with_one_name_have_the_values_that_their_conditions_allow() -> None:
    choices = {"a": ("relu", "tanh"), "b": ("gelu", "selu")}
    space = [
        Parameter(
            name="activation",
            kind="Choice",
            values=values,
            finite=True,
            conditions=(Condition(name="kind", values=(kind,)),),
        )
        for kind, values in choices.items()
    ]
    trials = [
        make_trial(number, 0.5 + number / 100, values={"kind": kind, "activation": choices[kind][number // 2 % 2]})
        for number, kind in enumerate("ab" * 6)
    ]
    assert importances((KIND, *space), trials, 3).n_trials == 12


def test_equal_scores_have_no_importances() -> None:
    analysis = importances((WIDTH,), make_trials(30, lambda _: 0.5), 3)
    assert analysis.unavailable_reason == "all trials have the same score"


def test_equal_hyperparameters_have_no_importances() -> None:
    trials = [make_trial(number, 0.5 + number / 100, values={"width": 8}) for number in range(20)]
    assert importances((WIDTH,), trials, 3).unavailable_reason == "all trials have the same hyperparameters"


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
        (Parameter(name="rate", kind="Choice", values=(0.0, 0.1, 0.2), finite=True, conditions=()), 0.0, None),
    ],
)
def test_value_at_a_bound(parameter: Parameter, value: object, expected: str | None) -> None:
    assert at_bound(parameter, make_trial(0, 0.9, values={parameter.name: value})) == expected


def test_inactive_hyperparameter_is_at_no_bound() -> None:
    (units_2,) = (parameter for parameter in make_space() if parameter.name == "units_2")
    assert at_bound(units_2, make_trial(0, 0.9)) is None
