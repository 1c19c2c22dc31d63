"""What two versions set otherwise: the libraries that came along, and the configuration of the models."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from bench.versions.record import VersionRecord

LIBRARIES = ("tensorflow", "keras", "numpy")
MAX_DIFFERENCES = 12  # of two configurations that are listed
LONGEST_VALUE = 60  # characters
NOT_THERE = "not there"


def differences(records: Sequence[VersionRecord]) -> dict[str, list[str]]:
    """For each version, which libraries came along, and what is set otherwise than in the one before."""
    told = {}
    for old, new in pairwise(records):
        lines = [
            f"{name} {getattr(old.environment, name)} to {getattr(new.environment, name)}"
            for name in LIBRARIES
            if getattr(old.environment, name) != getattr(new.environment, name)
        ]
        known = old.configs.keys() & new.configs.keys()  # none where speed was not measured
        lines += config_differences(*({name: one.configs[name] for name in sorted(known)} for one in (old, new)))
        told[f"{old.name} to {new.name}"] = lines
    return told


def config_differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What two configurations set otherwise, the first few; what many layers have in common stands there once."""
    places: dict[str, list[str]] = {}
    for path, before, after in _differences(old, new):
        place, what = _place(path)
        places.setdefault(f"{what}: {_shown(before)} to {_shown(after)}", []).append(place)
    found = [f"{change} ({at[0] if len(at) == 1 else f'{len(at)} places'})" for change, at in places.items()]
    more = len(found) - MAX_DIFFERENCES
    return [*found[:MAX_DIFFERENCES], *([f"and {more} more"] if more > 0 else [])]


def _differences(old: Any, new: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """Path, value before and value after of each innermost value that differs."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in sorted(old.keys() | new.keys()):
            yield from _differences(old.get(name, NOT_THERE), new.get(name, NOT_THERE), (*path, name))
    elif old != new:
        yield path, old, new


def _place(path: tuple[str, ...]) -> tuple[str, str]:
    """Which layer, or what else of a model; and what of it is set."""
    at = 3 if path[1:2] == ("layers",) else 2
    return " ".join(path[:at]), ".".join(path[at:]) or "whole"


def _shown(value: Any) -> str:
    text = NOT_THERE if value is NOT_THERE else _code(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."


def _code(value: Any) -> str:
    """A value as it is written in code; Keras keeps an object as a map that names its class."""
    if not isinstance(value, Mapping) or "class_name" not in value:
        return repr(value)
    arguments = ", ".join(f"{name}={_code(each)}" for name, each in (value.get("config") or {}).items())
    return f"{value['class_name']}({arguments})"
