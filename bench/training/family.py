"""Load a family for the images of a dataset: the only place that decides what the user's object is."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import keras
import keras_tuner

import search_spaces
from bench.errors import SearchError
from bench.machine import silence_prints
from bench.records.choices import PixelRange
from bench.records.record import OwnRecipe
from bench.records.spec import SearchSpec, TrialSpec, Value
from bench.training.custom import UnsuitableModelError
from bench.training.custom.family import CustomFamily
from bench.training.custom.hypermodel import hypermodel
from bench.training.precision import reset_settings
from bench.training.size import multiply_adds
from search_spaces import Family, FamilyLocation


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Space:
    """The search space of a family."""

    hyperparameters: keras_tuner.HyperParameters
    own_recipe: OwnRecipe | None  # None for a Family, which follows the suite's recipe


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SuiteFamily:
    """A Family, for images of one shape."""

    kind: type[Family]
    image_shape: tuple[int, int, int]
    classes: int

    def build(
        self, values: Mapping[str, Value], training_steps: int | None = None, multiply_adds: int | None = None
    ) -> keras.Model:
        """Build the compiled model of a candidate."""
        with silence_prints():
            return self.kind(self.image_shape, self.classes, training_steps, multiply_adds).build_from(values)

    def space(self, multiply_adds: int | None) -> keras_tuner.HyperParameters:
        """The hyperparameters of all candidates."""
        with silence_prints():
            return self.kind(self.image_shape, self.classes, multiply_adds=multiply_adds).space()


LoadedFamily = SuiteFamily | CustomFamily


def load_family(
    location: FamilyLocation,
    image_shape: tuple[int, int, int],
    classes: int,
    *,
    pixel_range: PixelRange | None = None,
    source: str | None = None,
) -> LoadedFamily:
    """Load a family.

    Args:
        location: where it is.
        image_shape: height, width, channels.
        classes: number of classes.
        pixel_range: of the inputs of a model that is not a Family; None if the model decides.
        source: code digest that it must have; None if it is not checked.

    Raises:
        SearchError: its code has another digest.
        UnsuitableModelError: it is no family.
        Exception: whatever its import raises.
    """
    obj = _object(location, source)
    if isinstance(obj, Family):
        raise UnsuitableModelError(
            f"{location.definition} is an instance: name the class, since the suite builds it for the images"
        )
    if _is_family_class(obj):
        if pixel_range is not None:
            raise UnsuitableModelError("--pixel-range is for models that are not a Family, which scales pixels itself")
        return SuiteFamily(kind=obj, image_shape=image_shape, classes=classes)
    module = search_spaces.family_module(location)
    return CustomFamily(hypermodel(obj, image_shape, classes), image_shape, classes, pixel_range, module)


def is_family_class(location: FamilyLocation, source: str | None = None) -> bool:
    """Whether a family is a Family, whose models have built-in layers only; imports it.

    Raises:
        SearchError: its code has another digest than `source`.
    """
    return _is_family_class(_object(location, source))


def _is_family_class(obj: Any) -> bool:
    return isinstance(obj, type) and issubclass(obj, Family)


def family_of(spec: TrialSpec, image_shape: tuple[int, int, int], classes: int) -> LoadedFamily:
    """Load the family of a trial, as `load_family`."""
    return load_family(spec.family, image_shape, classes, pixel_range=spec.pixel_range, source=spec.source)


def space_of(family: LoadedFamily, spec: SearchSpec) -> Space:
    """The search space of a family.

    Raises:
        Exception: the default candidate cannot be built, or is not suitable.
    """
    if isinstance(family, SuiteFamily):
        return Space(hyperparameters=family.space(spec.budget.multiply_adds), own_recipe=None)
    recipe = family.recipe()
    return Space(hyperparameters=family.space(spec.class_weights), own_recipe=recipe)


def candidate_costs(family: LoadedFamily, candidates: Sequence[Mapping[str, Value]]) -> list[int]:
    """Multiply-adds per image of each of the candidates that can be built."""
    costs = []
    for values in candidates:
        if isinstance(family, SuiteFamily):
            costs.append(multiply_adds(family.build(values)))
        else:
            with suppress(Exception, SystemExit):  # other candidates may be suitable
                costs.append(multiply_adds(family.build(values, seed=1).model))
    return costs


def _object(location: FamilyLocation, source: str | None) -> Any:
    return _import(location) if source is None else _checked_object(location, source)


def _import(location: FamilyLocation) -> Any:
    with silence_prints():
        return search_spaces.load(location)


@lru_cache(maxsize=64)
def _checked_object(location: FamilyLocation, source: str) -> Any:
    """The object at `location`, checked only when this process first needs it: a file may be edited during a run."""
    if (found := search_spaces.source_digest(location)) != source:
        raise SearchError(
            f"the code of family {location.name!r} has changed since the run was started, from digest {source} to "
            f"{found}: restore it and resume, or start a new run"
        )
    # What a module draws when it is imported, such as the seed of an initializer, must be the same in every process,
    # and what it sets globally must not affect other models.
    keras.utils.set_random_seed(1)
    try:
        return _import(location)
    finally:
        reset_settings()
