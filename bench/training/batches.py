"""Input data of `fit`: training and validation images, their order in each epoch, tf.data pipelines."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from bench.baselines.tutorials import TUTORIALS
from bench.compat.tensorflow import shared_tensor
from bench.data.dataset import Dataset
from bench.data.development import load_development
from bench.data.splits import split
from bench.records.spec import TrialSpec
from bench.seeds import derive_seed
from search_spaces._recipe import BATCH_SIZE

if TYPE_CHECKING:
    from bench.data.catalog import DatasetLocation

EVALUATION_BATCH_SIZE = 500
MAX_STEPS_PER_EXECUTION = 16
STEPS_PER_DROPPED_STEP = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Batching:
    """Batch size, steps per epoch and label encoding."""

    batch_size: int = BATCH_SIZE
    may_drop_steps: bool = True  # up to 0.5% of the steps of an epoch, so that Keras can run more steps per execution
    one_hot_classes: int = 0  # length of one-hot labels; 0 for integer labels

    def steps(self, n: int) -> tuple[int, int]:
        """Optimizer steps in an epoch over `n` images, and steps per execution.

        More steps per execution are faster, but must divide the number of steps.
        """
        full_batches = n // self.size(n)
        droppable = full_batches // STEPS_PER_DROPPED_STEP if self.may_drop_steps else 0
        at_once = max(k for k in range(1, MAX_STEPS_PER_EXECUTION + 1) if full_batches % k <= droppable)
        return full_batches - full_batches % at_once, at_once

    def size(self, n: int) -> int:
        """The batch size for `n` images."""
        return min(self.batch_size, n)

    def labels(self, labels: NDArray[np.int64]) -> NDArray[Any]:
        """`labels` (n,), or their one-hot encoding (n, classes)."""
        return np.eye(self.one_hot_classes, dtype=np.float32)[labels] if self.one_hot_classes else labels


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainingData:
    """The development images, split and batched for one candidate."""

    dataset: Dataset
    fitted: NDArray[np.int64]  # indices of the training images
    held_back: NDArray[np.int64] | None  # indices of the images to score after each epoch; None for no validation
    batching: Batching = Batching()
    # Converts uint8 images (batch, height, width, channels) to what the model receives; None if it receives these.
    inputs: Callable[[tf.Tensor], tf.Tensor] | None = None
    class_weights: NDArray[np.float32] | None = None  # (classes,), of the loss in training; None for equal weights

    @property
    def steps(self) -> int:
        """Optimizer steps in an epoch."""
        return self.batching.steps(len(self.fitted))[0]

    @property
    def steps_per_execution(self) -> int:
        """Steps that Keras runs per execution."""
        return self.batching.steps(len(self.fitted))[1]

    @property
    def example_labels(self) -> NDArray[Any]:
        """A few labels, as `fit` receives them."""
        return self.batching.labels(self.dataset.labels[:2])

    def training_batches(self, seed: int, first_epoch: int, last_epoch: int) -> tf.data.Dataset:
        """Batches of the epochs [first_epoch, last_epoch), shuffled in each epoch."""
        orders = epoch_orders(seed, len(self.fitted), first_epoch, last_epoch, self.batching)
        source = _source(self.dataset, self.fitted, self.batching, self.class_weights)
        # All epochs at once, so that a single iterator suffices.
        return source.gather(tf.data.Dataset.from_tensor_slices(source.rows[orders]), self.inputs)

    def validation_batches(self) -> tf.data.Dataset | None:
        """The held-back images for scoring, or None."""
        return None if self.held_back is None else self._scoring_batches(self.held_back)

    def fitted_batches(self) -> tf.data.Dataset:
        """The training images, for scoring."""
        return self._scoring_batches(self.fitted)

    def _scoring_batches(self, indices: NDArray[np.int64]) -> tf.data.Dataset:
        size = _scoring_batch_size(len(indices), self.steps_per_execution)
        source = _source(self.dataset, indices, self.batching)
        return source.gather(tf.data.Dataset.from_tensor_slices(source.rows).batch(size), self.inputs)


@lru_cache(maxsize=2)
def cached_development(location: "DatasetLocation") -> Dataset:
    """The development images, loaded once per worker."""
    return load_development(location)


def training_data(spec: TrialSpec, location: "DatasetLocation") -> TrainingData:
    """The images that the candidate of `spec` is trained and scored on."""
    dataset = cached_development(location)
    if spec.part == "train":
        train, validation = split(dataset, spec.split)
        return TrainingData(
            dataset=dataset, fitted=train, held_back=validation, class_weights=_class_weights(spec, dataset, train)
        )
    everything = np.arange(len(dataset))
    if spec.part == "development":
        weights = _class_weights(spec, dataset, everything)
        return TrainingData(dataset=dataset, fitted=everything, held_back=None, class_weights=weights)
    batching = reference_batching(spec.model, len(dataset.class_names))
    start = len(everything) - reference_held_back(spec.model, len(everything))
    held_back = everything[start:] if start < len(everything) else None
    return TrainingData(dataset=dataset, fitted=everything[:start], held_back=held_back, batching=batching)


def reference_batching(model: str, classes: int) -> Batching:
    """The batching of a reference model's recipe."""
    tutorial = TUTORIALS[model]
    return Batching(
        batch_size=tutorial.batch_size,
        may_drop_steps=False,
        one_hot_classes=classes if tutorial.labels == "one-hot" else 0,
    )


def reference_held_back(model: str, n: int) -> int:
    """How many of `n` development images, the last ones, a reference model's recipe does not train on."""
    return n - int(n * (1 - TUTORIALS[model].validation_share))  # as Keras' validation_split


def _class_weights(spec: TrialSpec, dataset: Dataset, fitted: NDArray[np.int64]) -> NDArray[np.float32] | None:
    """Weights inversely proportional to the number of images of each class, with mean 1 over the images."""
    if spec.class_weights is None:
        return None
    from sklearn.utils.class_weight import compute_class_weight

    classes = np.arange(len(dataset.class_names))
    weights = compute_class_weight(spec.class_weights, classes=classes, y=dataset.labels[fitted])
    return np.asarray(weights, dtype=np.float32)


def epoch_orders(
    seed: int, n: int, first_epoch: int, last_epoch: int, batching: Batching = Batching()
) -> NDArray[np.int32]:
    """Batches of the epochs [first_epoch, last_epoch) over `n` images, shape (epochs * steps, batch size).

    The order of an epoch depends only on `seed` and the absolute epoch number. Images that do not fill a batch are
    skipped in that epoch, so that all batches have the same shape.
    """
    size = batching.size(n)
    steps, _ = batching.steps(n)
    orders = [
        np.random.default_rng(derive_seed(seed, "order", epoch)).permutation(n)[: steps * size].astype(np.int32)
        for epoch in range(first_epoch, last_epoch)
    ]
    return np.concatenate(orders).reshape(-1, size)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Source:
    """Tensors to gather batches from.

    A memory-mapped file of images is not copied: all workers share its pages.
    """

    images: tf.Tensor
    others: tuple[tf.Tensor, ...]  # labels and, if there are any, weights
    rows: NDArray[np.int32]  # of each image that is used

    def gather(self, batches: tf.data.Dataset, convert: Callable[[tf.Tensor], tf.Tensor] | None) -> tf.data.Dataset:
        """Batches of images, labels and weights for `batches` of rows; `convert` is applied to the images."""

        def batch(rows: tf.Tensor) -> tuple[tf.Tensor, ...]:
            images = tf.gather(self.images, rows)
            others = [tf.gather(each, rows) for each in self.others]
            return (images if convert is None else convert(images), *others)

        return _with_options(batches.map(batch).prefetch(2))


def _source(
    dataset: Dataset, indices: NDArray[np.int64], batching: Batching, class_weights: NDArray[np.float32] | None = None
) -> _Source:
    """The source of the images at `indices`."""
    if isinstance(dataset.images, np.memmap):
        images, labels, rows = _mapped(str(dataset.images.filename)), dataset.labels, indices
    else:
        images, labels, rows = tf.constant(dataset.images[indices]), dataset.labels[indices], np.arange(len(indices))
    weights = () if class_weights is None else (tf.constant(class_weights[labels]),)
    return _Source(images=images, others=(tf.constant(batching.labels(labels)), *weights), rows=rows.astype(np.int32))


@lru_cache(maxsize=2)
def _mapped(file: str) -> tf.Tensor:
    """The array in a .npy file as a tensor; "c" (copy-on-write), since a tensor cannot be read-only."""
    return shared_tensor(np.load(file, mmap_mode="c", allow_pickle=False))


def _scoring_batch_size(n: int, at_once: int) -> int:
    """The largest batch size for which the number of batches of `n` images is a multiple of `at_once`.

    Keras 3.6 and earlier ignore an execution that runs out of batches when scoring.
    """
    sizes: Sequence[int] = range(min(EVALUATION_BATCH_SIZE, n), 0, -1)
    return next((size for size in sizes if -(-n // size) % at_once == 0), sizes[0])


def _with_options(batches: tf.data.Dataset) -> tf.data.Dataset:
    options = tf.data.Options()
    # The autotune thread's timed wait stalls `fit` at the start of an epoch while the CPU is idle.
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False  # they would copy the images
    options.deterministic = True
    options.threading.private_threadpool_size = 1
    return batches.with_options(options)
