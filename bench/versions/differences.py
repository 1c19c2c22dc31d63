"""Differences between two versions that may explain a change: libraries, the machine, Keras' default settings."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from bench.versions.record import MACHINE, VersionRecord

LIBRARIES = ("tensorflow", "keras", "numpy")
MAX_DIFFERENCES = 12  # listed per pair of configurations
MAX_VALUE_LENGTH = 60  # characters
ABSENT = "absent"
ADDRESS = re.compile(r" at 0x[0-9a-f]+")  # of a setting that is no plain value; it differs between processes


def differences(records: Sequence[VersionRecord], versions: Mapping[str, str]) -> dict[str, list[str]]:
    """For each version but the first, what changed of libraries, machine and settings; keys as "2.16.2 to 2.17.1".

    Args:
        records: oldest first.
        versions: by name of the environment.
    """
    by_pair = {}
    for old, new in pairwise(records):
        lines = [
            f"{name} {_text(before)} to {_text(after)}"
            for name in (*LIBRARIES, *MACHINE)
            if (before := getattr(old.environment, name)) != (after := getattr(new.environment, name))
        ]
        common = old.configs.keys() & new.configs.keys()  # empty if the speed of one was not measured
        lines += config_differences(*({name: each.configs[name] for name in sorted(common)} for each in (old, new)))
        by_pair[f"{versions[old.name]} to {versions[new.name]}"] = lines
    return by_pair


def _text(value: object) -> str:
    """A version, or a property of the machine."""
    return " ".join(value) if isinstance(value, tuple) else str(value)


def config_differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The first MAX_DIFFERENCES differing settings; a change that many layers share is listed once."""
    places: dict[str, list[str]] = {}
    for path, before, after in _differing_values(old, new):
        place, setting = _split_path(path)
        places.setdefault(f"{setting}: {_shortened(before)} to {_shortened(after)}", []).append(place)
    lines = [f"{change} ({at[0] if len(at) == 1 else f'{len(at)} places'})" for change, at in places.items()]
    omitted = len(lines) - MAX_DIFFERENCES
    return [*lines[:MAX_DIFFERENCES], *([f"and {omitted} more"] if omitted > 0 else [])]


def _differing_values(old: Any, new: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """Path, old value and new value of each innermost setting that differs."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in sorted(old.keys() | new.keys()):
            yield from _differing_values(old.get(name, ABSENT), new.get(name, ABSENT), (*path, name))
    elif old != new and _as_code(old) != _as_code(new):
        yield path, old, new


def _split_path(path: tuple[str, ...]) -> tuple[str, str]:
    """The layer or other part of a model, and the setting within it."""
    at = 3 if path[1:2] == ("layers",) else 2
    return " ".join(path[:at]), ".".join(path[at:]) or "value"


def _shortened(value: Any) -> str:
    text = ABSENT if value is ABSENT else _as_code(value)
    return text if len(text) <= MAX_VALUE_LENGTH else f"{text[:MAX_VALUE_LENGTH]}..."


def _as_code(value: Any) -> str:
    """A value as Python code; Keras serializes an object to a map with the name of its class."""
    if not isinstance(value, Mapping) or "class_name" not in value:
        return ADDRESS.sub("", repr(value))
    arguments = ", ".join(f"{name}={_as_code(each)}" for name, each in (value.get("config") or {}).items())
    return f"{value['class_name']}({arguments})"
