"""The digits dataset of scikit-learn."""

from pathlib import Path

import numpy as np

from bench.data import catalog
from bench.data.development import facts, load_development
from bench.data.sets.digits import scale
from held_out import open_test_set

DIGITS = catalog.locate("digits")


def test_sizes() -> None:
    sizes = facts(DIGITS, load_development(DIGITS))
    # 1,797 images, 360 of them held out; a sixth of 1,437, rounded down, is 239.
    assert (sizes.n_train, sizes.n_validation, sizes.n_test) == (1198, 239, 360)
    assert sizes.image_shape == (8, 8, 1)


def test_scale_rounds_half_up() -> None:
    # 8 * 255 / 16 = 127.5; 1 * 255 / 16 = 15.9.
    assert scale(np.array([0.0, 1.0, 8.0, 16.0])).tolist() == [0, 16, 128, 255]


def test_checksums_are_those_of_protocol_1(tmp_path: Path) -> None:
    # A change here makes older scores incomparable: raise bench.records.spec.PROTOCOL_VERSION with it.
    development = load_development(DIGITS)
    assert development.checksum == "3a17a94b7d3746f0d01e6de5e7315b29393bdfd84300ba2f69d0732858e22c6a"
    test = open_test_set("digits", tmp_path)
    assert test.checksum == "802e300c35a43e6109b9c30aa597632b8a6aa73b1dcd773c9791780a0678d5ea"
