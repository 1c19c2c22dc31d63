"""The model of a run as plain Keras code: written by a process that has Keras, so that pages need none."""

import re
from collections.abc import Mapping

import msgspec

_LABEL_SMOOTHING = re.compile(r"label_smoothing=([\d.]+)")


class PlainKeras(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model and its training, without this package."""

    code: str  # a script; without a known dataset, `x_train` and `y_train` must exist
    recipe: Mapping[
        str, str
    ]  # name to value: optimizer, loss, batch size, epochs, images, augmentation, and how it predicts


def label_smoothing(loss: str) -> float:
    """The label smoothing in the expression of a loss, in [0, 1); 0 if it has none."""
    match = _LABEL_SMOOTHING.search(loss)
    return 0.0 if match is None else float(match[1])
