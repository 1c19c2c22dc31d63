"""CIFAR-10: 32x32 color images of animals and vehicles (Krizhevsky, 2009)."""

from pathlib import Path

from bench.data import DatasetDefinition
from bench.data.loaders import cifar, folders, published
from bench.data.loaders.published import Sources, VerifiedFiles

URL = "https://www.cs.toronto.edu/~kriz/"
# SHA-256 of the archives: the first as in keras.datasets.cifar10, the second as in TensorFlow Datasets.
PYTHON_SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
BINARY_SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
# What Keras calls its download, in several versions.
KERAS_NAMES = ("cifar-10-batches-py-target_archive", "cifar-10-batches-py-target.tar.gz", "cifar-10-batches-py.tar.gz")


def sources(data_dir: Path | None) -> Sources:
    """The sources of CIFAR-10 for this machine, `data_dir` first."""
    return Sources(
        title="CIFAR-10",
        name="cifar10",
        data_dir=data_dir,
        cache=folders.cache_folder() / "cifar10",
        keras=folders.keras_folder() / "datasets",
        file_sets=(
            VerifiedFiles(
                files={cifar.PYTHON_ARCHIVE: PYTHON_SHA256},
                parse=cifar.parse_python,
                url=URL,
                spellings={cifar.PYTHON_ARCHIVE: KERAS_NAMES},
            ),
            VerifiedFiles(files={cifar.BINARY_ARCHIVE: BINARY_SHA256}, parse=cifar.parse_binary, url=URL),
        ),
    )


DATASET = DatasetDefinition(
    title="CIFAR-10",
    class_names=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    license="not stated by its authors",
    image_shape=(32, 32, 3),
    n_test=10_000,
    development=lambda access: published.load_development(access, sources(access.data_dir)),
    test=lambda access: published.load_test(access, sources(access.data_dir)),
)
