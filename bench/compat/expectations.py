"""What all checks share: how an incompatible library becomes an error."""

from collections.abc import Iterator
from contextlib import contextmanager

from bench.errors import CompatibilityError
from bench.machine import install_command, installed_version


@contextmanager
def expecting(library: tuple[str, ...], expected: str) -> Iterator[None]:
    """Convert any exception inside to a CompatibilityError about `library`, the names of its distributions."""
    try:
        yield
    except CompatibilityError:
        raise
    except Exception as error:
        raise incompatible(library, expected, f"{type(error).__name__}: {error}") from error


def incompatible(library: tuple[str, ...], expected: str, actual: str, advice: str = "") -> CompatibilityError:
    """The error that a library behaves differently from the tested versions; `advice` is another way out."""
    tested = "Use another version of Python" if library == ("python",) else f"Run `{install_command(library[0])}`"
    return CompatibilityError(
        f"{library[0]} {installed_version(*library)} is not compatible with this package: expected {expected}, "
        f"got {actual}. {advice}{tested}"
    )
