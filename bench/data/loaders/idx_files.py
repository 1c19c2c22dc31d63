"""Datasets in IDX files: `train-images-idx3-ubyte` and `train-labels-idx1-ubyte`, with or without test files."""

import re
from pathlib import Path

from bench.data.loaders import idx
from bench.data.loaders.bounded import open_binary
from bench.data.samples import Reading, Samples, as_images, as_labels, check_same_length
from bench.errors import DataError

NAME = re.compile(r"(?P<start>.*?)(?P<kind>images|labels)[-_.]idx(?P<rank>[134])[-_.]ubyte(?P<gz>\.gz)?", re.IGNORECASE)
EXPECTED = "expected pairs such as train-images-idx3-ubyte and train-labels-idx1-ubyte, gzipped or not"


def is_idx(path: Path) -> bool:
    """Whether a file has the name of an IDX file of images or labels."""
    return NAME.fullmatch(path.name) is not None


def read(images: Path, labels: Path, reading: Reading) -> Samples:
    """Read a file of images and a file of labels.

    Raises:
        DataError: one of them is damaged, or they do not fit.
    """
    pixels = as_images(idx.parse(_content(images), str(images)), str(images), reading.image_size)
    values = as_labels(idx.parse(_content(labels), str(labels)), str(labels))
    check_same_length(pixels, values, f"{images} and {labels.name}")
    return Samples(images=pixels, labels=values, where=str(images))


def pairs(paths: list[Path]) -> dict[str, tuple[Path, Path]]:
    """The files of images and labels, by what their names start with, such as "train-".

    Raises:
        DataError: a file has no partner, or there are two versions of it.
    """
    found: dict[str, dict[str, Path]] = {}
    for path in paths:
        match = NAME.fullmatch(path.name)
        if match is None:
            continue
        pair = found.setdefault(match["start"].lower(), {})
        kind = match["kind"].lower()
        if kind in pair:
            raise DataError(f"{path} and {pair[kind].name} are the same file: remove one")
        pair[kind] = path
    for pair in found.values():
        if len(pair) == 1:
            path = next(iter(pair.values()))
            other = "labels" if "images" in pair else "images"
            raise DataError(f"{path} has no file of {other} next to it: {EXPECTED}")
    return {start: (pair["images"], pair["labels"]) for start, pair in found.items()}


def pair_of(path: Path) -> tuple[Path, Path]:
    """The files of images and labels, one of which is `path`.

    Raises:
        DataError: there is no such pair.
    """
    try:
        siblings = sorted(path.parent.iterdir())
    except OSError as error:
        raise DataError(f"{path.parent} cannot be read: {error.strerror}") from error
    return next(pair for pair in pairs(siblings).values() if path in pair)


def _content(path: Path) -> bytes:
    with open_binary(path) as file:
        try:
            return file.read()
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
