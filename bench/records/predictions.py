"""What the refits of a run said of the sealed test part."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.errors import RecordError


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """What the refits said of the sealed test part; every published metric is computed from this and nothing else.

    float16 log-probabilities keep the log loss of confident mistakes, which float16 probabilities would ruin.
    """

    log_probabilities: NDArray[np.float16]  # (seeds, n_test, classes), natural logarithm
    labels: NDArray[np.int64]  # (n_test,)
    seeds: NDArray[np.int64]  # (seeds,)
    wrong_indices: NDArray[np.int64]  # (m,) test images that all seeds together get most confidently wrong
    wrong_images: NDArray[np.uint8]  # (m, height, width, channels)

    def __post_init__(self) -> None:
        if self.log_probabilities.ndim != 3:
            raise RecordError(f"log_probabilities must be (seeds, n_test, classes), got {self.log_probabilities.shape}")
        seeds, n_test, _ = self.log_probabilities.shape
        found = self.seeds.shape, self.labels.shape, self.wrong_images.shape[:1]
        if found != ((seeds,), (n_test,), self.wrong_indices.shape):
            raise RecordError(
                f"log_probabilities are {self.log_probabilities.shape}, but seeds are {self.seeds.shape}, labels "
                f"{self.labels.shape}, wrong_indices {self.wrong_indices.shape}, wrong_images {self.wrong_images.shape}"
            )
        # The largest of several NaN counts as class 0: it would be scored as if it were an answer.
        if np.isnan(self.log_probabilities).any():
            raise RecordError("log_probabilities hold NaN: a refit diverged and says nothing of the test part")

    def digest(self) -> str:
        """SHA-256 over the arrays, their shapes and types."""
        found = hashlib.sha256()
        for name in self.__slots__:
            array = np.ascontiguousarray(getattr(self, name))
            found.update(f"{name} {array.dtype} {array.shape}".encode())
            found.update(array.tobytes())
        return found.hexdigest()
