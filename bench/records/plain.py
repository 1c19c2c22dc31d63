"""The model of a run as plain Keras code: written by a process that has Keras, so that pages need none."""

from collections.abc import Mapping

import msgspec


class PlainKeras(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model and its training, without this package."""

    code: str  # a script; without a known dataset, `x_train` and `y_train` must exist
    recipe: Mapping[str, str]  # name to value: optimizer, loss, batch size, epochs, images, augmentation
