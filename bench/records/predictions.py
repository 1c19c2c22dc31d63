"""Predictions of a run's refits on the held-out test set."""

import hashlib
import io
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import RecordError
from bench.records.encoding import read_bytes
from bench.records.files import write_atomic


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """Predictions of the refits on the test set; every published test score is computed from these arrays alone.

    Log-probabilities in float16 preserve the log loss of confident errors; probabilities in float16 would not.
    """

    log_probabilities: NDArray[np.float16]  # (seeds, n_test, classes), natural logarithm
    labels: NDArray[np.int64]  # (n_test,)
    seeds: NDArray[np.int64]  # (seeds,)
    wrong_indices: NDArray[np.int64]  # (m,) test images misclassified by mean probability, most confident errors first
    wrong_images: NDArray[np.uint8]  # (m, height, width, channels)

    def __post_init__(self) -> None:
        outputs, images = self.log_probabilities.shape, self.wrong_images.shape
        expected = (self.seeds.shape, self.labels.shape, self.wrong_indices.shape)
        if len(outputs) != 3 or (outputs[:1], outputs[1:2], images[:1]) != expected:
            shapes = {name: array.shape for name, array in self._arrays().items()}
            raise RecordError(
                "predictions must have log_probabilities (seeds, n_test, classes), labels (n_test,), seeds (seeds,), "
                f"wrong_indices (m,) and wrong_images (m, height, width, channels), got {shapes}"
            )
        # The argmax of NaN is class 0, which would count as a prediction.
        if np.isnan(self.log_probabilities).any():
            raise RecordError("log_probabilities contain NaN: a refit has diverged")

    def _arrays(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def digest(self) -> str:
        """SHA-256 of all arrays, with their shapes and types."""
        digest = hashlib.sha256()
        for name, array in self._arrays().items():
            digest.update(f"{name} {array.dtype} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def write(self, path: Path) -> None:
        """Write all arrays to the npz file `path`; equal arrays give equal bytes."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **self._arrays())
        write_atomic(path, buffer.getvalue())

    @classmethod
    def read(cls, path: Path) -> "Predictions":
        """Read a file written by `write`.

        Raises:
            RecordError: the file is missing or damaged.
        """
        content = io.BytesIO(read_bytes(path))  # in memory, since NumPy does not close a damaged file
        try:
            with np.load(content, allow_pickle=False) as arrays:
                return cls(**{field.name: arrays[field.name] for field in fields(cls)})
        except Exception as error:  # NumPy and zipfile raise many types for a damaged file
            raise RecordError(f"{path}: cannot be read: {error}: restore the file") from error
