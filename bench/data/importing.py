"""Import datasets of users: check files at a path, or arrays, split off a test set, and cache the result."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.data import cache, duplicates, splits
from bench.data.cache import ImportedPath
from bench.data.dataset import Dataset, Notify, quiet
from bench.data.imported import LICENSE
from bench.data.loaders import confined, formats
from bench.data.loaders.images import resize
from bench.data.loaders.npz import as_samples
from bench.data.samples import UNCHANGED, Reading, Samples, Source, blocks, class_names
from bench.errors import DataError
from bench.seeds import derive_seed

MIN_LARGEST_PIXEL = 32  # of all images of a part; if it is smaller, their range is not 0 to 255

Arrays = tuple[Any, Any]  # images and labels


def import_path(path: Path, reading: Reading, notify: Notify = quiet) -> str:
    """Read the files at `path`, unless they have not changed since the last time; returns the dataset's digest.

    Raises:
        DataError: the files are not a valid dataset, or changed while they were read.
    """
    fingerprint = _fingerprint(path)
    last = cache.remembered(path, reading)
    if last is not None and last.fingerprint == fingerprint and cache.metadata(last.digest) is not None:
        return last.digest
    notify(f"reading {path}")
    digest = _store(formats.read(path, reading, cache.allocate, notify), reading)
    if _fingerprint(path) != fingerprint:
        raise DataError(f"{path} changed while it was read: repeat the command when nothing writes to it")
    cache.remember(path, reading, ImportedPath(fingerprint=fingerprint, digest=digest))
    return digest


def _fingerprint(path: Path) -> str:
    return " ".join(map(confined.fingerprint, formats.files_of(path)))


def import_arrays(train: Arrays, test: Arrays | None = None, reading: Reading = UNCHANGED) -> str:
    """Check and store arrays; returns the dataset's digest.

    Args:
        train: development images (n, height, width) or (n, height, width, channels), and labels (n,).
        test: the same for the test set; None to split one off.
        reading: size and class names, if they are to be changed.

    Raises:
        DataError: an array is invalid.
    """
    return _store(
        Source(
            train=_samples(train, ("x_train", "y_train"), reading),
            test=None if test is None else _samples(test, ("x_test", "y_test"), reading),
        ),
        reading,
    )


def _samples(arrays: Arrays, names: tuple[str, str], reading: Reading) -> Samples:
    if not isinstance(arrays, Sequence) or len(arrays) != 2:
        raise DataError(f"expected a pair of arrays ({', '.join(names)}), got {type(arrays).__name__}")
    try:
        images, labels = (np.asarray(array) for array in arrays)
    except ValueError as error:
        raise DataError(f"{', '.join(names)}: {error}: expected arrays of images of one size, and of labels") from error
    return as_samples(images, labels, names, reading)


def _store(source: Source, reading: Reading) -> str:
    """Check the content of files, split off a test set if they have none, and store both parts."""
    names = class_names(source, reading.class_names)
    train, test = _resized(source.train, reading), None if source.test is None else _resized(source.test, reading)
    if test is None:
        development, held_out = splits.split_off_test_set(train.images, train.labels, names, train.where)
        test = train
    else:
        development, held_out = np.arange(len(train.labels)), np.arange(len(test.labels))
        _check_same_shape(train, test)
    if source.grouped or _is_grouped(train.labels[development]):
        development = np.random.default_rng(derive_seed(0, "order of imported images")).permutation(development)
    parts = _part(train, development, names), _part(test, held_out, names)
    splits.check_splittable(parts[0])
    for part in parts:
        _check_brightness(part)
    counts = duplicates.count(parts[0].images, parts[1].images)
    return cache.store(*parts, counts, own_test_set=source.test is not None)


def _is_grouped(labels: NDArray[np.int64]) -> bool:
    """Whether the class changes from one image to the next less than half as often as in random order."""
    shares = np.bincount(labels) / len(labels)
    return bool(np.count_nonzero(np.diff(labels)) < len(labels) * (1 - np.square(shares).sum()) / 2)


def _resized(samples: Samples, reading: Reading) -> Samples:
    """Samples of the size that the user asked for, in a temporary file as in `_selected`."""
    size = reading.image_size
    if size is None or samples.images.shape[1:3] == size:
        return samples
    images = cache.allocate((len(samples.images), *size, samples.images.shape[-1]))
    for block in blocks(images):
        images[block] = resize(samples.images[block], size)
    return replace(samples, images=images)


def _check_same_shape(train: Samples, test: Samples) -> None:
    if train.images.shape[1:] != test.images.shape[1:]:
        raise DataError(
            f"{train.where} has images of shape {train.images.shape[1:]}, {test.where} of {test.images.shape[1:]}: "
            "both must have the same shape; --image-size makes heights and widths equal"
        )


def _check_brightness(part: Dataset) -> None:
    """Refuse pixels in another range, such as 0 and 1, scikit-learn's digits from 0 to 16, or 12 of 16 bits."""
    largest = int(part.images.max())
    if largest < MIN_LARGEST_PIXEL:
        raise DataError(
            f"{part.source}: the largest pixel is {largest} of 255, so that models would see black images: rescale all "
            f"pixels, e.g. multiply them by {255 // max(1, largest)}"
        )


def _part(samples: Samples, indices: NDArray[np.int64], names: tuple[str, ...]) -> Dataset:
    everything = len(indices) == len(samples.labels) and bool((indices == np.arange(len(indices))).all())
    return Dataset(
        name=samples.where,
        title=samples.where,
        images=samples.images if everything else _selected(samples.images, indices),
        labels=samples.labels[indices],
        class_names=names,
        source=samples.where,
        license=LICENSE,
    )


def _selected(images: NDArray[np.uint8], indices: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The images at `indices`, in a temporary file, so that a large dataset does not fill the memory."""
    selected = cache.allocate((len(indices), *images.shape[1:]))
    for block in blocks(selected):
        selected[block] = images[indices[block]]
    return selected
