"""The model of a run as plain Keras code, written once by a process that has Keras, so that pages need none."""

import msgspec


class PlainRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A script that rebuilds and trains the first refit of a run without this package."""

    code: str
    recipe: dict[str, str]  # name to value: optimizer, loss, batch size, epochs, images
    source: str  # digest of the code of the family or reference model that it was made from
