"""Handwritten digits, 8x8, that scikit-learn ships inside its package: needs no network."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.data.dataset import Notify, Part
from bench.records.spec import Budget
from bench.seeds import derive_seed

TITLE = "Digits (scikit-learn)"
CLASS_NAMES = tuple("0123456789")
LICENCE = "CC BY 4.0 (Optical Recognition of Handwritten Digits, UCI Machine Learning Repository)"
IMAGE_SHAPE = (8, 8, 1)
N_TEST = 360  # 20 % of 1,797
DEFAULT_BUDGET = Budget(trials=11, epochs=18)

MAX_PIXEL = 16


def development(_data_dir: Path | None, _say: Notify) -> Part:
    """The 1,437 images that are not in the test part, in scikit-learn's order."""
    return _part(0)


def test(_data_dir: Path | None, _say: Notify) -> Part:
    """The 360 test images, stratified by class, in scikit-learn's order."""
    return _part(1)


def _part(which: int) -> Part:
    import sklearn
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, labels = load_digits(return_X_y=True)
    parts = train_test_split(
        np.arange(len(labels)), test_size=N_TEST, stratify=labels, random_state=derive_seed(0, "digits test part")
    )
    chosen = np.sort(parts[which])
    images = scale(pixels[chosen]).reshape(-1, *IMAGE_SHAPE)
    return images, labels[chosen], f"scikit-learn {sklearn.__version__}, load_digits"


def scale(pixels: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Whole numbers 0 to 16 as 0 to 255: p * 255 / 16, rounded half up."""
    return ((pixels.astype(np.int64) * 255 + MAX_PIXEL // 2) // MAX_PIXEL).astype(np.uint8)
