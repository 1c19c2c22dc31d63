"""Values of options that several commands share."""

import pytest
import typer

from bench.cli.values import parse_duration, parse_image_size
from bench.errors import SpecError, check_name


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("1h30m", 5400), ("1h1m1s", 3661), (" 2h ", 7200)]
)
def test_durations_are_read_in_seconds(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "90", "0s", "m", "1.5h", "1m1h", "-1s", "10 m"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="expected a positive duration such as 90s, 10m or 1h30m"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["32x48", "32X48", "32,48", "32 48", " 32 x 48 ", "32*48"])
def test_image_sizes_are_height_and_width(text: str) -> None:
    assert parse_image_size(text) == (32, 48)


def test_single_number_is_a_square() -> None:
    assert parse_image_size("64") == (64, 64)


@pytest.mark.parametrize("text", ["", "x", "32x", "0x5", "32x5000", "-3x3", "3.5x3", "1x2x3"])
def test_other_image_sizes_are_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="expected height and width from 1 to 4096, such as 32x32"):
        parse_image_size(text)


def test_unknown_name_is_refused_with_the_nearest_match() -> None:
    with pytest.raises(SpecError, match=r"unknown family 'Cn-n': valid names are cnn, dense\. Did you mean cnn\?"):
        check_name("family", "Cn-n", ("cnn", "dense"))
    with pytest.raises(SpecError, match=r"valid names are cnn, dense$"):
        check_name("family", "transformer", ("cnn", "dense"))
