"""A dataset is validated when it is built: arrays that do not fit together are refused."""

import hashlib
from typing import Any

import numpy as np
import pytest

from bench.data.dataset import Dataset
from bench.errors import DataError
from image_files import tiny_dataset

IMAGES = np.arange(16, dtype=np.uint8).reshape(4, 2, 2, 1)
LABELS = np.array([0, 1, 1, 0])


def make(**changes: Any) -> Dataset:
    arrays: dict[str, Any] = {"images": IMAGES, "labels": LABELS}
    return tiny_dataset(**arrays | changes)


def test_checksum_covers_image_bytes_then_label_bytes() -> None:
    # Pixels 0 to 15, then the labels 0, 1, 1, 0 as eight bytes each, little-endian.
    content = bytes(range(16)) + b"".join(bytes([label, 0, 0, 0, 0, 0, 0, 0]) for label in (0, 1, 1, 0))
    assert make().checksum == hashlib.sha256(content).hexdigest()


def test_labels_become_int64_and_the_given_array_stays_writable() -> None:
    labels = LABELS.astype(np.uint8)
    assert make(labels=labels).labels.dtype == np.int64
    assert labels.flags.writeable


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": IMAGES / 255}, "must be uint8"),
        ({"images": IMAGES[..., 0]}, "must be uint8"),
        ({"labels": LABELS[:3]}, "one for each of 4 images"),
        ({"labels": LABELS / 1}, "labels must be integers"),
        ({"labels": np.array([0, 1, 2, 0])}, r"invalid: \[2\]"),
        ({"labels": np.array([0, 0, 0, 0])}, r"missing: \[1\]"),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        make(**changes)
