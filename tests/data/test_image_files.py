"""Image files of a user: formats, sizes, channels, backgrounds, damage."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from bench.data import catalog
from bench.data.background import background_of, border_level
from bench.data.development import load_development
from bench.data.image_files import prepare
from bench.data.loaders.images import resize
from bench.errors import DataError

GRAY, COLOR = (8, 8, 1), (8, 8, 3)


def square(size: int = 8, *, light: bool = False) -> NDArray[np.uint8]:
    """A bright square in the middle of a dark image (size, size), or the reverse."""
    image = np.zeros((size, size), np.uint8)
    image[size // 4 : -size // 4, size // 4 : -size // 4] = 200
    return 255 - image if light else image


def saved(folder: Path, image: Image.Image | NDArray[np.generic], name: str) -> Path:
    path = folder / name
    if isinstance(image, Image.Image):
        image.save(path)
    elif name.endswith(".npy"):
        np.save(path, image)
    else:
        Image.fromarray(image).save(path)
    return path


# Backgrounds


def test_background_is_that_of_most_borders() -> None:
    dark = np.stack([square()[..., None]] * 5)
    light = 255 - dark
    assert background_of(dark) == "dark"
    assert background_of(light) == "light"
    assert background_of(np.concatenate([dark, light])) == "mixed"
    assert background_of(np.concatenate([dark, dark, light])) == "dark"  # two thirds
    assert background_of(np.full((5, 8, 8, 3), 128, np.uint8)) == "mixed"


def test_border_level_is_the_median_of_the_outermost_pixels() -> None:
    image = np.full((3, 4, 1), 99, np.uint8)
    image[1, 1:3] = 0  # inside
    image[0, 0] = 255
    assert border_level(image) == 99


def test_digits_have_a_dark_background() -> None:
    assert background_of(load_development(catalog.locate("digits")).images) == "dark"


# Formats


@pytest.mark.parametrize("name", ["image.png", "image.bmp", "image.tiff", "image.gif", "image.npy"])
def test_lossless_formats_of_the_right_size_are_unchanged(name: str, tmp_path: Path) -> None:
    (image,) = prepare([saved(tmp_path, square(), name)], GRAY, "dark")
    assert image.name == str(tmp_path / name)
    assert image.pixels.dtype == np.uint8
    assert np.array_equal(image.pixels[..., 0], square())


def test_jpg_is_close_to_the_original(tmp_path: Path) -> None:
    path = tmp_path / "image.jpg"
    Image.fromarray(square()).save(path, quality=95)
    (image,) = prepare([path], GRAY, "dark")
    assert np.abs(image.pixels[..., 0].astype(int) - square()).max() < 40


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "LA", "CMYK"])
def test_every_mode_gives_the_channels_of_the_training_images(mode: str, tmp_path: Path) -> None:
    name = "image.tiff" if mode == "CMYK" else "image.png"
    path = saved(tmp_path, Image.fromarray(square()).convert(mode), name)
    (gray,), (color,) = prepare([path], GRAY, "dark"), prepare([path], COLOR, "dark")
    assert (gray.pixels.shape, color.pixels.shape) == (GRAY, COLOR)
    assert np.abs(gray.pixels[..., 0].astype(int) - square()).max() <= 2
    assert np.abs(color.pixels.astype(int) - square()[..., None]).max() <= 2


def test_sixteen_bits_are_scaled_to_eight(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.fromarray(square().astype(np.uint16) * 257), "image.png")
    (image,) = prepare([path], GRAY, "dark")
    assert np.array_equal(image.pixels[..., 0], square())


def test_black_and_white_image_is_read(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.fromarray(square()).point(lambda level: 255 * (level > 100)).convert("1"), "image.png")
    (image,) = prepare([path], GRAY, "dark")
    assert set(np.unique(image.pixels).tolist()) == {0, 255}


def test_photo_is_turned_as_its_camera_was(tmp_path: Path) -> None:
    image = Image.fromarray(np.vstack([np.zeros((4, 8), np.uint8), np.full((4, 8), 250, np.uint8)]))
    exif = Image.Exif()
    exif[0x0112] = 3  # Orientation: upside down
    image.save(tmp_path / "photo.png", exif=exif)
    (turned,) = prepare([tmp_path / "photo.png"], GRAY, "mixed")
    assert turned.pixels[0, 0, 0] == 250
    assert turned.pixels[-1, 0, 0] == 0


@pytest.mark.parametrize("suffix", ["png", "npy"])
@pytest.mark.parametrize("ink", [0, 255])
@pytest.mark.parametrize("background", ["dark", "light", "mixed"])
def test_drawing_on_transparency_is_read_as_on_a_contrasting_background(
    background: str, ink: int, suffix: str, tmp_path: Path
) -> None:
    drawing = np.full((8, 8, 4), ink, np.uint8)
    drawing[..., 3] = square()
    opaque = np.abs(255 - ink - square().astype(int)).astype(np.uint8)  # black on white, or white on black
    paths = [saved(tmp_path, drawing, f"drawing.{suffix}"), saved(tmp_path, opaque, "opaque.png")]
    transparent, expected = prepare(paths, GRAY, background)  # type: ignore[arg-type]
    assert np.array_equal(transparent.pixels, expected.pixels)
    assert transparent.inverted == expected.inverted
    assert np.ptp(transparent.pixels) == 200


@pytest.mark.parametrize(("background", "expected"), [("dark", 0), ("light", 255), ("mixed", 255)])
def test_transparent_pixels_of_color_images_get_the_background_of_the_training_images(
    background: str, expected: int, tmp_path: Path
) -> None:
    path = saved(tmp_path, np.zeros((8, 8, 4), np.uint8), "image.png")
    (image,) = prepare([path], COLOR, background)  # type: ignore[arg-type]
    assert (image.pixels == expected).all()


# Arrays


@pytest.mark.parametrize(
    ("array", "count"),
    [
        (np.zeros((8, 8)), 1),
        (np.zeros((20, 30, 3)), 1),
        (np.zeros((8, 8, 1), np.int64), 1),
        (np.zeros((8, 8, 4), np.uint8), 1),
        (np.zeros((5, 8, 8, 1), np.uint8), 5),
        (np.zeros((5, 8, 8), np.uint8), 5),
        (np.zeros((8, 8), np.bool_), 1),
    ],
)
def test_arrays_of_several_shapes_are_read(array: NDArray[np.generic], count: int, tmp_path: Path) -> None:
    images = prepare([saved(tmp_path, array, "images.npy")], GRAY, "dark")
    assert [image.pixels.shape for image in images] == [GRAY] * count
    assert images[-1].name == str(tmp_path / ("images.npy" if count == 1 else f"images.npy[{count - 1}]"))


def test_fractions_are_scaled(tmp_path: Path) -> None:
    (image,) = prepare([saved(tmp_path, square() / 255, "image.npy")], GRAY, "dark")
    assert np.array_equal(image.pixels[..., 0], square())
    (image,) = prepare([saved(tmp_path, square().astype(np.float32), "image.npy")], GRAY, "dark")
    assert np.array_equal(image.pixels[..., 0], square())


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.full((8, 8), np.nan), r"image\.npy\[0, 0, 0\] is nan"),
        (np.full((8, 8), -1), r"image\.npy\[0, 0, 0\] is -1: expected whole numbers"),
        (np.full((8, 8), 300), r"image\.npy\[0, 0, 0\] is 300: expected whole numbers"),
        (np.zeros((8, 8, 2)), r"got shape \(8, 8, 2\)"),
        (np.zeros((3, 8, 8)), r"got shape \(3, 8, 8\): add a channel axis .* x\[\.\.\., None\]"),
        (np.zeros(64), r"got shape \(64,\)"),
        (np.zeros((0, 8, 8, 1)), r"got shape \(0, 8, 8, 1\)"),
        (np.full((8, 8), "a"), "pixels of type <U1"),
        (np.full((8, 8), None), "cannot be read as an array"),  # pickled objects
    ],
)
def test_unsuitable_array_is_refused(array: NDArray[np.generic], expected: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=expected):
        prepare([saved(tmp_path, array, "image.npy")], GRAY, "dark")


# Size and background


def test_image_of_another_size_is_resized(tmp_path: Path) -> None:
    (image,) = prepare([saved(tmp_path, square(80), "image.png")], GRAY, "dark")
    assert image.pixels.shape == GRAY
    assert image.pixels[4, 4, 0] == pytest.approx(200, abs=5)
    assert image.pixels[0, 0, 0] < 10


@pytest.mark.parametrize("background", ["dark", "light"])
def test_wide_image_is_padded_with_its_background(background: str, tmp_path: Path) -> None:
    light = background == "light"
    wide = np.hstack([square(8, light=light)] * 2)
    (image,) = prepare([saved(tmp_path, wide, "image.png")], (16, 16, 1), background)  # type: ignore[arg-type]
    # The image is in rows 4 to 11, unchanged; a constant background above and below.
    assert np.array_equal(image.pixels[4:12, :, 0], wide)
    assert np.unique(image.pixels[:4]).tolist() == [255 if light else 0]


def test_without_a_background_a_wide_image_is_distorted(tmp_path: Path) -> None:
    wide = np.tile(np.linspace(0, 255, 32).astype(np.uint8), (8, 1))
    (image,) = prepare([saved(tmp_path, wide, "image.png")], GRAY, "mixed")
    assert (np.diff(image.pixels[0, :, 0].astype(int)) > 0).all()
    assert np.unique(image.pixels[:, 0]).size == 1


def test_wide_image_is_distorted_as_the_training_images_were(tmp_path: Path) -> None:
    wide = np.hstack([square(8)] * 2)
    (image,) = prepare([saved(tmp_path, wide, "image.png")], (16, 16, 1), "dark", distorted=True)
    assert np.array_equal(image.pixels, resize(wide[np.newaxis, ..., np.newaxis], (16, 16))[0])


@pytest.mark.parametrize(
    ("light", "background", "inverted"),
    [
        (True, "dark", True),
        (False, "dark", False),
        (False, "light", True),
        (True, "light", False),
        (True, "mixed", False),
    ],
)
def test_grayscale_image_with_the_opposite_background_is_inverted(
    light: bool, background: str, inverted: bool, tmp_path: Path
) -> None:
    path = saved(tmp_path, square(light=light), "image.png")
    (image,) = prepare([path], GRAY, background)  # type: ignore[arg-type]
    assert image.inverted == inverted
    assert np.array_equal(image.pixels[..., 0], square(light=light != inverted))


def test_colors_are_not_inverted(tmp_path: Path) -> None:
    (image,) = prepare([saved(tmp_path, square(light=True), "image.png")], COLOR, "dark")
    assert not image.inverted


# Files that cannot be read


def test_every_unreadable_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("not an image")
    whole = saved(tmp_path, np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8), "cut.png")
    whole.write_bytes(whole.read_bytes()[:2000])
    good = saved(tmp_path, square(), "good.png")
    np.savez(tmp_path / "archive.npz", a=square())
    (tmp_path / "archive.npz").rename(tmp_path / "archive.npy")
    files = [tmp_path / name for name in ("text.png", "cut.png", "good.png", "absent.png", "archive.npy")]
    with pytest.raises(DataError) as caught:
        prepare([*files, tmp_path], GRAY, "dark")
    message = str(caught.value)
    assert all(name in message for name in ("text.png", "cut.png", "absent.png: does not exist", "is a folder"))
    assert "archive.npy: expected one array, found an archive" in message
    assert str(good) not in message


def test_model_with_another_number_of_channels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expects images with 2 channels"):
        prepare([saved(tmp_path, square(), "image.png")], (8, 8, 2), "dark")
