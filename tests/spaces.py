"""Search spaces for tests, declared by hand, without a model, and their candidates as text."""

import json
from collections.abc import Mapping

from keras_tuner import HyperParameters

from bench.records.spec import Value


def key(values: Mapping[str, Value]) -> str:
    """A candidate as text."""
    return json.dumps(dict(values), sort_keys=True)


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


def twenty() -> HyperParameters:
    """One hyperparameter with 20 values."""
    hp = HyperParameters()
    hp.Int("size", 1, 20)
    return hp


def continuous() -> HyperParameters:
    """A rate between two bounds."""
    hp = HyperParameters()
    hp.Choice("kind", ["a", "b"])
    hp.Float("rate", 0.001, 0.1, sampling="log")
    return hp


def every_kind() -> HyperParameters:
    """Every kind of hyperparameter, step and sampling, and a scope in a scope; continuous."""
    hp = HyperParameters()
    hp.Fixed("fixed", "only")
    hp.Boolean("wide")
    hp.Choice("kind", ["small", "large"])
    hp.Choice("batch", [64, 32, 128])
    hp.Int("layers", 1, 3)
    hp.Int("stride", 3, 10, step=3)
    hp.Int("units", 4, 100, step=2, sampling="log")
    hp.Int("filters", 4, 100, sampling="log")
    hp.Int("bottleneck", 4, 100, sampling="reverse_log")
    hp.Float("momentum", 0.1, 0.9)
    hp.Float("dropout", 0.0, 0.5, step=0.1)
    hp.Float("decay", 1e-4, 1e-1, step=10, sampling="reverse_log")
    hp.Float("smoothing", 0.01, 0.9, sampling="reverse_log")
    with hp.conditional_scope("kind", ["large"]):
        hp.Boolean("decays")
        with hp.conditional_scope("decays", [True]):
            hp.Float("rate", 0.001, 0.1, sampling="log")
    return hp


def same_names() -> HyperParameters:
    """Sizes below 1 of kind "a", and above 1 of kind "b"; continuous."""
    hp = HyperParameters()
    hp.Choice("kind", ["a", "b"])
    with hp.conditional_scope("kind", ["a"]):
        hp.Float("size", 0.1, 0.9)
    with hp.conditional_scope("kind", ["b"]):
        hp.Float("size", 10.0, 100.0, sampling="log")
    return hp


def single() -> HyperParameters:
    """A fixed value: one candidate."""
    hp = HyperParameters()
    hp.Fixed("kind", "only")
    return hp
