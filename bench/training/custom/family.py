"""A hypermodel or a function of the user as a family: its space, its candidates, and how they are trained."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import keras
import keras_tuner
import numpy as np

from bench.records.choices import ClassWeights, PixelRange
from bench.records.record import OwnRecipe
from bench.records.spec import Value
from bench.seeds import derive_seed
from bench.training.batches import Batching, TrainingData
from bench.training.custom import UnsuitableModelError, one_line
from bench.training.custom.discovery import discover
from bench.training.custom.fitting import Fit, FitReachedError, call, stop
from bench.training.custom.hypermodel import Hypermodel
from bench.training.custom.interface import (
    ADVICE,
    Interface,
    Shape,
    check_loss,
    check_metrics,
    check_output_shape,
    check_outputs,
    interface_of,
    matching_shape,
    possible_shapes,
    random_images,
    warn_of_same_weights,
    warn_of_softmax,
)
from bench.training.custom.labels import loss_name
from bench.training.custom.saving import own_parts, self_contained_bytes

BATCH_SIZE = 32  # the default of Keras, with which Keras Tuner trains models whose `fit` sets none


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Built:
    """A candidate: its model, built and compiled, and what it takes."""

    model: keras.Model
    hp: keras_tuner.HyperParameters  # with all values that the build used
    interface: Interface


class CustomFamily:
    """Models with their own training recipe, for images of one shape."""

    def __init__(
        self,
        hypermodel: Hypermodel,
        image_shape: tuple[int, int, int],
        classes: int,
        pixel_range: PixelRange | None,
        module: ModuleType | None = None,
    ) -> None:
        """Build candidates of `hypermodel`, which receive pixels in `pixel_range`; None if the model decides.

        `module` defines it and its layers; None if they are not in a file.
        """
        self.module = module
        self._hypermodel = hypermodel
        self._image_shape = image_shape
        self._classes = classes
        self._pixel_range = pixel_range

    @property
    def fit(self) -> Fit | None:
        """The `fit` of the hypermodel; None if it does not override it."""
        return self._hypermodel.fit

    def build(self, values: Mapping[str, Value], seed: int) -> Built:
        """Build a candidate from its active hyperparameters; others get their defaults.

        Raises:
            UnsuitableModelError: the model cannot be trained on the images as it is.
        """
        model, hp = self._new(values, seed)
        shape = matching_shape(model, self._image_shape)
        if shape is None:
            return self._build_on_first_call(model, hp, values, seed)
        interface = interface_of(model, shape, self._classes, self._pixel_range)
        check_output_shape(model.outputs[0], self._classes)
        return Built(model=model, hp=hp, interface=interface)

    def unchecked_default(self) -> keras.Model:
        """The default candidate as the hypermodel returns it, in the current session of Keras."""
        return self._check(self._hypermodel.build(keras_tuner.HyperParameters()))

    def batching(self, interface: Interface) -> Batching:
        """Batch size and labels."""
        one_hot = self._classes if interface.labels == "one-hot" else 0
        return Batching(batch_size=BATCH_SIZE, may_drop_steps=False, one_hot_classes=one_hot)

    def data(self, data: TrainingData, interface: Interface) -> TrainingData:
        """`data` as a model with `interface` takes it."""
        return replace(data, batching=self.batching(interface), inputs=interface.tensors)

    def space(self, class_weights: ClassWeights | None = None) -> keras_tuner.HyperParameters:
        """The hyperparameters of all candidates, by building some of them.

        Raises:
            UnsuitableModelError: the default candidate cannot be trained on the images, one with other classes or
                functions outside Keras cannot be saved or loaded, or candidates share weights or an optimizer.
            Exception: whatever building the default candidate raises.
        """
        built = self.build({}, seed=1)
        default = built.model  # kept, so that no other variables get its ids
        known, shared = set(map(id, default.variables)), set[int]()
        saved, problems = own_parts(default), list[str]()  # the default candidate is saved by `recipe`

        def declare(hp: keras_tuner.HyperParameters) -> None:
            keras.utils.clear_session()
            keras.utils.set_random_seed(1)
            model = self._check(self._hypermodel.build(hp))
            shared.update(known.intersection(map(id, model.trainable_variables)))
            if _optimizer(model) is _optimizer(default):
                problems.append(
                    "its optimizer is created outside build_model, but each can train one model only: create it inside"
                )
            if self._hypermodel.fit is not None:
                shape = matching_shape(model, self._image_shape) or built.interface.shape
                self._declare_in_fit(self._hypermodel.fit, hp, model, shape, class_weights)
            if not (parts := own_parts(model)) <= saved:
                saved.update(parts)
                problems.extend(self._save_problem(hp.values))

        found = discover(declare)
        if shared:
            raise UnsuitableModelError(
                "it trains layers that are created outside build_model, so that each candidate would continue from the "
                "weights of others: create them inside it"
            )
        if problems:
            raise UnsuitableModelError(problems[0])
        return found

    def _save_problem(self, values: Mapping[str, Value]) -> Iterator[str]:
        """Why a candidate cannot be saved, which otherwise only the refits would find out if it wins the search."""
        built = self.build(values, seed=1)
        try:
            self_contained_bytes(built.model, built.interface, self._image_shape, self.module)
        except UnsuitableModelError as error:
            yield f"with {', '.join(f'{name}={value}' for name, value in values.items())}, {error}"

    def recipe(self) -> OwnRecipe:
        """How the default candidate is trained, after checks that it can be evaluated.

        Raises:
            UnsuitableModelError: it cannot.
        """
        built = self.build({}, seed=1)
        outputs = check_outputs(built.model, built.interface, self._image_shape, self._classes)
        warn_of_softmax(built.model, outputs)
        encode = self.batching(built.interface).labels
        check_loss(built.model, built.interface, self._image_shape, encode(np.arange(len(outputs)) % self._classes))
        self_contained_bytes(built.model, built.interface, self._image_shape, self.module)
        warn_of_same_weights(built.model, self.build({}, seed=2).model)
        how, fit = f"batches of {BATCH_SIZE}", self._hypermodel.fit
        labels: Any = encode(np.arange(2 * self._classes) % self._classes)
        if fit is not None:
            own, labels = self._declare_in_fit(fit, built.hp, built.model, built.interface.shape, None)
            how = "its own fit" + (", which sets the number of epochs" if "epochs" in own else "")
        if isinstance(labels, np.ndarray):
            check_metrics(built.model, labels, self._classes)
        optimizer = type(built.model.optimizer).__name__
        return OwnRecipe(
            training=f"its own: {optimizer}, {loss_name(built.model)}, {built.interface.labels} labels, {how}",
            inputs=built.interface.text,
            own_fit=fit is not None,
        )

    def _new(self, values: Mapping[str, Value], seed: int) -> tuple[keras.Model, keras_tuner.HyperParameters]:
        # Otherwise the names of layers, which are recorded, would depend on the worker's earlier models.
        keras.utils.clear_session()
        keras.utils.set_random_seed(seed)
        hp = keras_tuner.HyperParameters()
        hp.values = dict(values)
        model = self._check(self._hypermodel.build(hp))
        # Layers created outside of the hypermodel have the state that earlier candidates left.
        states = [each for each in model.variables if each.name == "seed_generator_state"]
        for number, state in enumerate(states):
            state.assign([derive_seed(seed, "generator", number), 0])
        return model, hp

    def _check(self, model: Any) -> keras.Model:
        if not isinstance(model, keras.Model):
            hint = ": end with return model" if model is None else ""
            raise UnsuitableModelError(f"expected a compiled keras.Model, it built {type(model).__name__}{hint}")
        if not model.compiled:
            own_fit = "; fit may then still have its own training loop" if self._hypermodel.fit is not None else ""
            raise UnsuitableModelError(f"the model is not compiled: call model.compile before returning it{own_fit}")
        return model

    def _build_on_first_call(
        self, model: keras.Model, hp: keras_tuner.HyperParameters, values: Mapping[str, Value], seed: int
    ) -> Built:
        """Call a model without a fixed input shape with the shapes that it may take, until one works."""
        reasons: list[str] = []
        for shape in possible_shapes(self._image_shape):
            if reasons:  # a failed call leaves some layers built
                model, hp = self._new(values, seed)
            if (reason := self._call(model, shape)) is None:
                interface = interface_of(model, shape, self._classes, self._pixel_range)
                return Built(model=model, hp=hp, interface=interface)
            reasons.append(f"with shape {shape}: {reason}")
        raise UnsuitableModelError(f"the model does not fit the images, {'; '.join(reasons)}. {ADVICE.capitalize()}")

    def _call(self, model: keras.Model, shape: Shape) -> str | None:
        """Why the model cannot be called with images in `shape`; None if it can.

        Raises:
            UnsuitableModelError: it does not have one output for each class, whatever the shape of the images.
        """
        try:
            if isinstance(model, keras.Sequential):  # otherwise its summary would show the batch size of the call
                model.build((None, *shape))
            outputs = model(keras.ops.zeros((2, *shape)), training=False)
        except Exception as error:  # noqa: BLE001 - a user's code may raise anything
            return one_line(error)
        try:
            check_output_shape(outputs, self._classes)
        except UnsuitableModelError as error:
            if len(getattr(outputs, "shape", ())) == 2:
                raise
            return str(error)
        return None

    def _declare_in_fit(
        self,
        fit: Fit,
        hp: keras_tuner.HyperParameters,
        model: keras.Model,
        shape: Shape,
        class_weights: ClassWeights | None,
    ) -> tuple[list[str], Any]:
        """Call the `fit` of the hypermodel up to its call of `model.fit`, for the hyperparameters in between.

        A `fit` with a loop of its own trains an epoch on a few random images, in the shape that the model takes.

        Returns:
            The names of the arguments of `model.fit` that it sets itself although they are given, and the labels that
            it passes on; None if it does not.

        Raises:
            UnsuitableModelError: it does not take the arguments that Keras Tuner passes.
        """
        interface = interface_of(model, shape, self._classes, self._pixel_range)
        images = random_images(self._image_shape, 2 * self._classes)
        labels = self.batching(interface).labels(np.arange(len(images)) % self._classes)
        pair = interface.arrays(images), labels
        model.fit = stop
        arguments: dict[str, Any] = {"epochs": 1, "callbacks": [], "verbose": 0, "validation_data": pair}
        if class_weights is not None:
            arguments["class_weight"] = dict.fromkeys(range(self._classes), 1.0)
        own = list[str]()
        try:
            call(fit, hp, model, pair, arguments, own=own)
        except FitReachedError as reached:
            return own, reached.labels
        return own, None


def _optimizer(model: keras.Model) -> Any:
    """The optimizer of a compiled model, without the one that Keras wraps around it for mixed precision."""
    return getattr(model.optimizer, "inner_optimizer", model.optimizer)
