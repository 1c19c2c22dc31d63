"""Numbers as text: percentages, intervals, seconds; and words."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # its import takes seconds
    from bench.evaluation.comparison import Interval

SMALL_RATIO = 0.5  # smaller ratios are written as fractions: two decimals would hide most of them


def percent(fraction: float, digits: int = 2) -> str:
    """A fraction in [0, 1] as a percentage, without the sign."""
    return f"{100 * fraction:.{digits}f}"


def range_text(low: float, high: float) -> str:
    """Two fractions as percentages."""
    return f"{percent(low)} to {percent(high)}"


def span_text(values: Iterable[float], text: Callable[[float], str]) -> str:
    """The smallest and the largest value as `text` shows them, or one if they look the same."""
    ordered = sorted(values)
    return " to ".join(dict.fromkeys(map(text, (ordered[0], ordered[-1]))))


def points(fraction: float) -> str:
    """A difference of fractions in percentage points, with its sign."""
    return f"{100 * fraction:+.2f}"


def difference_text(mean: float, low: float, high: float) -> str:
    """A difference of fractions in percentage points, with the limits of its interval."""
    return f"{points(mean)} ({points(low)} to {points(high)})"


def ratio_text(ratio: float) -> str:
    """A ratio, far below 1 as a fraction."""
    if ratio >= SMALL_RATIO:
        return f"{ratio:.2f}"
    return f"1/{1 / ratio:.2g}" if 1 / ratio < 10 else f"1/{1 / ratio:.0f}"


def number(value: float) -> str:
    """A number with three digits, or all of those before the decimal point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def seconds(value: float) -> str:
    """Seconds with the digits that are meaningful."""
    return f"{value:,.0f}" if value >= 10 else f"{value:#.2g}".removesuffix(".")


def duration(seconds: float) -> str:
    """Hours, minutes and seconds as 1:03:05, or 3:05 for less than an hour."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def p_text(p: float) -> str:
    """A p-value."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def counted(count: int, noun: str) -> str:
    """A number with its noun, which takes an s in the plural, or es after an s."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}{'es' if noun.endswith('s') else 's'}"


def joined(words: Sequence[str]) -> str:
    """A list in a sentence: a, b and c."""
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1] if words else "")))


def capitalized(text: str) -> str:
    """The text with a capital first letter; Jinja's filter `capitalize` lowercases the other letters."""
    return text[:1].upper() + text[1:]


def accuracy_cell(accuracy: float, interval: "Interval | None") -> str:
    """Percent with its interval for a table: ± half the width, or both limits if they are not symmetric."""
    if interval is None:
        return f"{percent(accuracy)} (no interval)"
    half = _half_width(interval)
    return f"{percent(accuracy)} " + (f"± {half}" if half else f"({range_text(interval.low, interval.high)})")


def interval_text(interval: "Interval | None") -> str:
    """The interval alone: ± half the width in points, or both limits if they are not symmetric."""
    if interval is None:
        return "no interval"
    half = _half_width(interval)
    return f"95% CI ±{half}" if half else f"95% CI {range_text(interval.low, interval.high)}"


def _half_width(interval: "Interval") -> str | None:
    """In points; None if it is not the same in both directions."""
    below, above = percent(interval.mean - interval.low), percent(interval.high - interval.mean)
    return above if below == above else None


def uncertainty_source(interval: "Interval | None") -> str:
    """What contributes most to the interval's width, so that more of it would narrow the interval most."""
    if interval is None:
        return "-"
    if interval.n_seeds == 1:
        return "test-set size only"
    return "seeds" if interval.seed_variance_share > 0.5 else "test-set size"
