"""One image file of any common format, decoded by Pillow to 8 bits per channel."""

import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataError

if TYPE_CHECKING:
    from PIL import Image

# Only formats that Pillow decodes itself: others run external programs.
FORMATS = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg", ".jfif"),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".pgm", ".ppm"),
}
SUFFIXES = tuple(suffix for suffixes in FORMATS.values() for suffix in suffixes)
EXPECTED_FILES = f"expected {', '.join(SUFFIXES)}"
GRAY_MODES = ("1", "L", "LA")
UNSUPPORTED_MODES = ("I", "F")  # 32 bits per pixel, in no fixed range
MIDDLE = 127.5  # between black and white
ORIENTATION, SIDEWAYS = 0x0112, (5, 6, 7, 8)  # EXIF tag; the values that swap width and height
# What Pillow's decoders raise for damaged files.
DAMAGED = (
    AssertionError,
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    KeyError,
    IndexError,
    TypeError,
    OverflowError,
    struct.error,
    zlib.error,
)


@dataclass(frozen=True, slots=True)
class Header:
    """What an image file states before its pixels are decoded."""

    height: int
    width: int
    is_gray: bool


def read_header(path: Path) -> Header:
    """Read size and kind of an image.

    Raises:
        DataError: the file is not an image, has several frames, or has more pixels than Pillow's limit.
    """
    with _opened(path) as image:
        width, height = image.size
        if image.getexif().get(ORIENTATION) in SIDEWAYS:
            width, height = height, width
        return Header(height, width, image.mode in GRAY_MODES or image.mode.startswith("I;16"))


def read_image(
    path: Path, channels: int, size: tuple[int, int] | None = None, behind: str | None = "white"
) -> NDArray[np.uint8]:
    """Decode an image, upright, and resize it by bilinear interpolation.

    Args:
        path: the file.
        channels: 1 for grayscale, 3 for RGB; images of the other kind are converted.
        size: height and width of the result; None to keep the image's own.
        behind: color behind transparent pixels; None for white if the visible pixels are mostly dark, otherwise black.

    Returns:
        Pixels from 0 to 255, shape (height, width, channels).

    Raises:
        DataError: the file cannot be decoded, has several frames, or has more pixels than Pillow's limit.
    """
    from PIL import ImageOps

    with _opened(path) as image:
        upright = ImageOps.exif_transpose(image)
        return _pixels(_without_transparency(_in_8_bits(upright), behind), channels, size)


def to_pixels(image: NDArray[np.uint8], channels: int, behind: str | None = "white") -> NDArray[np.uint8]:
    """Convert an image (height, width, 1, 3 or 4), where 4 is RGBA, as `read_image` does."""
    from PIL import Image

    array = np.ascontiguousarray(image[..., 0] if image.shape[-1] == 1 else image)
    return _pixels(_without_transparency(Image.fromarray(array), behind), channels, None)


def resize(images: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize images (n, height, width, channels) by bilinear interpolation, each channel alone."""
    from PIL import Image

    resized = np.empty((len(images), *size, images.shape[-1]), np.uint8)
    for target, image in zip(resized, images, strict=True):
        for channel in range(image.shape[-1]):
            plane = Image.fromarray(np.ascontiguousarray(image[..., channel]))
            target[..., channel] = np.asarray(plane.resize((size[1], size[0]), Image.Resampling.BILINEAR))
    return resized


@contextmanager
def _opened(path: Path) -> "Iterator[Image.Image]":
    """An image file whose header has been read; any problem, also while it is decoded, becomes a DataError."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            # Pillow warns above its limit of pixels, and raises an error above twice the limit.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            warnings.simplefilter("ignore", UserWarning)  # of damaged metadata
            with Image.open(path, formats=tuple(FORMATS)) as image:
                _check(path, image)
                yield image
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        found = re.search(r"\((\d+) pixels\)", str(error))  # Pillow's own limits are of two kinds
        size = f"{int(found[1]):,}" if found else "too many"
        raise DataError(
            f"{path} has {size} pixels (at most {Image.MAX_IMAGE_PIXELS:,} can be decoded safely): "
            "scale it down, or remove it"
        ) from error
    except DAMAGED as error:
        reason = str(error).replace(f": {str(path)!r}", "").replace(f" {str(path)!r}", "")
        raise DataError(
            f"{path} cannot be read as an image: {reason}. Replace or remove it; {EXPECTED_FILES}"
        ) from error


def _check(path: Path, image: "Image.Image") -> None:
    # The first frame of a phone's JPEG is the photo, others are previews or depth maps.
    if (frames := getattr(image, "n_frames", 1)) > 1 and image.format != "MPO":
        raise DataError(f"{path} has {frames} frames: expected a single frame")
    if image.mode in UNSUPPORTED_MODES:
        raise DataError(f"{path} has 32 bits per pixel: expected 8 or 16 bits per channel")


def _in_8_bits(image: "Image.Image") -> "Image.Image":
    from PIL import Image

    if not image.mode.startswith("I;16"):
        return image
    # Pillow's own conversion would clip values above 255.
    return Image.fromarray(((np.asarray(image).astype(np.uint32) + 128) // 257).astype(np.uint8))


def _without_transparency(image: "Image.Image", behind: str | None) -> "Image.Image":
    from PIL import Image

    if not image.has_transparency_data:
        return image
    transparent = image.convert("RGBA")
    background = Image.new("RGBA", transparent.size, behind or _contrasting(transparent))
    opaque = Image.alpha_composite(background, transparent).convert("RGB")
    return opaque.convert("L") if image.mode in GRAY_MODES else opaque


def _contrasting(image: "Image.Image") -> str:
    """The background on which the visible pixels of an RGBA image are seen: white for dark ones, black for light ones.

    White if none is visible.
    """
    brightness, visible = np.asarray(image.convert("L"), np.float64), np.asarray(image.getchannel("A"), np.float64)
    return "black" if (visible * (brightness - MIDDLE)).sum() > 0 else "white"


def _pixels(image: "Image.Image", channels: int, size: tuple[int, int] | None) -> NDArray[np.uint8]:
    from PIL import Image

    converted = image.convert("L" if channels == 1 else "RGB")
    if size is not None and converted.size != (size[1], size[0]):
        converted = converted.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(converted).reshape(converted.height, converted.width, channels)
