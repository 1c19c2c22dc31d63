"""Score a model on labeled images in one pass: predicted classes, accuracy, loss, and other objectives."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from bench.compat.tensorflow import silence_graph_reports
from bench.evaluation.scores import class_report, confusion
from bench.records.choices import Objective


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scored:
    """The predictions of a model for labeled images."""

    predicted: NDArray[np.int64]  # (n,)
    labels: NDArray[np.int64]  # (n,)
    classes: int
    loss: float  # mean over the images, regularization included

    @property
    def accuracy(self) -> float:
        """In [0, 1]."""
        return float((self.predicted == self.labels).mean())

    def objective(self, name: Objective | None) -> float:
        """Accuracy, macro F1 or balanced accuracy, in [0, 1]; classes without images do not count."""
        if name is None:
            return self.accuracy
        report = class_report(
            confusion(self.predicted[None], self.labels, self.classes), tuple(map(str, range(self.classes)))
        )
        by_class = (report.f1 if name == "macro-f1" else report.recall)[: self.classes]
        return float(by_class[report.support[: self.classes] > 0].mean())


class Scorer:
    """Scores a model, possibly several times during its training, which needs only one trace."""

    def __init__(self, model: keras.Model, batches: tf.data.Dataset, labels: NDArray[np.int64], classes: int) -> None:
        """Score `model` on all `batches` of (inputs, encoded labels), in the order of the integer `labels`."""
        self._batches = batches
        self._labels = labels
        self._classes = classes

        def step(inputs: Any, encoded: Any) -> tuple[Any, Any]:
            outputs = model(inputs, training=False)
            return tf.argmax(outputs, axis=-1), model.compute_loss(x=inputs, y=encoded, y_pred=outputs)

        self._step = tf.function(step, input_signature=batches.element_spec)

    def __call__(self) -> Scored:
        """Predict all images."""
        predicted, losses = [], []
        with silence_graph_reports():
            for inputs, encoded in self._batches:
                classes, loss = self._step(inputs, encoded)
                predicted.append(classes.numpy())
                losses.append((float(loss), len(predicted[-1])))
        sizes = sum(size for _, size in losses)
        return Scored(
            predicted=np.concatenate(predicted),
            labels=self._labels,
            classes=self._classes,
            loss=sum(loss * size for loss, size in losses) / sizes,
        )
