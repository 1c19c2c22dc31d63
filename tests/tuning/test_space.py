"""Parameters, size and candidates of a search space declared with Keras Tuner."""

from collections.abc import Callable

import keras_tuner
import pytest
from keras_tuner import HyperParameters

import spaces
from bench.tuning.space import count_candidates, enumerate_candidates, parameters
from spaces import key

pytestmark = pytest.mark.slow

Space = Callable[[], HyperParameters]


@pytest.mark.parametrize(
    ("space", "size"),
    [
        # By hand, as the docstring of each space works it out.
        (spaces.flat, 12),
        (spaces.layered, 36),
        (spaces.nested, 5),
        (spaces.uneven, 109),
        (spaces.single, 1),
    ],
)
def test_all_candidates_are_counted_and_enumerated(space: Space, size: int) -> None:
    declared = parameters(space())
    assert count_candidates(declared) == size
    assert len({key(values) for values in enumerate_candidates(declared)}) == size


@pytest.mark.parametrize("space", [spaces.flat, spaces.layered, spaces.nested])
def test_enumerated_candidates_are_those_that_keras_tuner_draws(space: Space) -> None:
    drawn = set()
    # One draw per oracle, since Keras Tuner gives up after 20 repeated draws. The rarest candidate has probability
    # 1/2 x 1/9 x 1/3 = 1/54; all 500 draws miss it with probability (53/54)**500 = 9e-5, and the seeds are fixed.
    for seed in range(1, 501):
        oracle = keras_tuner.oracles.RandomSearchOracle(
            objective=keras_tuner.Objective("val_accuracy", "max"), hyperparameters=space(), seed=seed * 1000
        )
        drawn.add(key(oracle.populate_space("0")["values"]))
    assert drawn == {key(values) for values in enumerate_candidates(parameters(space()))}


def test_continuous_space_has_no_count() -> None:
    assert count_candidates(parameters(spaces.continuous())) is None


def test_many_hyperparameters_that_depend_on_one_each_are_counted_at_once() -> None:
    hp = HyperParameters()
    for block in range(40):
        hp.Boolean(f"block_{block}")
        with hp.conditional_scope(f"block_{block}", [True]):
            hp.Choice(f"units_{block}", [8, 16, 32])
    # Each block is left out, or has one of three widths.
    assert count_candidates(parameters(hp)) == 4**40


def test_parent_counts_until_the_last_parameter_that_depends_on_it() -> None:
    hp = HyperParameters()
    hp.Choice("kind", ["a", "b", "c"])
    hp.Boolean("wide")
    with hp.conditional_scope("wide", [True]):
        hp.Choice("units", [8, 16])
    with hp.conditional_scope("kind", ["b", "c"]):
        hp.Choice("rate", [1, 2, 3, 4])
    declared = parameters(hp)
    # (1 + 2 x 4) kinds and rates, (1 + 2) widths
    assert count_candidates(declared) == 27 == len(list(enumerate_candidates(declared)))


def test_integers_with_logarithmic_steps_are_listed_as_integers_as_keras_tuner_draws_them() -> None:
    hp = HyperParameters()
    hp.Int("units", 4, 32, step=2, sampling="log")
    (units,) = parameters(hp)
    assert units.values == (4, 8, 16, 32)
    assert {type(value) for value in units.values} == {int} == {type(hp.space[0].random_sample())}


def test_parameters_have_values_bounds_and_conditions() -> None:
    nested = {parameter.name: parameter for parameter in parameters(spaces.nested())}
    assert nested["kind"].values == ("small", "large")
    assert [(parent.name, parent.values) for parent in nested["rate"].conditions] == [
        ("kind", ("large",)),
        ("dropout", (True,)),
    ]
    rate = parameters(spaces.continuous())[1]
    assert (rate.kind, rate.values, rate.finite) == ("Float", (0.001, 0.1), False)


def test_integer_with_very_many_values_is_a_range() -> None:
    hp = HyperParameters()
    hp.Int("listed", 1, 10_000)
    hp.Int("range", 0, 10_000)
    listed, wide = parameters(hp)
    assert (listed.values, listed.finite) == (tuple(range(1, 10_001)), True)
    assert (wide.finite, wide.values) == (False, (0, 10_000))
