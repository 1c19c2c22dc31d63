"""The background of images: dark, light, or neither."""

import numpy as np
from numpy.typing import NDArray

from bench.records.choices import Background

MAX_IMAGES = 5_000  # evenly spaced, of a larger dataset
DARK, LIGHT = 64, 191  # a dark border is below, a light one above
MIN_SHARE = 2 / 3  # of the images, since an object may touch the border


def background_of(images: NDArray[np.uint8]) -> Background:
    """The background that most of the images (n, height, width, channels) have; "mixed" if there is none."""
    levels = np.array([border_level(image) for image in images[:: -(-len(images) // MAX_IMAGES)]])
    if (levels < DARK).mean() >= MIN_SHARE:
        return "dark"
    if (levels > LIGHT).mean() >= MIN_SHARE:
        return "light"
    return "mixed"


def border_level(image: NDArray[np.uint8]) -> float:
    """The median brightness, 0 to 255, of the outermost pixels of an image (height, width, channels)."""
    return float(np.median(border_pixels(image).mean(axis=-1)))


def border_pixels(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The outermost pixels of an image (height, width, channels), (n, channels)."""
    return np.concatenate([image[0], image[-1], image[1:-1, 0], image[1:-1, -1]])
