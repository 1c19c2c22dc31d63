"""A model to train, with its images: a candidate of a Family, a reference model, or a model with its own recipe."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import ModuleType
from typing import TYPE_CHECKING

import keras

from bench.baselines.tutorials import TUTORIALS
from bench.records.spec import TrialSpec, Value
from bench.training.batches import TrainingData, cached_development, training_data
from bench.training.custom.family import Built, CustomFamily
from bench.training.custom.fitting import Fit
from bench.training.custom.interface import check_outputs
from bench.training.custom.saving import self_contained_bytes
from bench.training.family import SuiteFamily, family_of
from bench.training.files import to_bytes
from bench.training.scoring import Scorer
from bench.training.state import create_variables
from search_spaces._mirror import portable

if TYPE_CHECKING:
    from bench.data.catalog import DatasetLocation


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidate:
    """A compiled model with its initial weights, and its images."""

    model: keras.Model
    data: TrainingData
    custom: Built | None = None  # None for a Family and for a reference model
    own_fit: Fit | None = None  # of its hypermodel; None if it does not override it
    module: ModuleType | None = None  # that defines its family; None if that is not in a file

    def unsearched(self, values: Mapping[str, Value]) -> Mapping[str, Value]:
        """The hyperparameters that it used although they are not among its `values`."""
        used = {} if self.custom is None else self.custom.hp.values
        return {name: value for name, value in used.items() if name not in values}

    def validation_scorer(self) -> Scorer | None:
        """Scores it on the held-back images; None if there are none."""
        batches, held_back = self.data.validation_batches(), self.data.held_back
        if batches is None or held_back is None:
            return None
        labels = self.data.dataset.labels[held_back]
        return Scorer(self.model, batches, labels, len(self.data.dataset.class_names))

    def training_accuracy(self) -> float:
        """Accuracy on the training images in inference mode, in [0, 1]."""
        batches = self.data.fitted_batches()
        if self.custom is None:
            return float(self.model.evaluate(batches, verbose=0, return_dict=True)["accuracy"])
        labels = self.data.dataset.labels[self.data.fitted]
        return Scorer(self.model, batches, labels, len(self.data.dataset.class_names))().accuracy

    def saved(self) -> bytes:
        """The content of a .keras file, which takes uint8 images, without the optimizer."""
        if self.custom is not None:
            return self_contained_bytes(self.model, self.custom.interface, self.data.dataset.image_shape, self.module)
        # Without the optimizer, whose variables are twice as large as the weights.
        return to_bytes(portable(self.model))


def prepare(spec: TrialSpec, location: "DatasetLocation") -> Candidate:
    """Build the candidate of `spec`, and load its images."""
    dataset = cached_development(location)
    shape, classes = dataset.image_shape, len(dataset.class_names)
    family = None if spec.part == "reference" else family_of(spec, shape, classes)
    if isinstance(family, CustomFamily):
        return _prepare_custom(family, spec, location)
    data = training_data(spec, location)
    model = build(spec, family, shape, classes, data.steps)
    model.steps_per_execution = data.steps_per_execution
    create_variables(model, data.example_labels, [classes])
    return Candidate(model=model, data=data)


@contextmanager
def training(spec: TrialSpec) -> Iterator[None]:
    """Say which model was being trained if an error is raised: Keras' own name no file of the user."""
    try:
        yield
    except (Exception, SystemExit) as error:
        if spec.definition is not None:
            error.add_note(f"while training {spec.definition}")
        raise


def build(
    spec: TrialSpec, family: SuiteFamily | None, image_shape: tuple[int, int, int], classes: int, steps: int
) -> keras.Model:
    """Build the compiled model of a Family's candidate or of a reference model, with its initial weights.

    Args:
        spec: the candidate.
        family: None for a reference model.
        image_shape: height, width, channels.
        classes: number of classes.
        steps: optimizer steps in an epoch.
    """
    # Otherwise the names of layers, which are recorded, would depend on the worker's earlier models.
    keras.utils.clear_session()
    keras.utils.set_random_seed(spec.seed)
    if family is None:
        return TUTORIALS[spec.model].build(image_shape, classes)
    return family.build(spec.values, steps * spec.horizon, spec.multiply_adds)


def _prepare_custom(family: CustomFamily, spec: TrialSpec, location: "DatasetLocation") -> Candidate:
    if family.fit is not None and spec.part == "development":
        # Its fit may need validation images, to stop early for instance.
        spec = replace(spec, part="train")
    built = family.build(spec.values, spec.seed)
    dataset = cached_development(location)
    # Hyperparameters may decide what a model ends with.
    check_outputs(built.model, built.interface, dataset.image_shape, len(dataset.class_names))
    # Keras would repeat it for each candidate; `CustomFamily.recipe` warns once.
    warnings.filterwarnings("ignore", message=".*received `from_logits=True`")
    data = family.data(training_data(spec, location), built.interface)
    if family.fit is None:
        built.model.steps_per_execution = data.steps_per_execution
        if type(built.model).compute_metrics is keras.Model.compute_metrics:  # others may need the images
            create_variables(built.model, data.example_labels, [len(data.dataset.class_names)])
    return Candidate(model=built.model, data=data, custom=built, own_fit=family.fit, module=family.module)
