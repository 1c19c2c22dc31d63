"""Datasets in .npz files: names of arrays, number types, and errors; pickles are never loaded."""

import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.data.loaders import npz
from bench.data.samples import UNCHANGED, Reading, Source
from bench.errors import DataError
from image_files import noise

LABELS = np.arange(8) % 2
X, Y = noise(8, 4, 4), LABELS


def write(path: Path, **arrays: Any) -> Path:
    np.savez(path / "a.npz", **arrays)
    return path / "a.npz"


def read(path: Path, reading: Reading = UNCHANGED) -> Source:
    return npz.read(path, reading)


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("x_train", "y_train"),
        ("train_images", "train_labels"),
        ("X_train", "Y_train"),
        ("x", "y"),
        ("images", "labels"),
    ],
)
def test_usual_names(tmp_path: Path, images: str, labels: str) -> None:
    source = read(write(tmp_path, **{images: X, labels: Y}))
    assert np.array_equal(source.train.images[..., 0], X)
    assert source.train.labels.tolist() == Y.tolist()
    assert source.test is None


def test_unnamed_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", X, Y)
    assert len(read(tmp_path / "a.npz").train.labels) == 8


def test_test_set_validation_images_and_class_names(tmp_path: Path) -> None:
    arrays = {"x_train": X, "y_train": Y, "x_val": X[:2], "y_val": Y[:2], "x_test": X[:4], "y_test": Y[:4]}
    source = read(write(tmp_path, **arrays, class_names=np.array(["cat", "dog"])))
    assert source.test is not None
    assert (len(source.train.labels), len(source.test.labels)) == (10, 4)
    assert source.class_names == ("cat", "dog")


def test_compressed_file_and_color(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", x=noise(8, 4, 5, 3), y=Y[:, np.newaxis])
    source = read(tmp_path / "a.npz")
    assert source.train.images.shape == (8, 4, 5, 3)
    assert source.train.labels.shape == (8,)


@pytest.mark.parametrize(
    "values",
    [X.astype(np.float32), X.astype(np.int64), X.astype(np.float64) / 255, (X / 255).astype(np.float32)],
    ids=["whole floats", "int64", "fractions", "float32 fractions"],
)
def test_every_number_type_gives_the_same_pixels(tmp_path: Path, values: Any) -> None:
    assert np.array_equal(read(write(tmp_path, x=values, y=Y)).train.images[..., 0], X)


def test_booleans_are_black_and_white(tmp_path: Path) -> None:
    assert set(read(write(tmp_path, x=X > 100, y=Y)).train.images.flat) == {0, 255}


def test_labels_may_be_whole_floats(tmp_path: Path) -> None:
    assert read(write(tmp_path, x=X, y=Y.astype(float))).train.labels.dtype == np.int64


def test_rows_of_pixels_are_square_or_of_the_size_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path, x=X.reshape(8, 16), y=Y)
    assert np.array_equal(read(path).train.images[..., 0], X)
    assert read(path, Reading(image_size=(2, 8))).train.images.shape == (8, 2, 8, 1)


def set_pixel(value: float) -> Any:
    changed = X.astype(np.float64)
    changed[3, 2, 1] = value
    return changed


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": X}, r"a\.npz contains x: expected x_train, y_train, x_test and y_test, or x and y"),
        ({"x": X, "y": Y[:5]}, r"x: 8 images but 5 labels: one label per image is needed: check that"),
        ({"x": X[:0], "y": Y[:0]}, "x: no images"),
        (
            {"x": set_pixel(np.nan), "y": Y},
            r"x\[3, 2, 1\] is nan: expected whole numbers from 0 to 255, or fractions",
        ),
        ({"x": set_pixel(np.inf), "y": Y}, r"x\[3, 2, 1\] is inf: .*: replace it, or remove the image"),
        ({"x": set_pixel(-1), "y": Y}, r"x\[3, 2, 1\] is -1: .* from 0 to 1: rescale all pixels, e\.g\. by"),
        ({"x": set_pixel(256), "y": Y}, r"x\[3, 2, 1\] is 256"),
        ({"x": set_pixel(9.5), "y": Y}, r"x\[3, 2, 1\] is 9\.5, although other pixels are larger than 1"),
        ({"x": X.astype(np.int16) - 300, "y": Y}, r"x\[0, 0, 0\] is -\d+: expected"),
        ({"x": X.astype("U3"), "y": Y}, "x has pixels of type <U3"),
        ({"x": X.astype(complex), "y": Y}, "x has pixels of type complex128"),
        ({"x": X[0], "y": Y[:4]}, None),  # four rows of four pixels: images of 2 x 2
        ({"x": noise(8, 3, 4, 4), "y": Y}, None),  # four channels
        ({"x": noise(8, 3, 4, 5), "y": Y}, r"shape \(8, 3, 4, 5\): expected .*; move the channels to the last axis"),
        ({"x": noise(8, 4, 4, 2), "y": Y}, "with 1, 3 or 4 channels"),
        ({"x": noise(8, 15), "y": Y}, "x has 15 values per image: .*--image-size HEIGHTxWIDTH"),
        ({"x": X, "y": Y + 0.5}, r"y\[0\] is 0\.5: expected whole numbers"),
        ({"x": X, "y": np.where(np.arange(8) == 5, np.nan, Y)}, r"y\[5\] is nan"),
        ({"x": X, "y": Y.astype("U1")}, "y has labels of type <U1, such as .*0"),
        ({"x": X, "y": np.eye(2)[Y]}, r"shape \(8, 2\): .*for one-hot labels, store labels\.argmax\(axis=1\)"),
        ({"x": X, "y": Y, "class_names": np.array([1, 2])}, r"class_names must be an array \(classes,\) of strings"),
        (
            {"x_train": X, "y_train": Y, "x_test": X / 255, "y_test": Y},
            "x_train and .*x_test differ in scale",
        ),
        (
            {"x_train": X, "y_train": Y, "x_val": noise(8, 5, 5), "y_val": Y},
            r"images of shape \(4, 4, 1\), .*x_val of \(5, 5, 1\)",
        ),
    ],
)
def test_invalid_arrays_are_named(tmp_path: Path, arrays: dict[str, Any], message: str | None) -> None:
    path = write(tmp_path, **arrays)
    if message is None:
        read(path)
        return
    with pytest.raises(DataError, match=message) as caught:
        read(path)
    assert str(path) in str(caught.value)


class Evil:
    def __reduce__(self) -> Any:
        return Path.touch, (Path("loaded"),)


@pytest.mark.parametrize("name", ["x", "y", "class_names", "other"])
def test_array_of_objects_is_never_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    arrays: dict[str, Any] = {"x": X, "y": Y, name: np.array([Evil()] * 8, dtype=object)}
    with pytest.raises(DataError, match=rf"a\.npz: {name} is an array of Python objects, which is never loaded"):
        read(write(tmp_path, **arrays))
    assert not (tmp_path / "loaded").exists()


def test_pickle_with_the_name_of_an_npz_file_is_never_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a.npz"
    path.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(DataError, match=r"a\.npz is not an \.npz file"):
        read(path)
    assert not (tmp_path / "loaded").exists()


def test_member_that_is_no_array_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, x=X)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("y.npy", b"not an array")
    with pytest.raises(DataError, match=r"a\.npz: y"):
        read(path)


def test_truncated_file_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, x=X, y=Y)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match=r"a\.npz is not an \.npz file"):
        read(path)


def test_damaged_array_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, x=X, y=Y)
    content = bytearray(path.read_bytes())
    content[content.index(X.tobytes()) + 5] ^= 255
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.npz: x is damaged: Bad CRC-32"):
        read(path)


def test_damaged_compressed_array_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=X, y=Y)
    with zipfile.ZipFile(path) as archive:
        header = archive.getinfo("x.npy").header_offset
    content = bytearray(path.read_bytes())
    # After 30 bytes and two fields, whose lengths are at 26, is the compressed array; it has no block of this type.
    content[header + 30 + sum(struct.unpack_from("<2H", content, header + 26))] = 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.npz: x is damaged: .*invalid block type"):
        read(path)


def test_expansion_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros((8, 100, 100), np.uint8), y=Y)
    with pytest.raises(DataError, match=r"a\.npz expands to .* GiB \(at most .* GiB\): use a folder"):
        npz.read(tmp_path / "a.npz", UNCHANGED, limit=50_000)
