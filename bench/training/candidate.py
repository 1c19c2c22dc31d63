"""A model to train, with its images: a candidate of a Family, a reference model, or a model with its own recipe."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import keras
import keras_tuner

from bench.records.spec import Value
from bench.training.batches import TrainingData
from bench.training.custom.discovery import unsearched
from bench.training.custom.fitting import Fit
from bench.training.custom.interface import Interface
from bench.training.custom.saving import saved
from bench.training.scoring import Scorer
from search_spaces._mirror import portable


@dataclass(frozen=True, slots=True, kw_only=True)
class Custom:
    """What a model that is not a Family needs in addition."""

    hp: keras_tuner.HyperParameters  # with the values that its build used
    interface: Interface
    fit: Fit | None  # of its hypermodel; None if it does not override it


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidate:
    """A compiled model with its initial weights, and its images."""

    model: keras.Model
    data: TrainingData
    custom: Custom | None = None  # None for a Family and for a reference model

    @property
    def own_fit(self) -> Fit | None:
        """The `fit` of its hypermodel; None if it does not override it."""
        return None if self.custom is None else self.custom.fit

    def unsearched(self, values: Mapping[str, Value]) -> Mapping[str, Value]:
        """The hyperparameters that it used although they are not among its `values`."""
        return {} if self.custom is None else unsearched(self.custom.hp, dict(values))

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
            return saved(self.model, self.custom.interface, self.data.dataset.image_shape)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.keras"
            # Without the optimizer, whose variables are twice as large as the weights.
            portable(self.model).save(path)
            return path.read_bytes()
