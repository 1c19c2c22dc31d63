"""Sample images of a dataset as figures."""

from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from bench.data import catalog
from bench.data.dataset import Dataset
from bench.data.development import load_development
from bench.errors import StoreError
from bench.report.figures.samples import write_samples
from image_files import noise, tiny_dataset


def tiny() -> Dataset:
    """Three color images with awkward class names."""
    names = ("costs $_ or ^$", "a name that is longer than the image is wide, by far")
    return tiny_dataset(images=noise(3, 4, 6, 3), labels=np.array([0, 1, 0]), class_names=names)


def test_three_figures_are_written(tmp_path: Path) -> None:
    paths = write_samples(load_development(catalog.locate("digits")), tmp_path / "new")
    assert [path.name for path in paths] == ["digits-first.png", "digits-classes.png", "digits-image.png"]
    for path in paths:
        height, width, _ = matplotlib.image.imread(path).shape
        assert min(height, width) > 300


def test_few_color_images_with_awkward_names(tmp_path: Path) -> None:
    assert len(write_samples(tiny(), tmp_path)) == 3


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("a file where the folder should be")
    with pytest.raises(StoreError, match="cannot write"):
        write_samples(tiny(), blocked)
