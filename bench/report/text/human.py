"""Published human accuracy, for comparison."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class HumanAccuracy:
    """What people reach on a dataset, as published."""

    accuracy: float  # fraction in [0, 1]
    source: str
    url: str


_PUBLISHED = {
    "fashion_mnist": HumanAccuracy(
        accuracy=0.835, source="README of Fashion-MNIST", url="https://github.com/zalandoresearch/fashion-mnist"
    )
}


def human_accuracy(dataset: str) -> HumanAccuracy | None:
    """The published human accuracy on a dataset; None if none is known."""
    return _PUBLISHED.get(dataset)
