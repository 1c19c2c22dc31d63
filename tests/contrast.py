"""The contrast of two colors, for tests of readability."""

from typing import Any

from matplotlib.colors import to_rgb


def contrast(a: Any, b: Any) -> float:
    """The contrast ratio of colors as Matplotlib takes them: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio."""
    low, high = sorted(map(_luminance, (a, b)))
    return (high + 0.05) / (low + 0.05)


def _luminance(color: Any) -> float:
    """Relative luminance: https://www.w3.org/TR/WCAG22/#dfn-relative-luminance."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(color)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
