"""Values of options that are more than a word or a number: durations and sizes."""

import re
from typing import NamedTuple

import typer

MAX_SIDE = 4_096  # of images after resizing, in pixels


def parse_duration(text: str) -> int:
    """Convert a duration such as 90s, 10m or 1h30m to seconds.

    Raises:
        BadParameter: `text` is not a duration, or is zero; Typer adds the name of the option.
    """
    match = re.fullmatch(r"(?:(\d{1,5})h)?(?:(\d{1,6})m)?(?:(\d{1,7})s)?", text.strip())
    hours, minutes, seconds = (int(part or 0) for part in match.groups()) if match else (0, 0, 0)
    if (total := 3600 * hours + 60 * minutes + seconds) == 0:
        raise typer.BadParameter(f"expected a positive duration such as 90s, 10m or 1h30m, got {text!r}.")
    return total


class Size(NamedTuple):
    """Of an image; Typer would read two words for a plain tuple."""

    height: int
    width: int


def parse_image_size(text: str) -> Size:
    """Convert a size such as 32x48, 32,48, "32 48" or 32 to height and width.

    Raises:
        BadParameter: `text` is not a size, or is out of range; Typer adds the name of the option.
    """
    match = re.fullmatch(r"(\d{1,5})(?:[x*, ]+(\d{1,5}))?", text.strip().lower())
    height, width = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE):
        raise typer.BadParameter(f"expected height and width from 1 to {MAX_SIDE}, such as 32x32, got {text!r}.")
    return Size(height, width)
