"""Search spaces for tests, declared by hand, without a model."""

from keras_tuner import HyperParameters


def flat() -> HyperParameters:
    """Two hyperparameters: 3 x 4 = 12 candidates."""
    hp = HyperParameters()
    hp.Choice("kind", ["a", "b", "c"])
    hp.Int("size", 2, 8, step=2)
    return hp


def layered() -> HyperParameters:
    """One or two layers of a network: (3 + 3 x 3) widths x 3 rates = 36 candidates."""
    hp = HyperParameters()
    hp.Int("layers", 1, 2)
    hp.Choice("units_1", [32, 64, 128])
    with hp.conditional_scope("layers", [2]):
        hp.Choice("units_2", [32, 64, 128])
    hp.Float("rate", 0.001, 0.004, step=2, sampling="log")
    return hp


def nested() -> HyperParameters:
    """A scope in a scope: "small", "large" without dropout, "large" with one of three rates: 1 + 1 + 3 = 5."""
    hp = HyperParameters()
    hp.Choice("kind", ["small", "large"])
    with hp.conditional_scope("kind", ["large"]):
        hp.Boolean("dropout")
        with hp.conditional_scope("dropout", [True]):
            hp.Choice("rate", [0.1, 0.2, 0.3])
    return hp


def uneven() -> HyperParameters:
    """Nine kinds with one candidate each, which take nine draws in ten, and one kind with 100 candidates."""
    hp = HyperParameters()
    hp.Choice("kind", list(range(10)))
    with hp.conditional_scope("kind", [9]):
        hp.Int("size", 1, 100)
    return hp


def continuous() -> HyperParameters:
    """A rate between two bounds."""
    hp = HyperParameters()
    hp.Choice("kind", ["a", "b"])
    hp.Float("rate", 0.001, 0.1, sampling="log")
    return hp


def single() -> HyperParameters:
    """A fixed value: one candidate."""
    hp = HyperParameters()
    hp.Fixed("kind", "only")
    return hp
