"""What is told of a dataset before training."""

import json

from bench.data.description import describe
from bench.data.development import development


def test_numbers_of_digits() -> None:
    found = describe(development("digits"))
    assert (found.images, found.n_train, found.n_validation, found.n_test) == (1437, 1198, 239, 360)
    assert (found.smallest_pixel, found.largest_pixel, found.dtype) == (0, 255, "uint8")
    assert sum(row.images for row in found.classes) == 1437
    assert all(row.images == row.train + row.validation for row in found.classes)


def test_text_shows_every_fact() -> None:
    dataset = development("digits")
    text = describe(dataset).text()
    for expected in ("8 x 8 x 1 uint8", "1,198 train, 239 validation", "360, sealed", "0 to 255", dataset.checksum):
        assert expected in text
    assert dataset.source in text
    assert dataset.licence in text


def test_mapping_is_fit_for_json() -> None:
    mapping = describe(development("digits")).mapping()
    assert json.loads(json.dumps(mapping))["classes"][3]["name"] == "3"
