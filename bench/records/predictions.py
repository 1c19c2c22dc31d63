"""Predictions of a run's refits on the held-out test set."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.errors import RecordError


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """Predictions of the refits on the test set; every published metric is computed from these arrays alone.

    Log-probabilities in float16 preserve the log loss of confident errors; probabilities in float16 would not.
    """

    log_probabilities: NDArray[np.float16]  # (seeds, n_test, classes), natural logarithm
    labels: NDArray[np.int64]  # (n_test,)
    seeds: NDArray[np.int64]  # (seeds,)
    wrong_indices: NDArray[np.int64]  # (m,) test images misclassified by mean probability, most confident errors first
    wrong_images: NDArray[np.uint8]  # (m, height, width, channels)

    def __post_init__(self) -> None:
        if self.log_probabilities.ndim != 3:
            raise RecordError(f"log_probabilities must be (seeds, n_test, classes), got {self.log_probabilities.shape}")
        seeds, n_test, _ = self.log_probabilities.shape
        shapes = self.seeds.shape, self.labels.shape, self.wrong_images.shape[:1]
        if shapes != ((seeds,), (n_test,), self.wrong_indices.shape):
            raise RecordError(
                f"log_probabilities are {self.log_probabilities.shape}, but seeds are {self.seeds.shape}, labels "
                f"{self.labels.shape}, wrong_indices {self.wrong_indices.shape}, wrong_images {self.wrong_images.shape}"
            )
        # The argmax of NaN is class 0, which would count as a prediction.
        if np.isnan(self.log_probabilities).any():
            raise RecordError("log_probabilities contain NaN: a refit has diverged")

    def digest(self) -> str:
        """SHA-256 of all arrays, with their shapes and types."""
        digest = hashlib.sha256()
        for name in self.__slots__:
            array = np.ascontiguousarray(getattr(self, name))
            digest.update(f"{name} {array.dtype} {array.shape}".encode())
            digest.update(array.tobytes())
        return digest.hexdigest()
