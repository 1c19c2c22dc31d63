"""The first 12,000 training images and all test images of Fashion-MNIST, for many short training runs."""

from dataclasses import replace

from bench.data import DataAccess, LabeledImages
from bench.data.sets import fashion_mnist

N_DEVELOPMENT = 12_000


def _development(access: DataAccess) -> LabeledImages:
    """The first 12,000 images published for training, in their published order."""
    images, labels, source = fashion_mnist.DATASET.development(access)
    return images[:N_DEVELOPMENT].copy(), labels[:N_DEVELOPMENT].copy(), source


DATASET = replace(
    fashion_mnist.DATASET,
    title="Fashion-MNIST, 12,000 images to train",
    development=_development,
)
