"""The command line that carries out a run, and what may keep it from doing so."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import search_spaces
from bench.data.catalog import default_budget, names
from bench.errors import SpecError
from bench.options import Options
from bench.spec import DEFAULT_LOOKAHEAD, DEFAULT_SEEDS, DEFAULT_TUNER, PROTOCOL_VERSION, RunSpec


def command(specs: Sequence[RunSpec], options: Options) -> str:
    """What to type to carry out `specs`, which differ in their family only, or to go on with them."""
    spec = specs[0]
    usual = default_budget(spec.dataset)
    words = ["python", "-m", "bench", "run"]
    for each in specs:
        words += ["--family", each.family]
    words_of = {
        "--dataset": (spec.dataset, "fashion_mnist"),
        "--tuner": (spec.tuner, DEFAULT_TUNER),
        "--trials": (spec.budget.trials, usual.trials),
        "--epochs": (spec.budget.epochs, usual.epochs),
        "--seed": (spec.seed, 0),
        "--seeds": (spec.seeds, DEFAULT_SEEDS),
        "--precision": (spec.precision, None),
        "--lookahead": (spec.lookahead, DEFAULT_LOOKAHEAD),
        "--budget": (None if spec.seconds is None else f"{spec.seconds}s", None),
        "--trial-timeout": (None if options.trial_timeout is None else f"{options.trial_timeout:g}s", None),
        "--scheduler": (options.scheduler, None),
        "--data-dir": (options.data_dir, None),
        "--results": (options.results, Path("results")),
    }
    for option, (value, default) in words_of.items():
        if value is not None and value != default:
            words += [option, str(value)]
    return shlex.join(words)


def parse_duration(option: str, text: str) -> int:
    """Seconds of a time such as 90s, 10m or 1h30m, which was given for `option`.

    Raises:
        SpecError: it is no such time.
    """
    found = re.fullmatch(r"(?:(\d{1,5})h)?(?:(\d{1,6})m)?(?:(\d{1,7})s)?", text.strip())
    hours, minutes, seconds = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
    if (whole := 3600 * hours + 60 * minutes + seconds) == 0:
        raise SpecError(f"{option} must be a time such as 90s, 10m or 1h30m, got {text!r}")
    return whole


def obstacle(spec: RunSpec) -> str | None:
    """Why no command carries out `spec` any more, None where one does."""
    if spec.protocol != PROTOCOL_VERSION:
        return f"it was begun under protocol {spec.protocol}, now it is {PROTOCOL_VERSION}"
    if spec.dataset not in names():
        return f"there is no dataset {spec.dataset!r} here"
    if spec.family not in search_spaces.names():
        return f"there is no family {spec.family!r} here"
    if spec.family_source != family_source(spec.family):
        return f"the code of family {spec.family!r} has changed since"
    return None


def family_source(family: str) -> str:
    """The digest of the code of `family`.

    Raises:
        SpecError: its file is no Python.
    """
    try:
        return search_spaces.source_digest(family)
    except (SyntaxError, ValueError) as error:
        raise SpecError(f"the file of family {family!r} is no Python: {error}") from error
