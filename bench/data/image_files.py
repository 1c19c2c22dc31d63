"""Image files of a user, as a model expects them: png, jpg, npy and others, of any size, grayscale or color."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from bench.data.background import Background, border_level
from bench.errors import DataError

CHANNELS = (1, 3, 4)  # of an array: grayscale, RGB, RGBA
MIDDLE = 127.5
SIXTEEN_BITS = 257  # 65535 / 255

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PreparedImage:
    """One image for a model."""

    name: str  # path of its file, with the position for an image of an array
    pixels: Pixels  # (height, width, channels) of the training images
    inverted: bool  # because its background is light and that of the training images dark, or the reverse


def prepare(paths: Sequence[Path], shape: tuple[int, int, int], background: Background) -> list[PreparedImage]:
    """Read image files and fit them to the training images.

    Transparent pixels get the color of the background. Grayscale images are inverted if their background is light and
    that of the training images dark, or the reverse. Images of another aspect ratio are padded with their own
    background if the training images have one, otherwise distorted.

    Args:
        paths: of image files, or of npy files with one image (height, width) or (height, width, channels), or several
            (n, height, width, channels); integers from 0 to 255, or fractions from 0 to 1.
        shape: height, width and channels of the training images.
        background: of the training images.

    Raises:
        DataError: files cannot be read, one line each.
    """
    images: list[PreparedImage] = []
    problems = []
    for path in paths:
        try:
            images += [_fit(name, pixels, shape, background) for name, pixels in _read(path, background)]
        except DataError as error:
            problems.append(f"{path}: {error}")
    if problems:
        raise DataError("\n".join(problems))
    return images


def _read(path: Path, background: Background) -> Iterator[tuple[str, Pixels]]:
    """The images of a file, uint8 (height, width, 1 or 3), with their names."""
    if not path.is_file():
        raise DataError(f"{'is a folder, expected an image file' if path.is_dir() else 'does not exist'}")
    if path.suffix.lower() == ".npy":
        yield from _read_array(path, background)
    else:
        yield str(path), _flatten(_open(path), background)


def _open(path: Path) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                opened = ImageOps.exif_transpose(image)
                opened.load()
                return opened
    # Pillow raises SyntaxError and others for damaged files.
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"cannot be read as an image: {error}. Expected png, jpg or npy") from error


def _read_array(path: Path, background: Background) -> Iterator[tuple[str, Pixels]]:
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"cannot be read as an array: {error}") from error
    if not isinstance(array, np.ndarray):
        raise DataError("expected one array, found an archive: save it with numpy.save")
    single = array.ndim == 2 or (array.ndim == 3 and array.shape[-1] in CHANNELS)
    if not single and not (array.ndim == 4 and array.shape[-1] in CHANNELS):
        raise DataError(
            f"expected an image (height, width) or (height, width, channels), or several (n, height, width, "
            f"channels), with 1, 3 or 4 channels; got shape {array.shape}"
        )
    if 0 in array.shape:
        raise DataError(f"the array is empty: its shape is {array.shape}")
    pixels = _eight_bits(array)
    for number, image in enumerate(pixels[None] if single else pixels):
        mode = image[..., 0] if image.ndim == 3 and image.shape[-1] == 1 else image
        name = str(path) if single else f"{path}[{number}]"
        yield name, _flatten(Image.fromarray(np.ascontiguousarray(mode)), background)


def _eight_bits(array: NDArray[np.generic]) -> Pixels:
    """Integers from 0 to 255; fractions are scaled."""
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if not (np.issubdtype(array.dtype, np.integer) or np.issubdtype(array.dtype, np.floating)):
        raise DataError(f"expected numbers, got an array of {array.dtype}")
    values = array.astype(np.float64)
    if not np.isfinite(values).all() or values.min() < 0 or values.max() > 255:
        raise DataError(f"pixels must be from 0 to 255, or fractions from 0 to 1, found {_range(values)}")
    if np.issubdtype(array.dtype, np.floating) and values.max() <= 1:
        values *= 255
    return np.rint(values).astype(np.uint8)


def _range(values: NDArray[np.float64]) -> str:
    if not np.isfinite(values).all():
        return "values that are not finite"
    return f"{values.min():g} to {values.max():g}"


def _flatten(image: Image.Image, background: Background) -> Pixels:
    """Grayscale or RGB, without transparency."""
    if image.mode == "F":
        raise DataError("images with floating-point pixels are not supported: save them as npy")
    if image.mode.startswith("I"):  # 16 bits per pixel, which Pillow would cut off at 255
        return np.rint(np.asarray(image).astype(np.float64) / SIXTEEN_BITS).astype(np.uint8)[..., None]
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        opaque = Image.new("RGBA", image.size, "black" if background == "dark" else "white")
        opaque.alpha_composite(image.convert("RGBA"))
        image = opaque.convert("L" if image.mode == "LA" else "RGB")
    pixels = np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB"))
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _fit(name: str, pixels: Pixels, shape: tuple[int, int, int], background: Background) -> PreparedImage:
    height, width, channels = shape
    if channels not in (1, 3):
        raise DataError(f"the model expects images with {channels} channels, image files have 1 or 3")
    if channels == 1 and pixels.shape[-1] == 3:
        pixels = np.asarray(Image.fromarray(pixels).convert("L"))[..., None]
    level = border_level(pixels)
    # The colors of a photo carry meaning, so only grayscale images are inverted.
    inverted = channels == 1 and (
        (background == "dark" and level > MIDDLE) or (background == "light" and level < MIDDLE)
    )
    if inverted:
        pixels = 255 - pixels
    if channels == 3 and pixels.shape[-1] == 1:
        pixels = np.repeat(pixels, 3, axis=-1)
    if background != "mixed":
        pixels = _pad(pixels, height / width)
    return PreparedImage(name=name, pixels=_resize(pixels, height, width), inverted=bool(inverted))


def _pad(pixels: Pixels, ratio: float) -> Pixels:
    """Add the image's own background on two sides, so that height / width is `ratio`."""
    height, width, _ = pixels.shape
    rows = max(0, round(width * ratio) - height)
    columns = max(0, round(height / ratio) - width)
    frame = np.concatenate([pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]])
    color = np.median(frame, axis=0).astype(np.uint8)
    padded = np.empty((height + rows, width + columns, pixels.shape[-1]), dtype=np.uint8)
    padded[:] = color
    padded[rows // 2 : rows // 2 + height, columns // 2 : columns // 2 + width] = pixels
    return padded


def _resize(pixels: Pixels, height: int, width: int) -> Pixels:
    if pixels.shape[:2] == (height, width):
        return pixels
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    resized = np.asarray(image.resize((width, height), Image.Resampling.LANCZOS))
    return resized[..., None] if resized.ndim == 2 else resized
