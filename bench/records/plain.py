"""The model of a run as plain Keras or scikit-learn code, from a process that has these, so that pages need none."""

import re
from collections.abc import Mapping

import msgspec

from bench.records.dataset import DatasetFacts

KERAS_DATASETS = frozenset({"mnist", "fashion_mnist", "cifar10"})  # that Keras downloads
_LABEL_SMOOTHING = re.compile(r"label_smoothing=([\d.]+)")


class PlainKeras(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model and its training, without this package."""

    code: str  # a script; without a known dataset, `x_train` and `y_train` must exist
    recipe: Mapping[
        str, str
    ]  # name to value: optimizer, loss, batch size, epochs, images, augmentation, and how it predicts


def data_lines(dataset: DatasetFacts) -> list[str]:
    """The lines that load a dataset with Keras, or a comment on the images that must exist."""
    n, last = dataset.n_train + dataset.n_validation, len(dataset.class_names) - 1
    if dataset.name in KERAS_DATASETS:
        return [
            f"# {dataset.title}: {n:,} training and {dataset.n_test:,} test images, and their labels, 0 to {last}",
            f"(x_train, y_train), (x_test, y_test) = keras.datasets.{dataset.name}.load_data()",
        ]
    shape = ", ".join(map(str, dataset.image_shape))
    return [
        f"# {dataset.title}: {n:,} images, uint8 ({n}, {shape}), and their labels, 0 to {last}",
        "# must be in x_train and y_train.",
    ]


def label_smoothing(loss: str) -> float:
    """The label smoothing in the expression of a loss, in [0, 1); 0 if it has none."""
    match = _LABEL_SMOOTHING.search(loss)
    return 0.0 if match is None else float(match[1])
