"""Imported datasets: their names, and their definitions, whose loaders map cached arrays into memory."""

import re
from functools import partial
from pathlib import Path

from bench.data import cache
from bench.data.dataset import DataAccess, LabeledImages
from bench.data.definition import DatasetDefinition

LICENSE = "not stated"
# Suffixes that are no part of a dataset's name.
SUFFIXES = re.compile(r"(\.(npz|csv|gz)|[-_.]idx[134][-_.]ubyte)+$", re.IGNORECASE)


def name_of(path: Path) -> str:
    """The name of the dataset at `path`: that of the file or folder, with _ for all but letters, digits and _."""
    return re.sub(r"\W+", "_", SUFFIXES.sub("", path.name), flags=re.ASCII).strip("_") or "dataset"


def definition(digest: str, title: str, source: str) -> DatasetDefinition | None:
    """The definition of an imported dataset; None if it is not on this machine.

    Raises:
        DataError: the stored dataset is damaged.
    """
    metadata = cache.metadata(digest)
    if metadata is None:
        return None
    if not metadata.own_test_set:
        source = f"{source} (the test set is a fifth of its images, split off by this suite)"
    return DatasetDefinition(
        title=title,
        class_names=metadata.class_names,
        license=LICENSE,
        image_shape=metadata.image_shape,
        n_test=metadata.n_test,
        development=partial(_load, digest, "development", source),
        test=partial(_load, digest, "test", source),
        duplicates=metadata.duplicates,
        checksums=(metadata.checksum, metadata.test_checksum),
    )


def _load(digest: str, part: str, source: str, _access: DataAccess) -> LabeledImages:
    return *cache.images_and_labels(digest, part), source
