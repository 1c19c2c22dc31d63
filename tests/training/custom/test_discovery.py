"""The space of a hypermodel whose hyperparameters do not all appear in every build."""

from typing import Any

import keras
import keras_tuner
import pytest

from bench.training.custom.discovery import MAX_BUILDS, discover
from bench.training.custom.family import CustomFamily
from bench.training.custom.hypermodel import Hypermodel
from bench.tuning.space import parameters
from custom_models import CLASSES, SHAPE, custom

pytestmark = pytest.mark.slow


def names(declare: Any) -> list[str]:
    return [each.name for each in discover(declare).space]


def test_hyperparameters_of_a_loop_are_found() -> None:
    def declare(hp: Any) -> None:
        for number in range(hp.Int("layers", 1, 3)):
            hp.Choice(f"units_{number}", [8, 16])

    assert names(declare) == ["layers", "units_0", "units_1", "units_2"]


def test_hyperparameters_that_depend_on_others_are_found_two_levels_deep() -> None:
    space = custom("Nested.build").space()
    assert [each.name for each in space.space] == ["kind", "units", "regularized", "rate"]


def test_values_in_the_middle_of_a_short_range_are_tried() -> None:
    def declare(hp: Any) -> None:
        if hp.Int("layers", 1, 4) == 3:
            hp.Boolean("extra")

    assert names(declare) == ["layers", "extra"]


def test_very_many_integers_are_not_listed() -> None:
    assert names(lambda hp: hp.Int("number", 0, 10**12)) == ["number"]


def test_conditional_scopes_keep_their_conditions() -> None:
    def declare(hp: Any) -> None:
        hp.Choice("kind", ["a", "b"])
        with hp.conditional_scope("kind", ["b"]):
            hp.Boolean("deep")

    first, second = parameters(discover(declare))
    assert (first.conditions, [each.values for each in second.conditions]) == ((), [("b",)])


def test_hyperparameters_in_fit_are_found_without_training() -> None:
    space = {each.name: each for each in parameters(custom("MyHyperModel").space())}
    assert list(space) == ["units", "weight_0", "batch_size", "shuffle", "weighted"]
    assert space["batch_size"].values == (16, 64)


def test_hyperparameters_of_a_training_loop_in_fit_are_found() -> None:
    assert [each.name for each in parameters(custom("OwnLoop").space())] == ["units", "batch_size"]


def test_hyperparameters_of_a_training_loop_are_found_if_the_model_takes_rows_of_pixels() -> None:
    def build(_: Any) -> keras.Model:
        model = keras.Sequential([keras.layers.LSTM(4), keras.layers.Dense(CLASSES, "softmax")])
        model.compile("adam", "sparse_categorical_crossentropy")
        return model

    def fit(hp: Any, model: keras.Model, x: Any, y: Any, **others: Any) -> float:
        hp.Choice("batch_size", [32, 64])
        return float(model(x)[0, 0])

    family = CustomFamily(Hypermodel(build=build, fit=fit), SHAPE, CLASSES, None)
    assert [each.name for each in family.space().space] == ["batch_size"]


def test_candidate_that_cannot_be_built_does_not_prevent_the_search() -> None:
    def declare(hp: Any) -> None:
        if hp.Choice("units", [8, 16]) == 16:
            hp.Boolean("seen")
            raise ValueError("16 units are impossible")

    assert names(declare) == ["units", "seen"]


def test_default_candidate_that_cannot_be_built_is_an_error() -> None:
    def declare(hp: Any) -> None:
        raise ValueError("never")

    with pytest.raises(ValueError, match="never"):
        discover(declare)


def test_number_of_builds_is_limited_and_their_order_is_fixed() -> None:
    def run() -> list[dict[str, Any]]:
        builds: list[dict[str, Any]] = []

        def declare(hp: Any) -> None:
            builds.append(dict(hp.values))
            for number in range(100):
                hp.Choice(f"choice_{number}", [1, 2, 3, 4])

        discover(declare)
        return builds

    first, second = run(), run()
    assert len(first) == MAX_BUILDS
    assert first == second


def test_default_values_are_those_of_the_first_declaration() -> None:
    space = discover(lambda hp: hp.Int("units", 8, 32, default=16))
    assert isinstance(space, keras_tuner.HyperParameters)
    assert space.values == {"units": 16}
