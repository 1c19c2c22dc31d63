"""Models that are not a Family: any hypermodel of Keras Tuner, or a function `build_model(hp)`.

They bring their own training recipe: optimizer, loss and, if they override `HyperModel.fit`, everything else.
"""


class UnsuitableModelError(Exception):
    """A model cannot be trained or evaluated by this suite as it is; the message says what to change.

    Not a BenchError, since other candidates of the same family may be suitable.
    """
