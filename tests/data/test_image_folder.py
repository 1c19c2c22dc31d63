"""Folders of images by class: layouts, and errors that name the file."""

import os
from pathlib import Path

import numpy as np
import pytest

from bench.data.dataset import quiet
from bench.data.loaders import image_folder
from bench.data.samples import UNCHANGED, Reading, Source
from bench.errors import DataError
from image_files import class_folders, noise, save


def zeros(shape: tuple[int, ...]) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    return np.zeros(shape, np.uint8)


def read(root: Path, reading: Reading = UNCHANGED) -> Source:
    return image_folder.read(root, reading, zeros, quiet)


def test_classes_are_the_folders_by_name(tmp_path: Path) -> None:
    source = read(class_folders(tmp_path, per_class=3, names=("b", "a")))
    assert source.class_names == ("a", "b")
    assert source.test is None
    assert source.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    # class_folders writes the position in `names` and the number of the image into the first pixels.
    assert source.train.images[:, 0, :2, 0].tolist() == [[1, 0], [1, 1], [1, 2], [0, 0], [0, 1], [0, 2]]
    assert source.train.images.shape == (6, 6, 6, 1)


def test_train_and_test_folders(tmp_path: Path) -> None:
    class_folders(tmp_path / "Train", per_class=3)
    class_folders(tmp_path / "test", per_class=2)
    source = read(tmp_path)
    assert source.test is not None
    assert (len(source.train.labels), len(source.test.labels)) == (6, 4)


def test_validation_images_become_development_images(tmp_path: Path) -> None:
    for name, count in (("train", 3), ("val", 1), ("test", 2)):
        class_folders(tmp_path / name, per_class=count)
    assert len(read(tmp_path).train.labels) == 8


def test_train_may_be_a_class(tmp_path: Path) -> None:
    assert read(class_folders(tmp_path, names=("bus", "train"))).class_names == ("bus", "train")


def test_one_color_image_makes_all_of_them_color(tmp_path: Path) -> None:
    save(class_folders(tmp_path) / "dog" / "color.png", noise(1, 6, 6, 3)[0])
    assert read(tmp_path).train.images.shape == (21, 6, 6, 3)


def test_mixed_formats(tmp_path: Path) -> None:
    save(class_folders(tmp_path) / "dog" / "x.JPG", noise(1)[0])
    assert len(read(tmp_path).train.labels) == 21


def test_files_of_operating_systems_are_skipped(tmp_path: Path) -> None:
    class_folders(tmp_path)
    for name in (".DS_Store", "Thumbs.db", ".hidden/a.txt", "cat/.DS_Store", "cat/desktop.ini", "__MACOSX/cat/a.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_bytes(b"x")
    assert read(tmp_path).class_names == ("cat", "dog")


def test_long_import_reports_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_folder, "NOTIFY_EVERY", 15)
    messages: list[str] = []
    image_folder.read(class_folders(tmp_path), UNCHANGED, zeros, messages.append)
    assert messages == [f"decoded 15 of 20 images in {tmp_path}"]


# Errors


def test_mixed_sizes_are_named(tmp_path: Path) -> None:
    save(class_folders(tmp_path) / "dog" / "large.png", noise(1, 8, 9)[0])
    with pytest.raises(DataError, match=r"large\.png has 8 x 9 pixels, but .*000\.png has 6 x 6: .*--image-size 64x64"):
        read(tmp_path)
    assert read(tmp_path, Reading(image_size=(4, 4))).train.images.shape == (21, 4, 4, 1)


def test_damaged_image_is_named(tmp_path: Path) -> None:
    (class_folders(tmp_path) / "dog" / "x.png").write_bytes(b"x")
    with pytest.raises(DataError, match=r"dog/x\.png cannot be read as an image"):
        read(tmp_path)


def test_other_file_is_named(tmp_path: Path) -> None:
    (class_folders(tmp_path) / "dog" / "notes.txt").write_text("x")
    with pytest.raises(DataError, match=r"dog/notes\.txt is not an image: remove it; expected \.png"):
        read(tmp_path)


def test_image_in_no_class_is_named(tmp_path: Path) -> None:
    save(class_folders(tmp_path) / "x.png", noise(1)[0])
    with pytest.raises(DataError, match=r"x\.png is in no class folder: move it to .*/CLASS/x\.png"):
        read(tmp_path)


def test_folder_in_a_class_is_named(tmp_path: Path) -> None:
    class_folders(tmp_path / "archive")
    class_folders(tmp_path / "other")
    with pytest.raises(DataError, match=r"archive contains the folder cat/: expected only images; pass .*/archive"):
        read(tmp_path)


def test_single_class_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has a single class, 'cat': at least two class folders"):
        read(class_folders(tmp_path, names=("cat",)))


def test_folder_without_classes_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no class folders: expected .*/CLASS/IMAGE"):
        read(tmp_path)


def test_empty_class_is_named(tmp_path: Path) -> None:
    (class_folders(tmp_path) / "eel").mkdir()
    with pytest.raises(DataError, match="eel contains no images: add some, or remove the folder"):
        read(tmp_path)


@pytest.mark.parametrize(("extra", "there", "missing"), [("train", "train", "test"), ("test", "test", "train")])
def test_class_in_one_part_only_is_named(tmp_path: Path, extra: str, there: str, missing: str) -> None:
    for name in ("train", "test"):
        class_folders(tmp_path / name)
    save(tmp_path / extra / "eel" / "x.png", noise(1)[0])
    with pytest.raises(DataError, match=f"class 'eel' is in {there}/ but not in {missing}/"):
        read(tmp_path)


def test_validation_folder_without_test_folder_is_explained(tmp_path: Path) -> None:
    for name in ("train", "val"):
        class_folders(tmp_path / name)
    with pytest.raises(
        DataError, match=r"no test/: rename val/ to test/ \(this suite makes its own validation split\)"
    ):
        read(tmp_path)


def test_other_folder_next_to_train_is_named(tmp_path: Path) -> None:
    for name in ("train", "test", "extra"):
        class_folders(tmp_path / name)
    with pytest.raises(DataError, match="has the folder extra/ next to train/: expected only train/, val/ and test/"):
        read(tmp_path)


def test_test_images_without_labels_are_explained(tmp_path: Path) -> None:
    class_folders(tmp_path / "train")
    (tmp_path / "test").mkdir()
    with pytest.raises(
        DataError, match=r"test/ has no class folders.*pass the path .*/train: a test set is then split"
    ):
        read(tmp_path)


def test_too_many_pixels_are_refused_before_anything_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_folder, "MAX_BYTES", 700)
    with pytest.raises(DataError, match=r"20 images of 6 x 6 pixels take .* GiB \(at most .*--image-size 64x64"):
        read(class_folders(tmp_path))  # 20 * 36 = 720 bytes


# Links


def outside(tmp_path: Path) -> Path:
    return save(tmp_path / "outside" / "x.png", noise(1)[0])


@pytest.mark.parametrize("link", ["cat/x.png", "eel"])
def test_link_that_leaves_the_folder_is_refused(tmp_path: Path, link: str) -> None:
    target = outside(tmp_path)
    root = class_folders(tmp_path / "root")
    (root / link).symlink_to(target if link.endswith(".png") else target.parent)
    with pytest.raises(DataError, match=f"{link} is a link that leaves the folder .*root: copy the file"):
        read(root)


def test_relative_link_that_leaves_the_folder_is_refused(tmp_path: Path) -> None:
    outside(tmp_path)
    root = class_folders(tmp_path / "root")
    (root / "cat" / "x.png").symlink_to(Path("../../outside/x.png"))
    with pytest.raises(DataError, match="leaves the folder"):
        read(root)


def test_name_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "root")
    (root / "cat" / os.fsdecode(b"caf\xe9.png")).write_bytes(b"")
    with pytest.raises(DataError, match=r"cat contains b'caf\\xe9\.png', a name that is not UTF-8: rename it"):
        read(root)


def test_link_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "root")
    (root / "cat" / "x.png").symlink_to(root / "gone.png")
    with pytest.raises(DataError, match=r"x\.png is a link that leads nowhere"):
        read(root)


def test_link_inside_the_folder_is_followed(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "root")
    (root / "cat" / "x.png").symlink_to(root / "dog" / "000.png")
    assert len(read(root).train.labels) == 21


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    class_folders(tmp_path / "root")
    (tmp_path / "link").symlink_to(tmp_path / "root")
    assert len(read(tmp_path / "link").train.labels) == 20
