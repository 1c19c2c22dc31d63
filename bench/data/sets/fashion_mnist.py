"""Fashion-MNIST: 28x28 grayscale images of clothing, Zalando's drop-in replacement for MNIST (arXiv:1708.07747)."""

from bench.data import DatasetDefinition
from bench.data.loaders import published
from bench.data.loaders.fashion_mnist import sources

DATASET = DatasetDefinition(
    title="Fashion-MNIST",
    class_names=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    license="MIT (c) 2017 Zalando SE",
    image_shape=(28, 28, 1),
    n_test=10_000,
    development=lambda access: published.load_development(access, sources(access.data_dir)),
    test=lambda access: published.load_test(access, sources(access.data_dir)),
)
