"""What installed packages add to this one: objects named by entry points."""

from importlib import metadata
from typing import Any

from bench.errors import ExtensionError, SpecError


def extensions(group: str) -> dict[str, metadata.EntryPoint]:
    """Entry points of installed distributions in `group`, by name; a group is, e.g., "keras_family_bench.tuners".

    Raises:
        SpecError: two of them have the same name.
    """
    points: dict[str, metadata.EntryPoint] = {}
    for point in metadata.entry_points(group=group):
        # A distribution installed in two places on the path is listed twice.
        if points.setdefault(point.name, point).value != point.value:
            raise SpecError(
                f"{point.name!r} in {group} is defined twice, by {points[point.name].value} and {point.value}: "
                "uninstall one of the two packages"
            )
    return points


def check_no_extension(kind: str, name: str, group: str) -> None:
    """Check that no entry point in `group` has the name of something built in, a `kind`.

    Raises:
        SpecError: one has.
    """
    if (point := extensions(group).get(name)) is not None:
        raise SpecError(f"{kind} {name!r} is both built in and the entry point {point.value}: rename the entry point")


def load_extension(point: metadata.EntryPoint, contract: type, expected: str) -> Any:
    """Import the object of an entry point.

    Args:
        point: the entry point.
        contract: class of the object.
        expected: what it must be, for the message.

    Raises:
        ExtensionError: it cannot be imported, or is something else.
    """
    try:
        loaded = point.load()
    except Exception as error:
        raise ExtensionError(
            f"the entry point {point.value} in {point.group} cannot be imported: {type(error).__name__}: {error}. "
            "Fix or uninstall the package that provides it"
        ) from error
    if not isinstance(loaded, contract):
        raise ExtensionError(f"the entry point {point.value} in {point.group} must be {expected}, got {loaded!r}")
    return loaded
