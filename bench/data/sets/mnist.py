"""MNIST: 28x28 grayscale images of handwritten digits (LeCun, Cortes and Burges)."""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bench.data import DatasetDefinition
from bench.data.loaders import folders, published
from bench.data.loaders.published import Labels, Pixels, Sources, VerifiedFiles

# SHA-256 of the decompressed files.
IDX_FILES = {
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cd351222c34898ecbeaf847f06e48f7ec33f2",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
}
KERAS_FILE = "mnist.npz"
KERAS_SHA256 = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"  # as in keras.datasets.mnist


def sources(data_dir: Path | None) -> Sources:
    """The sources of MNIST for this machine, `data_dir` first."""
    return Sources(
        title="MNIST",
        name="mnist",
        data_dir=data_dir,
        cache=folders.cache_folder() / "mnist",
        keras=folders.keras_folder() / "datasets",
        file_sets=(
            VerifiedFiles(
                files={KERAS_FILE: KERAS_SHA256},
                parse=parse_keras,
                url="https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
            ),
            VerifiedFiles(
                files=IDX_FILES, parse=published.parse_idx, url="https://storage.googleapis.com/cvdf-datasets/mnist/"
            ),
        ),
    )


def parse_keras(content: Mapping[str, bytes], _folder: str, test: bool) -> tuple[Pixels, Labels]:
    """Images and labels of Keras' mnist.npz."""
    part = "test" if test else "train"
    with np.load(io.BytesIO(content[KERAS_FILE]), allow_pickle=False) as arrays:
        return arrays[f"x_{part}"][..., np.newaxis], arrays[f"y_{part}"]


DATASET = DatasetDefinition(
    title="MNIST",
    class_names=tuple("0123456789"),
    license="CC BY-SA 3.0 (c) Yann LeCun and Corinna Cortes",
    image_shape=(28, 28, 1),
    n_test=10_000,
    development=lambda access: published.load_development(access, sources(access.data_dir)),
    test=lambda access: published.load_test(access, sources(access.data_dir)),
)
