"""Datasets given by path or as arrays: names, checksums, the cache, and what is refused."""

import gzip
import json
import os
import pickle
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.data import cache, catalog, samples
from bench.data.catalog import DatasetLocation
from bench.data.dataset import Dataset
from bench.data.development import facts, load_development
from bench.data.held_out import HeldOutTestSet
from bench.data.samples import Reading
from bench.errors import DataError, SpecError
from bench.records.dataset import DuplicateCounts
from bench.records.evaluation_log import EvaluationLog
from image_files import class_folders, csv_rows, idx_bytes, noise, save, write_csv


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return class_folders(tmp_path / "my photos")


def locate(path: Path, **reading: Any) -> DatasetLocation:
    return catalog.locate(str(path), reading=Reading(**reading))


def open_test(location: DatasetLocation, tmp_path: Path) -> Dataset:
    return HeldOutTestSet(location, "a-run", EvaluationLog(tmp_path / "results", location.name)).open()


# Every format


def test_folder_is_split_into_development_images_and_a_test_set(photos: Path, tmp_path: Path) -> None:
    location = locate(photos)
    development, test = load_development(location), open_test(location, tmp_path)
    assert (development.name, development.title, development.class_names) == ("my_photos", "my photos", ("cat", "dog"))
    assert (len(development), len(test)) == (16, 4)
    assert np.bincount(test.labels).tolist() == [2, 2]
    assert not {image.tobytes() for image in test.images} & {image.tobytes() for image in development.images}
    for part in (development, test):  # class_folders writes the class into the first pixel
        assert part.images[:, 0, 0, 0].tolist() == part.labels.tolist()
    assert "split off by this suite" in development.source


def test_development_images_of_a_folder_are_not_in_the_order_of_their_classes(photos: Path) -> None:
    labels = load_development(locate(photos)).labels
    assert labels.tolist() != sorted(labels)


@pytest.mark.parametrize("y", [np.arange(30) // 15, 1 - np.arange(30) // 15, np.tile(np.arange(15) // 8, 2)])
def test_images_in_the_order_of_their_classes_are_shuffled_whatever_their_format(tmp_path: Path, y: Any) -> None:
    x = noise(30, 4, 4)
    np.savez(tmp_path / "a.npz", x_train=x, y_train=y, x_test=x[:15], y_test=y[10:25])
    for location in (locate(tmp_path / "a.npz"), catalog.from_arrays((x, y), (x[:15], y[10:25]))):
        development = load_development(location)
        assert development.labels.tolist() != y.tolist()
        where = [x.tolist().index(image.tolist()) for image in development.images[..., 0]]
        assert y[where].tolist() == development.labels.tolist()
        assert np.array_equal(open_test(location, tmp_path).images[..., 0], x[:15])


def test_given_test_set_is_kept(tmp_path: Path) -> None:
    class_folders(tmp_path / "data" / "train", per_class=8)
    class_folders(tmp_path / "data" / "test", per_class=3, seed=5)
    location = locate(tmp_path / "data")
    assert (len(load_development(location)), len(open_test(location, tmp_path))) == (16, 6)
    assert facts(location, load_development(location)).n_test == 6


def test_npz(tmp_path: Path) -> None:
    x, y = noise(30, 4, 4), np.arange(30) % 2
    np.savez(tmp_path / "a.npz", x_train=x[:20], y_train=y[:20], x_test=x[20:], y_test=y[20:])
    location = locate(tmp_path / "a.npz")
    assert location.name == "a"
    assert np.array_equal(load_development(location).images[..., 0], x[:20])
    assert np.array_equal(open_test(location, tmp_path).images[..., 0], x[20:])


def test_one_csv_file(tmp_path: Path) -> None:
    location = locate(write_csv(tmp_path / "digits-2.csv", csv_rows(30)))
    assert (location.name, len(load_development(location))) == ("digits_2", 24)
    assert load_development(location).class_names == ("0", "1")


@pytest.mark.parametrize("name", ["fashion-mnist_{}.csv", "{}_latest.csv"])
def test_two_csv_files(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "two"
    folder.mkdir()
    write_csv(folder / name.format("train"), csv_rows(30))
    (folder / f"{name.format('test')}.gz").write_bytes(gzip.compress("\n".join(csv_rows(10)).encode()))
    location = locate(folder)
    assert (len(load_development(location)), len(open_test(location, tmp_path))) == (30, 10)


def test_labeled_one_of_two_csv_files_can_be_used_alone(tmp_path: Path) -> None:
    train = write_csv(tmp_path / "train.csv", csv_rows(30))
    write_csv(tmp_path / "test.csv", ["1,2,3,4"], "pixel1,pixel2,pixel3,pixel4")
    with pytest.raises(DataError, match=r"test\.csv, line 1: no column `label`.*pass the path of their file"):
        locate(tmp_path)
    location = locate(train)
    assert (len(load_development(location)), len(open_test(location, tmp_path))) == (24, 6)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_folder_and_idx_file(tmp_path: Path, suffix: str) -> None:
    folder = tmp_path / "idx"
    folder.mkdir()
    x, y = noise(30, 4, 4), (np.arange(30) % 2).astype(np.uint8)
    for part, chosen in (("train", slice(0, 20)), ("t10k", slice(20, 30))):
        for kind, values in (("images-idx3", x), ("labels-idx1", y)):
            content = idx_bytes(values[chosen])
            file = folder / f"{part}-{kind}-ubyte{suffix}"
            file.write_bytes(gzip.compress(content) if suffix else content)
    location = locate(folder)
    assert (len(load_development(location)), len(open_test(location, tmp_path))) == (20, 10)
    one = locate(folder / f"train-images-idx3-ubyte{suffix}")
    assert (one.name, len(load_development(one))) == ("train_images", 16)


def test_single_npz_file_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    np.savez(tmp_path / "folder" / "a.npz", x=noise(20, 4, 4), y=np.arange(20) % 2)
    assert locate(tmp_path / "folder").name == "folder"


@pytest.mark.parametrize("as_float", [False, True])
def test_arrays(tmp_path: Path, as_float: bool) -> None:
    x, y = noise(30, 4, 4, 3), np.arange(30) % 2
    pixels: Any = x / 255 if as_float else x
    location = catalog.from_arrays((pixels[:20], y[:20]), (pixels[20:], y[20:].tolist()), name="mine")
    assert np.array_equal(load_development(location).images, x[:20])
    assert np.array_equal(open_test(location, tmp_path).images, x[20:])
    assert load_development(location).name == "mine"


def test_arrays_without_a_test_set() -> None:
    location = catalog.from_arrays((noise(30, 4, 4), np.arange(30) % 2))
    assert (location.name, facts(location, load_development(location)).n_test) == ("arrays", 6)


# Options


def test_image_size(tmp_path: Path) -> None:
    location = locate(class_folders(tmp_path / "a"), image_size=(3, 5))
    assert load_development(location).image_shape == (3, 5, 1)
    np.savez(tmp_path / "a.npz", x=noise(20, 8, 8, 3), y=np.arange(20) % 2)
    assert load_development(locate(tmp_path / "a.npz", image_size=(3, 5))).image_shape == (3, 5, 3)


def test_image_size_for_which_there_is_no_space_is_refused() -> None:
    with pytest.raises(DataError, match=r"cannot write decoded images to .*: No space left on device\. Free up space"):
        catalog.from_arrays((noise(30, 4, 4), np.arange(30) % 2), reading=Reading(image_size=(10**6, 10**6)))


def test_images_are_copied_and_resized_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = noise(30, 8, 8, 3), np.arange(30) % 2
    whole = load_development(catalog.from_arrays((x, y), reading=Reading(image_size=(3, 5))))
    shutil.rmtree(cache.folder())
    monkeypatch.setattr(samples, "BLOCK_BYTES", 100)  # two images of 45 bytes
    assert load_development(catalog.from_arrays((x, y), reading=Reading(image_size=(3, 5)))).checksum == whole.checksum


def test_class_names_by_option_and_by_file(photos: Path, tmp_path: Path) -> None:
    assert load_development(locate(photos, class_names=("a", "b"))).class_names == ("a", "b")
    folder = tmp_path / "csv"
    folder.mkdir()
    write_csv(folder / "a.csv", csv_rows(30))
    (folder / "class_names.txt").write_text("zero\n one \n\n")
    assert load_development(locate(folder)).class_names == ("zero", "one")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("a", "b", "c"), r"no image has label 2 \(c\), labels must be 0 to 2"),
        (("a",), "has 2 classes, but 1 class names were given: a"),
        (("a", "a"), "class names must be distinct and not empty, got 'a', 'a'"),
        (("a", ""), "class names must be distinct and not empty"),
    ],
)
def test_class_names_that_do_not_fit_are_refused(photos: Path, names: tuple[str, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        locate(photos, class_names=names)


@pytest.mark.parametrize("dataset", ["digits", "shades.py"])
def test_options_are_refused_for_other_datasets(dataset: str) -> None:
    with pytest.raises(SpecError, match="--image-size and --class-names are for images given by path"):
        catalog.locate(dataset, reading=Reading(image_size=(8, 8)))


# Names


def test_relative_path_and_link_name_the_dataset(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert catalog.locate("my photos").name == "my_photos"
    assert catalog.locate("my photos/../my photos/").path == photos
    (tmp_path / "link").symlink_to(photos)
    assert catalog.locate("link").name == "link"
    monkeypatch.chdir(photos)
    assert catalog.locate(".").name == "my_photos"


def test_name_of_a_built_in_dataset_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = class_folders(tmp_path / "digits")
    assert locate(folder).name == "digits_files"
    monkeypatch.chdir(tmp_path)
    assert catalog.locate("digits").path is None  # the built-in one
    assert catalog.locate("./digits").path == folder


def test_name_without_letters(tmp_path: Path) -> None:
    assert locate(class_folders(tmp_path / "写真")).name == "dataset"


def test_name_of_reads_nothing(photos: Path) -> None:
    assert catalog.name_of(str(photos)) == "my_photos"
    assert catalog.name_of("digits") == "digits"
    assert catalog.name_of("anything") == "anything"
    assert not cache.folder().exists()


@pytest.mark.parametrize("name", ["digits", "a-b", ""])
def test_arrays_with_an_invalid_name_are_refused(name: str) -> None:
    with pytest.raises(SpecError, match="name must consist of letters, digits and _"):
        catalog.from_arrays((noise(30, 4, 4), np.arange(30) % 2), name=name)


# Checksums and the cache


def test_same_content_is_the_same_dataset_in_every_format(tmp_path: Path) -> None:
    x, y = noise(30, 4, 4), np.arange(30) % 2
    np.savez(tmp_path / "a.npz", x=x, y=y)
    write_csv(
        tmp_path / "b.csv",
        [f"{label}," + ",".join(map(str, image.ravel())) for image, label in zip(x, y, strict=True)],
        None,
    )
    digests = {locate(tmp_path / "a.npz").digest, locate(tmp_path / "b.csv").digest, catalog.from_arrays((x, y)).digest}
    assert len(digests) == 1
    assert len([entry for entry in cache.folder().iterdir() if entry.name != "paths"]) == 1


def test_changed_content_under_the_same_name_is_another_dataset(photos: Path) -> None:
    before = locate(photos)
    save(photos / "cat" / "000.png", noise(1, seed=99)[0])
    after = locate(photos)
    assert (before.name, before.path) == (after.name, after.path)
    assert before.digest != after.digest
    assert load_development(before).checksum != load_development(after).checksum  # both can be used


@pytest.mark.parametrize("reading", [{"class_names": ("a", "b")}, {"image_size": (4, 4)}])
def test_another_reading_is_another_dataset(photos: Path, reading: dict[str, Any]) -> None:
    assert locate(photos).digest != locate(photos, **reading).digest


def test_unchanged_files_are_not_read_again(photos: Path) -> None:
    messages: list[str] = []
    first = catalog.locate(str(photos), notify=messages.append)
    assert messages == [f"reading {photos}"]
    assert catalog.locate(str(photos), notify=messages.append) == first
    assert len(messages) == 1


@pytest.mark.parametrize("change", ["add", "remove", "rename", "rewrite", "touch"])
def test_change_is_noticed(photos: Path, change: str) -> None:
    before = locate(photos)
    file = photos / "cat" / "003.png"
    content = file.read_bytes()
    if change == "add":
        save(photos / "cat" / "new.png", noise(1, seed=50)[0])
    elif change == "remove":
        file.unlink()
    elif change == "rename":
        file.rename(photos / "dog" / "moved.png")
    elif change == "rewrite":
        status = file.stat()
        changed = save(photos.parent / "other.png", np.zeros((6, 6), np.uint8)).read_bytes()
        file.write_bytes(changed[: len(content)].ljust(len(content), b"\0"))
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))  # only the change time tells
    messages: list[str] = []
    if change == "touch":
        file.touch()
    after = catalog.locate(str(photos), notify=messages.append)
    assert messages == [f"reading {photos}"]
    assert (before.digest == after.digest) == (change == "touch")


def test_images_are_memory_mapped(photos: Path) -> None:
    images = load_development(locate(photos)).images
    assert isinstance(images, np.memmap)
    assert not images.flags.writeable


def test_another_process_loads_the_same_images(photos: Path, tmp_path: Path) -> None:
    location = locate(photos)
    test_set = HeldOutTestSet(location, "a-run", EvaluationLog(tmp_path / "results", location.name))
    shutil.rmtree(photos)  # the cache is enough
    code = (
        "import pickle, sys; from bench.data.development import load_development; "
        "location, test_set = pickle.load(sys.stdin.buffer); print(load_development(location).checksum); "
        "print(len(test_set.open()), 'pandas' in sys.modules)"
    )
    content = pickle.dumps((location, test_set))
    done = subprocess.run([sys.executable, "-c", code], input=content, capture_output=True, check=True, cwd="/")
    assert done.stdout.decode().splitlines() == [load_development(location).checksum, "4 False"]


def test_deleted_cache_is_made_again_from_the_files(photos: Path) -> None:
    location = locate(photos)
    checksum = load_development(location).checksum
    shutil.rmtree(cache.folder())
    assert load_development(location).checksum == checksum


def test_deleted_cache_and_changed_files_are_an_error(photos: Path) -> None:
    location = locate(photos)
    shutil.rmtree(cache.folder())
    save(photos / "cat" / "new.png", noise(1, seed=50)[0])
    with pytest.raises(DataError, match="has changed since the run was started: restore it, or start a new run"):
        load_development(location)


def test_deleted_cache_of_arrays_is_an_error() -> None:
    location = catalog.from_arrays((noise(30, 4, 4), np.arange(30) % 2))
    shutil.rmtree(cache.folder())
    with pytest.raises(DataError, match=r"dataset 'arrays' is not on this machine: .*repeat the command"):
        load_development(location)


def test_damaged_cache_is_named(photos: Path) -> None:
    location = locate(photos)
    file = cache.folder() / str(location.digest) / "development-images.npy"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"have checksum .*, expected one of"):
        load_development(location)
    file.write_bytes(content[:100])
    with pytest.raises(DataError, match=r"is damaged: .* Delete the folder"):
        load_development(location)


def test_changed_metadata_is_named(photos: Path) -> None:
    location = locate(photos)
    file = cache.folder() / str(location.digest) / "dataset.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"n_test": 5}))
    with pytest.raises(DataError, match=r"dataset\.json was changed\. Delete the folder"):
        location.definition()


def test_damaged_note_on_a_path_only_costs_time(photos: Path) -> None:
    location = locate(photos)
    (note,) = (cache.folder() / "paths").iterdir()
    note.write_text("{")
    assert locate(photos) == location


def test_cache_that_cannot_be_written_is_named(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(DataError, match=r"cannot write decoded images to .*XDG_CACHE_HOME"):
        locate(photos)


def test_interrupted_import_leaves_nothing_behind(photos: Path) -> None:
    (photos / "dog" / "zzz.png").write_bytes(b"x")
    with pytest.raises(DataError, match="cannot be read as an image"):
        locate(photos)
    assert not cache.folder().exists() or not any(cache.folder().iterdir())


def test_import_that_ends_at_the_same_time_is_no_error(photos: Path) -> None:
    cache.folder().mkdir(parents=True)
    (cache.folder() / ".import-gone").symlink_to("nowhere")  # as its folder would be, listed and then removed
    assert len(load_development(locate(photos))) == 16


# Duplicates


def test_duplicates_are_counted(tmp_path: Path) -> None:
    x, y = noise(40, 4, 4), np.arange(40) % 2
    location = catalog.from_arrays(
        (np.concatenate([x[:20], x[:2]]), np.concatenate([y[:20], y[:2]])),
        (np.concatenate([x[20:], x[20:21], x[:1]]), np.concatenate([y[20:], y[20:21], y[:1]])),
    )
    counts = DuplicateCounts(development=2, test=1, shared=1)
    assert location.definition().duplicates == counts
    assert facts(location, load_development(location)).duplicates == counts


def test_duplicates_of_a_folder_stay_on_one_side(photos: Path, tmp_path: Path) -> None:
    for file in sorted((photos / "cat").iterdir()):
        shutil.copy(file, file.with_name(f"copy-{file.name}"))
    location = locate(photos)
    counts = location.definition().duplicates
    assert counts is not None
    assert counts.shared == 0
    assert counts.development + counts.test == 10


# Errors


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            [0] * 30,
            "has a single class, '0': at least two are needed: check the labels, or add images of another class",
        ),
        ([1, 2] * 15, "no image has label 0, labels must be 0 to 2 without gaps: labels start at 0, subtract 1"),
        (
            [0, 2] * 15,
            "no image has label 1, labels must be 0 to 2 without gaps: add images .*, or renumber the labels",
        ),
        ([0, 10**12] * 15, "label 1000000000000, but there are 30 images"),
        ([0, 1, -1] * 10, "label -1: labels must be 0 or larger"),
        ([0] * 26 + [1] * 4, "class '1' has 4 distinct images, at least 5 are needed to split off a test set"),
        ([0, 1, 2, 3, 4, 5] * 5, "24 distinct development images, at least 36 are needed for one validation image"),
    ],
)
def test_invalid_labels_are_named(labels: list[int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        catalog.from_arrays((noise(30, 4, 4), np.array(labels)))


def test_class_with_one_development_image_is_named() -> None:
    labels = np.array([0] * 29 + [1])
    with pytest.raises(DataError, match="class '1' has 1 distinct image, at least 2 are needed"):
        catalog.from_arrays((noise(30, 4, 4), labels), (noise(4, 4, 4), np.array([0, 1, 0, 1])))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 0, 0, 0], "x_test: no image has label 1, labels must be 0 to 1 without gaps: add images with this label$"),
        (
            [0, 1, 2, 0],
            "x_test: label 2, but the training labels are 0 to 1: remove the images with this label, or add",
        ),
        ([0, 1, 10**10, 0], "x_test: label 10000000000, but the training labels are 0 to 1: "),
    ],
)
def test_test_set_with_other_classes_is_refused(labels: list[int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        catalog.from_arrays((noise(30, 4, 4), np.arange(30) % 2), (noise(4, 4, 4), np.array(labels)))


def test_test_set_of_another_size_is_refused() -> None:
    y = np.arange(30) % 2
    with pytest.raises(DataError, match=r"x_train has images of shape \(4, 4, 1\), x_test of \(5, 4, 1\)"):
        catalog.from_arrays((noise(30, 4, 4), y), (noise(30, 5, 4), y))


def test_class_names_in_another_order_than_the_folders_are_refused(photos: Path) -> None:
    with pytest.raises(DataError, match=r"classes are cat, dog, .* but --class-names is dog, cat: remove it, or"):
        locate(photos, class_names=("dog", "cat"))
    assert locate(photos, class_names=("cat", "hound")).definition().class_names == ("cat", "hound")


def test_pixels_in_another_range_are_refused(tmp_path: Path) -> None:
    x, y = noise(30, 4, 4), np.arange(30) % 2
    digits = x // 16 + 1.0  # from 0 to 16, as scikit-learn's
    with pytest.raises(DataError, match=r"x_train: the largest pixel is 16 of 255, .*: rescale .* multiply them by 15"):
        catalog.from_arrays((digits, y))
    with pytest.raises(DataError, match="x_test: the largest pixel is 16 of 255"):
        catalog.from_arrays((digits / 16, y), (digits, y))
    assert load_development(catalog.from_arrays((digits / 16, y), (digits / 16, y))).images.max() == 255
    np.savez(tmp_path / "a.npz", x=x % 2, y=y)
    with pytest.raises(DataError, match=r"a\.npz: x: the largest pixel is 1 of 255, .* multiply them by 255"):
        locate(tmp_path / "a.npz")


def test_images_of_several_sizes_are_no_array() -> None:
    with pytest.raises(DataError, match=r"x_train, y_train: .*: expected arrays of images of one size, and of labels"):
        catalog.from_arrays(([noise(1)[0], noise(1, 3, 3)[0]], [0, 1]))


def test_pair_of_arrays_is_required() -> None:
    with pytest.raises(DataError, match=r"expected a pair of arrays \(x_train, y_train\), got ndarray"):
        catalog.from_arrays(noise(30, 4, 4))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["notes.txt", "a.pkl", "a.npy", "a.zip"])
def test_other_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(DataError, match=f"{name} is not a dataset: expected a folder .*npz file, CSV .* IDX"):
        locate(tmp_path / name)


def test_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"contains no dataset \(it is empty\): expected a folder"):
        locate(tmp_path / "empty")


def test_folder_of_two_formats_is_refused(photos: Path) -> None:
    write_csv(photos / "a.csv", csv_rows())
    with pytest.raises(DataError, match="contains CSV files and folders or images: expected a folder"):
        locate(photos)


@pytest.mark.parametrize(
    "names",
    [
        ("a.csv", "b.csv"),
        ("train.csv", "latest.csv"),
        ("train_test.csv", "test.csv"),
        ("a.csv", "b.csv", "test.csv"),
    ],
)
def test_csv_files_without_clear_parts_are_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    (tmp_path / "csv").mkdir()
    for name in names:
        write_csv(tmp_path / "csv" / name, csv_rows())
    with pytest.raises(DataError, match=r"contains [23] CSV files.*expected one, or two"):
        locate(tmp_path / "csv")


def test_two_npz_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "two").mkdir()
    for name in ("a", "b"):
        np.savez(tmp_path / "two" / name, x=noise(20, 4, 4), y=np.arange(20) % 2)
    with pytest.raises(DataError, match=r"contains 2 \.npz files: expected one"):
        locate(tmp_path / "two")


def test_folder_that_changes_while_it_is_read_is_refused(photos: Path) -> None:
    def change(_: str) -> None:
        save(photos / "cat" / "new.png", noise(1, seed=50)[0])

    with pytest.raises(DataError, match="changed while it was read: repeat the command when nothing writes to it"):
        catalog.locate(str(photos), notify=change)


def test_location_of_a_worker_has_no_files(photos: Path) -> None:
    location = replace(locate(photos), path=Path("/nowhere/photos"))
    assert len(load_development(location)) == 16
