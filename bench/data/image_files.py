"""Image files of a user, as a model expects them: png, jpg, npy and others, of any size, grayscale or color."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.data.background import border_level, border_pixels
from bench.data.loaders.images import MIDDLE, read_image, resize, to_pixels
from bench.data.samples import as_pixels
from bench.errors import DataError
from bench.records.choices import Background

CHANNELS = (1, 3, 4)  # of an array: grayscale, RGB, RGBA

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PreparedImage:
    """One image for a model."""

    name: str  # path of its file, with the position for an image of an array
    pixels: Pixels  # (height, width, channels) of the training images
    inverted: bool  # because its background is light and that of the training images dark, or the reverse


def prepare(
    paths: Sequence[Path], shape: tuple[int, int, int], background: Background, *, distorted: bool = False
) -> list[PreparedImage]:
    """Read image files and fit them to the training images.

    Transparent pixels of grayscale images become white if the visible ones are mostly dark, otherwise black; those of
    color images get the color of the training images' background. Grayscale images are inverted if their background is
    light and that of the training images dark, or the reverse. Images of another aspect ratio are padded with their own
    background if the training images have one and were not distorted either, otherwise distorted.

    Args:
        paths: of image files, or of npy files with one image (height, width) or (height, width, channels), or several
            (n, height, width) or (n, height, width, channels); integers from 0 to 255, or fractions from 0 to 1.
        shape: height, width and channels of the training images.
        background: of the training images.
        distorted: whether the training images were resized whatever their aspect ratio.

    Raises:
        DataError: files cannot be read, one line each.
    """
    if shape[-1] not in (1, 3):
        raise DataError(f"the model expects images with {shape[-1]} channels, image files have 1 or 3")
    images: list[PreparedImage] = []
    problems = []
    for path in paths:
        try:
            for name, pixels in _read(path, shape[-1], background):
                images.append(_fit(name, pixels, shape, background, distorted=distorted))
        except DataError as error:
            problems.append(str(error))
    if problems:
        raise DataError("\n".join(problems))
    return images


def _read(path: Path, channels: int, background: Background) -> Iterator[tuple[str, Pixels]]:
    """The images of a file (height, width, channels), with their names."""
    # Only grayscale images are inverted if their background differs from that of the training images.
    behind = None if channels == 1 else "black" if background == "dark" else "white"
    if not path.is_file():
        raise DataError(f"{path}: {'is a folder, expected an image file' if path.is_dir() else 'does not exist'}")
    if path.suffix.lower() == ".npy":
        for name, pixels in _read_array(path):
            yield name, to_pixels(pixels, channels, behind=behind)
    else:
        yield str(path), read_image(path, channels, behind=behind)


def _read_array(path: Path) -> Iterator[tuple[str, Pixels]]:
    """The images of an array (height, width, 1, 3 or 4), with their names."""
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: cannot be read as an array: {error}") from error
    if not isinstance(array, np.ndarray):
        raise DataError(f"{path}: expected one array, found an archive: save it with numpy.save")
    # With 3 or 4 at the start, it may also be a color image with its channels first.
    are_grayscale = array.ndim == 3 and array.shape[0] not in (3, 4) and array.shape[-1] > max(CHANNELS)
    if array.ndim == 2 or are_grayscale:
        array = array[..., np.newaxis]
    if array.ndim not in (3, 4) or array.shape[-1] not in CHANNELS or 0 in array.shape:
        hint = ": add a channel axis to grayscale images: x[..., None]" if array.ndim == 3 else ""
        raise DataError(
            f"{path}: expected an image (height, width) or (height, width, channels), or several (n, height, width) "
            f"or (n, height, width, channels), with 1, 3 or 4 channels; got shape {array.shape}{hint}"
        )
    pixels = as_pixels(array, str(path))
    if pixels.ndim == 3:
        yield str(path), pixels
    else:
        yield from ((f"{path}[{number}]", image) for number, image in enumerate(pixels))


def _fit(
    name: str, pixels: Pixels, shape: tuple[int, int, int], background: Background, *, distorted: bool
) -> PreparedImage:
    height, width, channels = shape
    level = border_level(pixels)
    # The colors of a photo carry meaning, so only grayscale images are inverted.
    inverted = channels == 1 and (
        (background == "dark" and level > MIDDLE) or (background == "light" and level < MIDDLE)
    )
    if inverted:
        pixels = 255 - pixels
    if background != "mixed" and not distorted:
        pixels = _pad(pixels, height / width)
    if pixels.shape[:2] != (height, width):
        pixels = resize(pixels[np.newaxis], (height, width))[0]
    return PreparedImage(name=name, pixels=pixels, inverted=bool(inverted))


def _pad(pixels: Pixels, ratio: float) -> Pixels:
    """Add the image's own background on two sides, so that height / width is `ratio`."""
    height, width, _ = pixels.shape
    rows = max(0, round(width * ratio) - height)
    columns = max(0, round(height / ratio) - width)
    color = np.median(border_pixels(pixels), axis=0).astype(np.uint8)
    padded = np.empty((height + rows, width + columns, pixels.shape[-1]), dtype=np.uint8)
    padded[:] = color
    padded[rows // 2 : rows // 2 + height, columns // 2 : columns // 2 + width] = pixels
    return padded
