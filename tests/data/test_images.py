"""Decoding image files: every kind becomes 8 bits per channel; files that cannot be decoded are named."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.data.loaders.images import Header, read_header, read_image, resize
from bench.errors import DataError
from image_files import noise, save

GRAY, COLOR = noise(1, 4, 5)[0], noise(1, 4, 5, 3)[0]


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "pgm"])
def test_lossless_grayscale_keeps_its_pixels(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"a.{suffix}", GRAY)
    assert np.array_equal(read_image(path, 1)[..., 0], GRAY)
    assert read_header(path).is_gray


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "ppm"])
def test_lossless_color_keeps_its_pixels(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"a.{suffix}", COLOR)
    assert np.array_equal(read_image(path, 3), COLOR)
    assert not read_header(path).is_gray


@pytest.mark.parametrize("suffix", ["jpg", "JPEG", "webp"])
def test_lossy_formats_are_read(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"a.{suffix}", np.full((8, 8, 3), 100, np.uint8), quality=95)
    assert np.abs(read_image(path, 3).astype(int) - 100).max() <= 3


def test_grayscale_can_become_color_and_color_grayscale(tmp_path: Path) -> None:
    gray, color = save(tmp_path / "gray.png", GRAY), save(tmp_path / "color.png", COLOR)
    assert np.array_equal(read_image(gray, 3), np.repeat(GRAY[..., np.newaxis], 3, axis=-1))
    # ITU-R 601: 0.299 R + 0.587 G + 0.114 B.
    expected = COLOR @ np.array([0.299, 0.587, 0.114])
    assert np.abs(read_image(color, 1)[..., 0] - expected).max() <= 1


def test_palette_is_color(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([0, 0, 0, 250, 20, 30])
    image.putdata([0, 1])
    image.save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", 3).tolist() == [[[0, 0, 0], [250, 20, 30]]]


def test_one_bit_images_are_black_and_white(tmp_path: Path) -> None:
    save(tmp_path / "a.png", np.array([[True, False]]))
    assert read_image(tmp_path / "a.png", 1).tolist() == [[[255], [0]]]


def test_16_bits_are_scaled_and_not_clipped(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", np.array([[0, 257, 25_700, 65_535]], np.uint16))
    assert read_header(path).is_gray
    assert read_image(path, 1).tolist() == [[[0], [1], [100], [255]]]


def test_transparent_pixels_are_white(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", np.array([[[9, 9, 9, 0], [10, 20, 30, 255]]], np.uint8))
    assert read_image(path, 3).tolist() == [[[255, 255, 255], [10, 20, 30]]]


def test_transparent_grayscale_stays_gray(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", np.array([[[9, 0], [10, 255]]], np.uint8))
    assert read_header(path).is_gray
    assert read_image(path, 1).tolist() == [[[255], [10]]]


def test_photo_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated by 90 degrees
    path = save(tmp_path / "a.png", GRAY, exif=exif)
    header = read_header(path)
    assert (header.height, header.width) == (5, 4)
    assert np.array_equal(read_image(path, 1)[..., 0], np.rot90(GRAY, -1))


def test_image_is_resized_to_height_and_width(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", np.full((10, 20), 77, np.uint8))
    assert read_image(path, 1, (3, 4)).shape == (3, 4, 1)
    assert set(read_image(path, 1, (3, 4)).flat) == {77}


def test_arrays_are_resized_like_files(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", COLOR)
    assert np.array_equal(resize(COLOR[np.newaxis], (3, 2))[0], read_image(path, 3, (3, 2)))


def test_four_channels_are_resized_one_by_one() -> None:
    image = noise(1, 4, 4, 4)
    assert np.array_equal(resize(image, (2, 2))[..., 3], resize(image[..., 3:], (2, 2))[..., 0])


# Files that cannot be decoded


def damaged(path: Path) -> Path:
    content = save(path, noise(1, 40, 40)[0]).read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp"])
def test_truncated_file_is_named(tmp_path: Path, suffix: str) -> None:
    path = damaged(tmp_path / f"half.{suffix}")
    with pytest.raises(DataError, match=rf"half\.{suffix} cannot be read as an image: .*expected \.png, \.jpg"):
        read_image(path, 1)


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n", b"<svg></svg>"])
def test_other_content_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.png cannot be read as an image"):
        read_header(path)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.png cannot be read as an image: .*No such file"):
        read_header(tmp_path / "gone.png")


def test_postscript_is_not_run(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n")
    with pytest.raises(DataError, match="cannot be read as an image"):
        read_image(path, 1)


@pytest.mark.parametrize("side", [10_000, 60_000], ids=["above the limit", "above twice the limit"])
def test_decompression_bomb_is_refused(tmp_path: Path, side: int) -> None:
    path = tmp_path / "bomb.png"
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
    with pytest.raises(DataError, match="bomb") as caught:
        read_header(path)
    assert str(caught.value) == (
        f"{path} has {side**2:,} pixels (at most 89,478,485 can be decoded safely): scale it down, or remove it"
    )


def test_animation_is_refused(tmp_path: Path) -> None:
    frames = [Image.fromarray(pixels) for pixels in noise(3)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(DataError, match=r"a\.gif has 3 frames: expected a single frame"):
        read_header(tmp_path / "a.gif")


def test_first_frame_of_a_jpg_of_a_phone_is_read(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full((8, 9), level, np.uint8)) for level in (200, 50)]
    frames[0].save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=frames[1:])
    assert read_header(tmp_path / "a.jpg") == Header(8, 9, is_gray=True)
    assert np.unique(read_image(tmp_path / "a.jpg", 1)).tolist() == [200]


def test_32_bits_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.ones((2, 2), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match="32 bits per pixel: expected 8 or 16 bits"):
        read_header(tmp_path / "a.tif")
