"""The files of MNIST and CIFAR-10: small archives of the same formats, verified by checksum."""

import hashlib
import io
import os
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.data import DataAccess, catalog
from bench.data.loaders import cifar, published
from bench.data.loaders.published import Sources, VerifiedFiles
from bench.data.sets import cifar10, kmnist, mnist
from bench.errors import DataError
from held_out import access
from image_files import noise

LABELS = np.arange(12, dtype=np.uint8) % 10


def place(folder: Path, name: str, content: bytes, parse: Any, **options: Any) -> Sources:
    """Sources with one file in a data folder."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    published_name = options.pop("published", name)
    file_set = VerifiedFiles(files={published_name: hashlib.sha256(content).hexdigest()}, parse=parse, **options)
    return Sources(title="Tiny", name="tiny", data_dir=folder, cache=folder / "c", file_sets=(file_set,))


def archive(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as files:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            files.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def batches(images: NDArray[np.uint8], write: Any, folder: str, suffix: str) -> bytes:
    """An archive with two images in each of six batches, the last for testing."""
    names = [*cifar.TRAINING_BATCHES, "test_batch"]
    planar = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    return archive(
        {
            f"{folder}/{name}{suffix}": write(planar[2 * number : 2 * number + 2], LABELS[2 * number : 2 * number + 2])
            for number, name in enumerate(names)
        }
    )


def binary(pixels: NDArray[np.uint8], labels: NDArray[np.uint8]) -> bytes:
    return np.concatenate([labels[:, np.newaxis], pixels], axis=1).tobytes()


def pickled(pixels: NDArray[np.uint8], labels: NDArray[np.uint8]) -> bytes:
    return pickle.dumps({b"data": pixels, b"labels": labels.tolist(), b"batch_label": b"x"}, protocol=3)


@pytest.mark.parametrize(
    ("name", "content", "parse"),
    [
        ("cifar-10-binary.tar.gz", (binary, "cifar-10-batches-bin", ".bin"), cifar.parse_binary),
        ("cifar-10-python.tar.gz", (pickled, "cifar-10-batches-py", ""), cifar.parse_python),
    ],
)
def test_both_archives_of_cifar10(tmp_path: Path, name: str, content: Any, parse: Any) -> None:
    images = noise(12, 32, 32, 3)
    sources = place(tmp_path / "data", name, batches(images, *content), parse)
    pixels, labels, _ = published.load_development(DataAccess(), sources)
    assert np.array_equal(pixels, images[:10])
    assert labels.tolist() == LABELS[:10].tolist()
    pixels, labels, _ = published.load_test(access(tmp_path), sources)
    assert np.array_equal(pixels, images[10:])
    assert labels.tolist() == LABELS[10:].tolist()


@pytest.mark.parametrize("name", cifar10.KERAS_NAMES)
def test_archive_is_found_under_the_names_that_keras_gives_it(tmp_path: Path, name: str) -> None:
    content = batches(noise(12, 32, 32, 3), pickled, "cifar-10-batches-py", "")
    spellings = {cifar.PYTHON_ARCHIVE: cifar10.KERAS_NAMES}
    sources = place(tmp_path, name, content, cifar.parse_python, published=cifar.PYTHON_ARCHIVE, spellings=spellings)
    assert len(published.load_development(DataAccess(), sources)[0]) == 10


class Evil:
    def __reduce__(self) -> Any:
        return os.system, ("touch loaded",)


def test_pickle_of_anything_but_arrays_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def evil(_pixels: object, _labels: object) -> bytes:
        return pickle.dumps({b"data": Evil(), b"labels": []}, protocol=3)

    content = batches(noise(12, 32, 32, 3), evil, "cifar-10-batches-py", "")
    sources = place(tmp_path / "data", cifar.PYTHON_ARCHIVE, content, cifar.parse_python)
    with pytest.raises(DataError, match=r"does not contain the published files: .*system is not allowed"):
        published.load_development(DataAccess(), sources)
    assert not (tmp_path / "loaded").exists()


def test_archive_without_a_batch_is_refused(tmp_path: Path) -> None:
    sources = place(tmp_path / "data", cifar.BINARY_ARCHIVE, archive({"x": b"y"}), cifar.parse_binary)
    with pytest.raises(DataError, match=r"cifar-10-binary\.tar\.gz in .* does not contain the published files"):
        published.load_development(DataAccess(), sources)


def test_keras_file_of_mnist(tmp_path: Path) -> None:
    images, buffer = noise(12, 28, 28), io.BytesIO()
    np.savez(buffer, x_train=images[:10], y_train=LABELS[:10], x_test=images[10:], y_test=LABELS[10:])
    sources = place(tmp_path / "data", mnist.KERAS_FILE, buffer.getvalue(), mnist.parse_keras)
    pixels, labels, _ = published.load_development(DataAccess(), sources)
    assert np.array_equal(pixels[..., 0], images[:10])
    assert labels.tolist() == LABELS[:10].tolist()
    assert len(published.load_test(access(tmp_path), sources)[0]) == 2


@pytest.mark.parametrize("module", [mnist, kmnist, cifar10])
def test_other_content_is_refused_by_checksum(tmp_path: Path, module: Any) -> None:
    for file_set in module.sources(tmp_path).file_sets[:1]:
        for name in file_set.names:
            (tmp_path / name).write_bytes(b"x")
    name = module.__name__.rpartition(".")[2]
    with pytest.raises(DataError, match=f"differs from the published file. Expected SHA-256 .*bench data fetch {name}"):
        catalog.locate(name, tmp_path).definition().development(DataAccess(data_dir=tmp_path))


@pytest.mark.parametrize("module", [mnist, kmnist, cifar10])
def test_checksums_are_complete(module: Any) -> None:
    for file_set in module.sources(None).file_sets:
        assert file_set.url.endswith("/")
        for checksum in file_set.files.values():
            assert len(bytes.fromhex(checksum)) == 32
