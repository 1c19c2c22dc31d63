"""The images and labels of a dataset in memory, and what its loaders take and return to build them."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataError

# Images uint8 (n, height, width, channels), labels (n,) of any integer type, and where the data comes from.
LabeledImages = tuple[NDArray[np.uint8], NDArray[np.integer], str]
# Takes one line for the user, such as "downloading ...".
Notify = Callable[[str], None]


def quiet(_: str) -> None:
    """Drop the message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataAccess:
    """The argument of a loader of development images."""

    data_dir: Path | None = None  # folder with the dataset's files, if the user named one
    notify: Notify = quiet  # takes a one-line message for the user, before steps longer than a second


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dataset:
    """The development images or the test set of a dataset; its arrays are read-only."""

    name: str  # as --dataset takes it
    title: str  # for readers
    images: NDArray[np.uint8]  # (n, height, width, channels)
    labels: NDArray[np.int64]  # (n,), each in [0, number of classes); any integer type when built
    class_names: tuple[str, ...]  # by label
    source: str  # where the data comes from
    license: str
    checksum: str = field(init=False)  # SHA-256 over the images' bytes, then the labels' as little-endian int64

    def __post_init__(self) -> None:
        self._check()
        labels = np.array(self.labels, dtype=np.int64)  # a copy, so that the caller's array stays writable
        # A memory-mapped file stays one, so that training can map it too.
        mapped = isinstance(self.images, np.memmap) and self.images.flags.c_contiguous
        images = (self.images if mapped else np.ascontiguousarray(self.images)).view()
        for array in (images, labels):
            array.setflags(write=False)
        object.__setattr__(self, "images", images)
        object.__setattr__(self, "labels", labels)
        digest = hashlib.sha256(images.data)
        digest.update(labels.astype("<i8").data)
        object.__setattr__(self, "checksum", digest.hexdigest())

    def _check(self) -> None:
        images, labels, classes = self.images, self.labels, len(self.class_names)
        if images.dtype != np.uint8 or images.ndim != 4:
            raise DataError(
                f"{self.name}: images must be uint8 (n, height, width, channels), got {images.dtype} {images.shape}"
            )
        if not np.issubdtype(labels.dtype, np.integer) or labels.shape != images.shape[:1]:
            raise DataError(
                f"{self.name}: labels must be integers, one for each of {len(images)} images, "
                f"got {labels.dtype} {labels.shape}"
            )
        found, expected = set(labels.tolist()), set(range(classes))
        missing, invalid = sorted(expected - found), sorted(found - expected)
        if missing or invalid:
            raise DataError(
                f"{self.name}: labels must be 0 to {classes - 1}, each at least once; "
                f"missing: {missing[:5]}, invalid: {invalid[:5]}: correct the labels or class_names"
            )

    def __len__(self) -> int:
        return len(self.images)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width, channels."""
        _, height, width, channels = self.images.shape
        return height, width, channels
