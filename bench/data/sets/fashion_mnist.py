"""Fashion-MNIST: 28x28 grey photographs of clothes, Zalando's replacement for MNIST (arXiv:1708.07747)."""

from pathlib import Path

from bench.data.dataset import Notify, Part
from bench.data.loaders import fashion_mnist as fashion_mnist_sources
from bench.records.spec import Budget

TITLE = "Fashion-MNIST"
CLASS_NAMES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
LICENCE = "MIT (c) 2017 Zalando SE"
IMAGE_SHAPE = (28, 28, 1)
N_TEST = 10_000
DEFAULT_BUDGET = Budget(trials=12, epochs=6)


def development(data_dir: Path | None, notify: Notify) -> Part:
    """The 60,000 images published for training, in the published order."""
    return fashion_mnist_sources.read("train", fashion_mnist_sources.default(data_dir), notify)


def test(data_dir: Path | None, notify: Notify) -> Part:
    """The 10,000 images published for testing, in the published order."""
    return fashion_mnist_sources.read("t10k", fashion_mnist_sources.default(data_dir), notify)
