"""Files in the IDX format, valid and damaged."""

import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest

from bench.data.loaders import idx
from bench.errors import DataError

# 2 images of 1 x 3 pixels.
CONTENT = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3, 10, 20, 30, 40, 50, 60])
SUM = hashlib.sha256(CONTENT).hexdigest()


def test_parse_takes_the_shape_from_the_header() -> None:
    assert idx.parse(CONTENT, "x").tolist() == [[[10, 20, 30]], [[40, 50, 60]]]
    assert idx.parse(CONTENT, "x").dtype == np.uint8


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "starts with nothing"),
        (b"\x89PNG1234", "but starts with 89 50 4e 47, not with 00 00 08"),
        (CONTENT[:10], "must be an IDX file of unsigned bytes"),
        (CONTENT[:-1], "5 values follow"),
        (CONTENT + b"x", "7 values follow"),
    ],
)
def test_parse_refuses(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        idx.parse(content, "x")


@pytest.mark.parametrize(
    "content", [CONTENT, gzip.compress(CONTENT), gzip.compress(CONTENT, 1)], ids=["plain", "gzip", "fast gzip"]
)
def test_checked_compares_decompressed_bytes(content: bytes) -> None:
    assert idx.checked(content, SUM, "x") == CONTENT


@pytest.mark.parametrize(
    "content", [gzip.compress(CONTENT)[:-9], gzip.compress(CONTENT)[:15] + b"!" * 20], ids=["truncated", "overwritten"]
)
def test_checked_refuses_a_damaged_gzip(content: bytes) -> None:
    with pytest.raises(
        DataError, match=f"train.gz cannot be decompressed: .*{SUM}.*{hashlib.sha256(content).hexdigest()}"
    ):
        idx.checked(content, SUM, "train.gz")


def test_checked_refuses_a_wrong_checksum() -> None:
    other = CONTENT[:-1]
    with pytest.raises(DataError, match=f"{SUM}, found {hashlib.sha256(other).hexdigest()} .21 bytes"):
        idx.checked(other, SUM, "train")


@pytest.mark.parametrize("file", ["a-idx3-ubyte", "a.idx3-ubyte", "a-idx3-ubyte.gz", "a.idx3-ubyte.gz"])
def test_find_knows_all_common_spellings(tmp_path: Path, file: str) -> None:
    (tmp_path / file).write_bytes(CONTENT)
    assert idx.find(tmp_path, "a-idx3-ubyte") == tmp_path / file


def test_find_ignores_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a-idx3-ubyte").mkdir()
    assert idx.find(tmp_path, "a-idx3-ubyte") is None
