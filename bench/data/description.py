"""The description of a dataset that `bench data describe` prints: facts, and images per class."""

from dataclasses import dataclass

import numpy as np
from tabulate import tabulate

from bench.data.catalog import DatasetLocation
from bench.data.dataset import Dataset
from bench.data.duplicates import first_copies_in
from bench.data.splits import split
from bench.records.dataset import DuplicateCounts


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassCount:
    """Number of development images of one class."""

    label: int
    name: str
    images: int  # train + validation
    train: int
    validation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """Facts about the development images, and the stated size of the test set."""

    name: str
    title: str
    images: int
    image_shape: tuple[int, int, int]  # height, width, channels
    dtype: str
    smallest_pixel: int
    largest_pixel: int
    mean_pixel: float
    n_train: int
    n_validation: int
    n_test: int
    development_duplicates: int  # development images that equal an earlier one
    duplicates: DuplicateCounts | None  # None if those of the test set are not known without opening it
    classes: tuple[ClassCount, ...]  # by label
    source: str
    checksum: str
    license: str

    def text(self) -> str:
        """Two plain-text tables: facts, and images per class."""
        duplicates = f"{self.development_duplicates:,} inside the development images; not counted in the test set"
        if self.duplicates is not None:
            duplicates = self.duplicates.text
        facts = (
            ("development", f"{self.images:,} images, {' x '.join(map(str, self.image_shape))} {self.dtype}"),
            ("split", f"{self.n_train:,} train, {self.n_validation:,} validation, stratified by class"),
            ("test", f"{self.n_test:,} images, held out: read only to evaluate refits"),
            ("exact duplicates", duplicates),
            ("pixels", f"{self.smallest_pixel} to {self.largest_pixel}, mean {self.mean_pixel:.4f}"),
            ("source", self.source),
            ("SHA-256", self.checksum),
            ("license", self.license),
        )
        counts = tabulate(
            [(row.label, row.name, row.images, row.train, row.validation) for row in self.classes],
            headers=("label", "class", "images", "train", "validation"),
            tablefmt="simple",
            intfmt=",",
            disable_numparse=[1],
        )
        return f"{self.title}\n\n{tabulate(facts, tablefmt='plain', disable_numparse=True)}\n\n{counts}"


def describe(location: DatasetLocation, dataset: Dataset) -> Description:
    """Describe the development images `dataset`, loaded from `location`.

    Raises:
        DataError: a class has too few images to be split.
    """
    parts = split(dataset)
    definition = location.definition()
    copies = first_copies_in(dataset)
    counts = (np.bincount(dataset.labels[part], minlength=len(dataset.class_names)).tolist() for part in parts)
    return Description(
        name=dataset.name,
        title=dataset.title,
        images=len(dataset),
        image_shape=dataset.image_shape,
        dtype=str(dataset.images.dtype),
        smallest_pixel=int(dataset.images.min()),
        largest_pixel=int(dataset.images.max()),
        mean_pixel=float(dataset.images.mean(dtype=np.float64)),
        n_train=len(parts[0]),
        n_validation=len(parts[1]),
        n_test=definition.n_test,
        development_duplicates=int((copies != np.arange(len(dataset))).sum()),
        duplicates=definition.duplicates,
        classes=tuple(
            ClassCount(label=label, name=name, images=train + validation, train=train, validation=validation)
            for label, (name, train, validation) in enumerate(zip(dataset.class_names, *counts, strict=True))
        ),
        source=dataset.source,
        checksum=dataset.checksum,
        license=dataset.license,
    )
