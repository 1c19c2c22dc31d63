"""Errors that the user can fix; any other exception is a bug and keeps its traceback."""

import difflib
from collections.abc import Sequence


class BenchError(Exception):
    """Base of every error that the command line prints as one message, with exit code 2."""


class SpecError(BenchError):
    """A requested run is invalid: an unknown name, or a number out of range."""


class DataError(BenchError):
    """A dataset is missing, invalid, or does not match its checksum."""


class RecordError(BenchError):
    """A record, a ledger or a predictions file is damaged, inconsistent, or has an unknown schema."""


class StoreError(BenchError):
    """The results folder is not writable, is full, or is in use by another run."""


class SearchError(BenchError):
    """A search cannot start or finish: no successful trial, or no workers left."""


class MetricError(BenchError):
    """Arrays to evaluate are invalid or do not fit each other, or a Metric has an invalid field."""


class ExtensionError(BenchError):
    """An extension cannot be loaded, fails or breaks its contract, or an exporter lacks a package or writable store."""


class CompatibilityError(BenchError):
    """An installed library does not behave as the tested versions do."""


class ModelError(BenchError):
    """A model cannot be loaded, exported, or written as code, or does not fit the images."""


def check_name(kind: str, name: str, valid: Sequence[str], hint: str | None = None, *, also: str = "") -> None:
    """Check that `name` is one of the `valid` names.

    Args:
        kind: what it names, for the message.
        name: what the user wrote.
        valid: all valid names.
        hint: what to do; None to suggest the nearest match.
        also: what else the text could have been but is not, after a comma.

    Raises:
        SpecError: it is not.
    """
    if name not in valid:
        nearest = difflib.get_close_matches(name.lower().replace("-", "_"), valid, n=1, cutoff=0.5)
        hint = hint or (f"Did you mean {nearest[0]}?" if nearest else "")
        found = f"unknown {kind} {name!r}{also and f', {also}'}"
        raise SpecError(f"{found}: valid names are {', '.join(valid)}{hint and f'. {hint}'}")
