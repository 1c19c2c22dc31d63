"""Datasets in IDX files: names, compression, and errors."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.data.loaders import bounded, idx_files
from bench.data.samples import UNCHANGED
from bench.errors import DataError
from image_files import idx_bytes, noise

X, Y = noise(8, 4, 5), (np.arange(8) % 2).astype(np.uint8)


def write(path: Path, values: NDArray[Any]) -> Path:
    content = idx_bytes(values)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_pair_is_read(tmp_path: Path, suffix: str) -> None:
    images, labels = write(tmp_path / f"train-images-idx3-ubyte{suffix}", X), write(tmp_path / f"l{suffix}", Y)
    samples = idx_files.read(images, labels, UNCHANGED)
    assert np.array_equal(samples.images[..., 0], X)
    assert samples.labels.tolist() == Y.tolist()


def test_color_images(tmp_path: Path) -> None:
    images, labels = write(tmp_path / "images-idx4-ubyte", noise(8, 4, 5, 3)), write(tmp_path / "l", Y)
    assert idx_files.read(images, labels, UNCHANGED).images.shape == (8, 4, 5, 3)


@pytest.mark.parametrize(
    "name",
    [
        "train-images-idx3-ubyte",
        "t10k-images.idx3-ubyte.gz",
        "emnist-letters-test-images-idx3-ubyte",
        "images.idx3.ubyte",
    ],
)
def test_usual_names(name: str) -> None:
    assert idx_files.is_idx(Path(name))


def test_files_are_paired_by_name() -> None:
    names = [
        "a-train-images-idx3-ubyte",
        "a-train-labels-idx1-ubyte.gz",
        "a-test-images-idx3-ubyte",
        "a-test-labels-idx1-ubyte",
    ]
    pairs = idx_files.pairs([Path(name) for name in names])
    assert {start: (a.name, b.name) for start, (a, b) in pairs.items()} == {
        "a-train-": (names[0], names[1]),
        "a-test-": (names[2], names[3]),
    }


def test_file_without_its_partner_is_named() -> None:
    with pytest.raises(DataError, match="train-images-idx3-ubyte has no file of labels next to it"):
        idx_files.pairs([Path("train-images-idx3-ubyte")])


def test_two_versions_of_a_file_are_refused() -> None:
    with pytest.raises(DataError, match="are the same file: remove one"):
        idx_files.pairs([Path("train-images-idx3-ubyte"), Path("train-images-idx3-ubyte.gz")])


def test_different_lengths_are_refused(tmp_path: Path) -> None:
    images, labels = write(tmp_path / "i", X), write(tmp_path / "l", Y[:5])
    with pytest.raises(DataError, match="8 images but 5 labels"):
        idx_files.read(images, labels, UNCHANGED)


def test_damaged_file_is_named(tmp_path: Path) -> None:
    images, labels = write(tmp_path / "images", X), write(tmp_path / "l", Y)
    images.write_bytes(images.read_bytes()[:-3])
    with pytest.raises(DataError, match=r"images: the header declares shape \(8, 4, 5\), but 157 values follow"):
        idx_files.read(images, labels, UNCHANGED)


def test_damaged_gzip_is_named(tmp_path: Path) -> None:
    images, labels = write(tmp_path / "i.gz", X), write(tmp_path / "l", Y)
    images.write_bytes(images.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"i\.gz cannot be decompressed"):
        idx_files.read(images, labels, UNCHANGED)


def test_gzip_that_expands_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    content = gzip.compress(bytes(10_000))
    (tmp_path / "a.gz").write_bytes(content)
    with bounded.open_binary(tmp_path / "a.gz", limit=9_000) as file, pytest.raises(DataError, match="expands to more"):
        file.read()
    with pytest.raises(DataError, match="b expands to more"):
        bounded.decompressed(content, "b", limit=9_000)
    assert bounded.decompressed(content, "b", limit=10_000) == bytes(10_000)
