"""PNG files that carry a digest of what they were drawn from, so that they are drawn again only when that changes."""

import hashlib
import io
import textwrap
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import msgspec
import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from search_spaces import code_digest

DIGEST_KEY = "bench-input-sha256"
PIXELS_KEY = "pixels"  # digest of the pixels, so that an edited picture is noticed
DPI = 200  # twice that of a common screen
DARK_PAGE, DARK_TEXT = "#1a1a1a", "#e6e6e6"  # the colors of the HTML pages
TITLE_HEIGHT = 0.3  # inches
LINE_HEIGHT = 0.18  # inches, of further lines of a title
CHARACTERS_PER_INCH = 11  # of titles
TITLE_MARGIN = 0.07  # above the title
MAX_COLOR_ERROR = 0.25  # mean over channels and pixels, of 255, up to which a palette replaces the colors


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture that is drawn only when its file is missing or was drawn from other inputs."""

    digest: str  # of the drawing code and the inputs
    draw: Callable[[], Figure]
    keep_colors: bool = False  # in the dark mode, which inverts those of other pictures

    def png(self) -> bytes:
        """The picture, drawn now."""
        # Not savefig, which draws twice and keeps an unused alpha channel.
        with plain_text():
            figure = self.draw()
            figure.set_dpi(DPI)
            canvas = FigureCanvasAgg(figure)
            canvas.draw()  # type: ignore[no-untyped-call]
        drawn = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")  # type: ignore[no-untyped-call]
        image = _with_palette(drawn)
        buffer, text = io.BytesIO(), PngInfo()
        text.add_text(DIGEST_KEY, self.digest)
        text.add_text(PIXELS_KEY, _pixel_digest(image.convert("RGB")))
        image.save(buffer, format="png", optimize=True, pnginfo=text)
        return buffer.getvalue()

    def is_at(self, path: Path) -> bool:
        """Whether `path` holds this picture, unchanged since it was drawn."""
        try:
            with Image.open(path) as image:
                pixels = image.convert("RGB")
                return image.info.get(DIGEST_KEY) == self.digest and image.info.get(PIXELS_KEY) == _pixel_digest(pixels)
        except (OSError, SyntaxError, ValueError):  # Pillow raises each of them for damaged files
            return False


@contextmanager
def plain_text() -> Iterator[None]:
    """Inside the block, dollar signs in names and titles are drawn instead of formulas, unknown characters as boxes."""
    with rc_context({"text.parse_math": False}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        yield


def with_titles(pictures: Mapping[str, Picture], titles: Mapping[str, str]) -> dict[str, Picture]:
    """Pictures by kind, those that `titles` names with a title: plots are often shown without the page."""
    return {kind: titled(each, titles[kind]) if kind in titles else each for kind, each in pictures.items()}


def titled(picture: Picture, title: str) -> Picture:
    """A plot with a title above it, on several lines if the plot is narrow."""

    def draw() -> Figure:
        figure = picture.draw()
        lines = textwrap.wrap(title, int(CHARACTERS_PER_INCH * figure.get_figwidth()), break_on_hyphens=False)
        height = figure.get_figheight()
        total = height + TITLE_HEIGHT + LINE_HEIGHT * (len(lines) - 1)
        share = height / total
        figure.set_figheight(total)
        text = figure.suptitle("\n".join(lines), fontsize=11)
        if figure.get_layout_engine() is None:  # which would place axes and title
            text.set_y(1 - TITLE_MARGIN / figure.get_figheight())
            for axes in figure.axes:
                box = axes.get_position()
                axes.set_position((box.x0, box.y0 * share, box.width, box.height * share))
        return figure

    return replace(picture, digest=hashlib.sha256(f"{title}: {picture.digest}".encode()).hexdigest(), draw=draw)


def dark(picture: Picture) -> Picture:
    """The picture with light text on a dark background; colors that its drawing names stay the same."""

    def draw() -> Figure:
        with rc_context(
            {
                "figure.facecolor": DARK_PAGE,
                "text.color": DARK_TEXT,
                "axes.labelcolor": DARK_TEXT,
                "axes.edgecolor": DARK_TEXT,
                "xtick.color": DARK_TEXT,
                "ytick.color": DARK_TEXT,
            }
        ):
            return picture.draw()

    return Picture(digest=hashlib.sha256(f"dark {picture.digest}".encode()).hexdigest(), draw=draw)


def _with_palette(image: Image.Image) -> Image.Image:
    """The image in 256 colors, at a third of the size, unless the difference would be visible, as in photos."""
    # Large areas keep their exact colors; those of a few pixels, such as the edges of letters, are merged.
    reduced = image.quantize(256, method=Image.Quantize.MEDIANCUT, kmeans=1, dither=Image.Dither.NONE)
    error = np.abs(np.asarray(reduced.convert("RGB"), dtype=np.int16) - np.asarray(image, dtype=np.int16))
    return reduced if error.mean() <= MAX_COLOR_ERROR else image


def stored_digest(path: Path) -> str | None:
    """The digest in a picture file; None if there is no picture, or it was not drawn by this package."""
    try:
        with Image.open(path) as image:
            return image.info.get(DIGEST_KEY)
    except (OSError, UnidentifiedImageError):
        return None


def _pixel_digest(image: Image.Image) -> str:
    return hashlib.sha256(image.tobytes()).hexdigest()


def picture(kind: str, inputs: Sequence[object], draw: Callable[[], Figure], *, keep_colors: bool = False) -> Picture:
    """A picture that `draw` makes from `inputs`.

    Args:
        kind: distinguishes drawings of the same inputs.
        inputs: everything the drawing depends on: numbers, text, arrays, dataclasses.
        draw: makes the figure.
        keep_colors: whether the dark mode must not invert its colors, since it shows images or a scale of colors.
    """
    content = msgspec.json.encode([kind, _drawing_code(), *inputs], enc_hook=_plain)
    return Picture(digest=hashlib.sha256(content).hexdigest(), draw=draw, keep_colors=keep_colors)


@cache
def _drawing_code() -> str:
    """Digest of the drawing code: when it changes, `bench report` draws all pictures again."""
    return code_digest(*sorted(Path(__file__).parent.glob("*.py")))


def _plain(value: object) -> object:
    if isinstance(value, np.ndarray):
        return [str(value.dtype), value.shape, value.tobytes()]
    raise NotImplementedError(f"a picture cannot depend on a {type(value).__name__}")
