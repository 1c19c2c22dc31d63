"""Small image datasets, in memory and on disk, for tests."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.data.dataset import Dataset

SIDE = 6


def noise(n: int, *shape: int, seed: int = 0) -> NDArray[np.uint8]:
    """Distinct images of random pixels, (n, *shape)."""
    return np.random.default_rng(seed).integers(0, 256, (n, *(shape or (SIDE, SIDE))), dtype=np.uint8)


def tiny_dataset(**changes: Any) -> Dataset:
    """A dataset of the images and labels in `changes`, by default of two classes."""
    fields: dict[str, Any] = {
        "name": "tiny",
        "title": "Tiny",
        "class_names": ("a", "b"),
        "source": "a test",
        "license": "none",
    }
    return Dataset(**fields | changes)


def save(path: Path, pixels: NDArray[Any], **options: Any) -> Path:
    """Write pixels (height, width) or (height, width, channels) as an image file; folders are created."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def class_folders(root: Path, *, per_class: int = 10, names: tuple[str, ...] = ("cat", "dog"), seed: int = 0) -> Path:
    """`root/CLASS/NUMBER.png` of distinct grayscale images; the first pixel is the class, the second the number."""
    for label, name in enumerate(names):
        for number, pixels in enumerate(noise(per_class, seed=seed + label)):
            pixels[0, :2] = label, number
            save(root / name / f"{number:03}.png", pixels)
    return root


def announced_digits(path: Path) -> Path:
    """A Python file that defines the dataset digits, but announces when it loads them, as downloads do."""
    path.write_text(
        "from dataclasses import replace\n\n"
        "from bench.data.sets import digits\n\n\n"
        "def development(access):\n"
        "    access.notify('loading digits')\n"
        "    return digits.DATASET.development(access)\n\n\n"
        "DATASET = replace(digits.DATASET, development=development)\n"
    )
    return path


def write_csv(path: Path, rows: list[str], header: str | None = "label,pixel1,pixel2,pixel3,pixel4") -> Path:
    """A CSV file of these lines."""
    path.write_text("\n".join(([header] if header else []) + rows) + "\n")
    return path


def csv_rows(n: int = 20, classes: int = 2) -> list[str]:
    """Lines of distinct images of 2 x 2 pixels; the first pixel is the label."""
    return [f"{number % classes},{number % classes},{number},{255 - number},7" for number in range(n)]


def idx_bytes(values: NDArray[Any]) -> bytes:
    """Values as an IDX file of unsigned bytes."""
    return bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()
