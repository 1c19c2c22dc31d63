"""Exact duplicates: images that are equal byte for byte."""

import hashlib
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bench.data.dataset import Dataset
from bench.records.dataset import DuplicateCounts


def first_copies(images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """For each image, the index of the first image that is equal to it; its own index if there is none before it."""
    seen: dict[bytes, int] = {}
    return np.array([seen.setdefault(digest, index) for index, digest in enumerate(_digests(images))], dtype=np.int64)


@lru_cache(maxsize=4)
def first_copies_in(dataset: Dataset) -> NDArray[np.int64]:
    """`first_copies` of a dataset's images, computed once for each dataset object."""
    copies = first_copies(dataset.images)
    copies.setflags(write=False)
    return copies


def count(development: NDArray[np.uint8], test: NDArray[np.uint8]) -> DuplicateCounts:
    """Count the duplicates inside the development images, inside the test set, and between both."""
    seen, held_out = set(_digests(development)), _digests(test)
    return DuplicateCounts(
        development=len(development) - len(seen),
        test=len(test) - len(set(held_out)),
        shared=sum(digest in seen for digest in held_out),
    )


def _digests(images: NDArray[np.uint8]) -> list[bytes]:
    # Digests of 16 bytes instead of the images' own bytes, which would be a second copy in memory.
    return [hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest() for image in images]
