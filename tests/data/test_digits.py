"""The digits that scikit-learn ships."""

import numpy as np

from bench.data.development import development, facts
from bench.data.held_out import sealed_test
from bench.data.sets.digits import scale


def test_sizes() -> None:
    found = facts(development("digits"))
    # 1,797 images, 360 of them sealed; a sixth of 1,437, rounded down, is 239.
    assert (found.n_train, found.n_validation, found.n_test) == (1198, 239, 360)
    assert found.image_shape == (8, 8, 1)


def test_scale_rounds_half_up() -> None:
    # 8 * 255 / 16 = 127.5; 1 * 255 / 16 = 15.9.
    assert scale(np.array([0.0, 1.0, 8.0, 16.0])).tolist() == [0, 16, 128, 255]


def test_parts_are_those_of_protocol_1() -> None:
    # Other bytes here make older scores incomparable: raise bench.records.spec.PROTOCOL_VERSION with them.
    assert development("digits").checksum == "3a17a94b7d3746f0d01e6de5e7315b29393bdfd84300ba2f69d0732858e22c6a"
    assert sealed_test("digits").checksum == "802e300c35a43e6109b9c30aa597632b8a6aa73b1dcd773c9791780a0678d5ea"
