"""Options that several commands share."""

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from bench.errors import SpecError

Results = Annotated[Path, typer.Option("--results", metavar="DIR", help="Folder with records and reports.")]
DatasetOption = Annotated[
    str,
    typer.Option(
        "--dataset",
        metavar="DATASET",
        help="Dataset name (see `bench list`) or path to a Python file that defines one.",
    ),
]
DataDir = Annotated[Path | None, typer.Option("--data-dir", metavar="DIR", help="Folder with the dataset's files.")]
Seed = Annotated[int, typer.Option(help="Base seed, from which all random seeds are derived.")]
Workers = Annotated[int | None, typer.Option(show_default="one per usable core", help="Number of worker processes.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON at full precision.")]


def parse_duration(option: str, text: str) -> int:
    """Convert a duration such as 90s, 10m or 1h30m to seconds.

    Raises:
        SpecError: `text`, the value of `option`, is not a duration, or is zero.
    """
    match = re.fullmatch(r"(?:(\d{1,5})h)?(?:(\d{1,6})m)?(?:(\d{1,7})s)?", text.strip())
    hours, minutes, seconds = (int(part or 0) for part in match.groups()) if match else (0, 0, 0)
    if (total := 3600 * hours + 60 * minutes + seconds) == 0:
        raise SpecError(f"{option} must be a positive duration such as 90s, 10m or 1h30m, got {text!r}")
    return total


def check_name(kind: str, name: str, valid: Sequence[str]) -> None:
    """Check that `name` is one of the `valid` names.

    Raises:
        SpecError: it is not; the message suggests the nearest match.
    """
    if name not in valid:
        nearest = difflib.get_close_matches(name.lower().replace("-", "_"), valid, n=1, cutoff=0.5)
        hint = f". Did you mean {nearest[0]}?" if nearest else ""
        raise SpecError(f"unknown {kind} {name!r}: valid names are {', '.join(valid)}{hint}")
