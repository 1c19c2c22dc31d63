"""The first 12,000 training images of Fashion-MNIST, all of its test images: for many short trainings."""

from pathlib import Path

from bench.data.dataset import Notify, Part
from bench.data.sets import fashion_mnist
from bench.records.spec import Budget

N_DEVELOPMENT = 12_000

TITLE = "Fashion-MNIST, 12,000 images to train"
CLASS_NAMES = fashion_mnist.CLASS_NAMES
LICENCE = fashion_mnist.LICENCE
IMAGE_SHAPE = fashion_mnist.IMAGE_SHAPE
N_TEST = fashion_mnist.N_TEST
DEFAULT_BUDGET = Budget(trials=8, epochs=6)


def development(data_dir: Path | None, notify: Notify) -> Part:
    """The first 12,000 images published for training, in the published order."""
    images, labels, source = fashion_mnist.development(data_dir, notify)
    return images[:N_DEVELOPMENT].copy(), labels[:N_DEVELOPMENT].copy(), source


def test(data_dir: Path | None, notify: Notify) -> Part:
    """The 10,000 images published for testing, in the published order."""
    return fashion_mnist.test(data_dir, notify)
