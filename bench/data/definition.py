"""The definition of a dataset: one object, in a file anywhere."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bench.data.dataset import DataAccess, Dataset, LabeledImages
from bench.data.held_out import TestSetAccess, check_access
from bench.errors import DataError
from bench.records.dataset import DuplicateCounts

DevelopmentLoader = Callable[[DataAccess], LabeledImages]
TestLoader = Callable[[TestSetAccess], LabeledImages]


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetDefinition:
    """A dataset: metadata known before its files are read, and the two functions that read them.

    Raises:
        DataError: a field is invalid.
    """

    title: str  # for readers, e.g. "My images"
    class_names: tuple[str, ...]  # two or more, in the order of the labels 0, 1, ...
    license: str  # of the images, e.g. "CC BY 4.0"
    image_shape: tuple[int, int, int]  # height, width, channels; the same for all images
    n_test: int  # images in the test set
    development: DevelopmentLoader  # all images except the test set
    test: TestLoader  # the held-out test set; rejects any argument but a TestSetAccess
    duplicates: DuplicateCounts | None = None  # None if they are not known without opening the test set
    checksums: tuple[str, str] | None = None  # expected of the development images and the test set; None for any

    def __post_init__(self) -> None:
        for name in ("title", "license"):
            self._check(name, _is_text(getattr(self, name)), "text")
        self._check("class_names", _are_class_names(self.class_names), "a tuple of at least two distinct strings")
        self._check(
            "image_shape", _is_image_shape(self.image_shape), "a tuple (height, width, channels), each 1 or more"
        )
        enough = _is_count(self.n_test) and self.n_test >= len(self.class_names)
        self._check("n_test", enough, f"a whole number, at least one image for each of {len(self.class_names)} classes")
        for name in ("development", "test"):
            self._check(name, callable(getattr(self, name)), "a function")
        load = self.test

        def guarded(access: TestSetAccess) -> LabeledImages:
            check_access(access)
            return load(access)

        object.__setattr__(self, "test", guarded)

    def _check(self, name: str, valid: bool, expected: str) -> None:
        if not valid:
            raise DataError(f"DatasetDefinition: {name} must be {expected}, got {getattr(self, name)!r}")

    def assemble(self, name: str, arrays: LabeledImages) -> Dataset:
        """Build the dataset `name` from what a loader returned.

        Raises:
            DataError: the loader returned invalid values.
        """
        kinds = (np.ndarray, np.ndarray, str)
        if not isinstance(arrays, tuple) or len(arrays) != 3 or not all(map(isinstance, arrays, kinds)):
            returned = [type(part).__name__ for part in arrays] if isinstance(arrays, tuple) else type(arrays).__name__
            raise DataError(
                f"{name}: a loader must return (images, labels, source): two arrays and a string, got {returned}"
            )
        images, labels, source = arrays
        dataset = Dataset(
            name=name,
            title=self.title,
            images=images,
            labels=labels,  # type: ignore[arg-type]  # Dataset converts any integers
            class_names=self.class_names,
            source=source,
            license=self.license,
        )
        if self.checksums is not None and dataset.checksum not in self.checksums:
            raise DataError(
                f"{name}: the data from {source} have checksum {dataset.checksum[:16]}, expected one of "
                f"{', '.join(checksum[:16] for checksum in self.checksums)}: restore them, or delete their copy in the "
                "cache"
            )
        if dataset.image_shape != self.image_shape:
            raise DataError(
                f"{name}: image_shape is {self.image_shape}, but the images from {source} are {dataset.image_shape}: "
                "correct image_shape or the loader"
            )
        return dataset


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _are_class_names(value: object) -> bool:
    return isinstance(value, tuple) and all(map(_is_text, value)) and len(set(value)) == len(value) >= 2


def _is_image_shape(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 3 and all(map(_is_count, value))
