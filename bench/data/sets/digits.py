"""Handwritten digits, 8x8, included in scikit-learn; needs no download."""

import numpy as np
from numpy.typing import NDArray

from bench.data import DataAccess, DatasetDefinition, LabeledImages, TestSetAccess
from bench.seeds import derive_seed
from bench.signals import defer_signals

IMAGE_SHAPE = (8, 8, 1)
N_TEST = 360  # 20% of 1,797
MAX_PIXEL = 16


def scale(pixels: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Scale integers from 0 to 16 to 0 to 255: p * 255 / 16, rounded half up."""
    return ((pixels.astype(np.int64) * 255 + MAX_PIXEL // 2) // MAX_PIXEL).astype(np.uint8)


def _development(_access: DataAccess) -> LabeledImages:
    """The 1,437 images outside the test set, in scikit-learn's order."""
    return _part(0)


def _test(_access: TestSetAccess) -> LabeledImages:
    """The 360 test images, stratified by class, in scikit-learn's order."""
    return _part(1)


def _part(which: int) -> LabeledImages:
    with defer_signals():
        import sklearn
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split

    pixels, labels = load_digits(return_X_y=True)
    parts = train_test_split(
        np.arange(len(labels)), test_size=N_TEST, stratify=labels, random_state=derive_seed(0, "digits test part")
    )
    indices = np.sort(parts[which])
    images = scale(pixels[indices]).reshape(-1, *IMAGE_SHAPE)
    return images, labels[indices], f"scikit-learn {sklearn.__version__}, load_digits"


DATASET = DatasetDefinition(
    title="Digits (scikit-learn)",
    class_names=tuple("0123456789"),
    license="CC BY 4.0 (Optical Recognition of Handwritten Digits, UCI Machine Learning Repository)",
    image_shape=IMAGE_SHAPE,
    n_test=N_TEST,
    development=_development,
    test=_test,
)
