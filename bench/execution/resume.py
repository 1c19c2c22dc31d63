"""The command line that carries out a run, and what may keep it from doing so."""

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import search_spaces
from bench.baselines import catalog as references
from bench.data.catalog import default_budget, names
from bench.errors import SpecError
from bench.execution.options import Options
from bench.machine import usable_cores
from bench.records.spec import DEFAULT_LOOKAHEAD, DEFAULT_REFIT_SEEDS, DEFAULT_TUNER, PROTOCOL_VERSION, RunSpec


def command(specs: Sequence[RunSpec], options: Options) -> str:
    """What to type to carry out `specs`, which differ in family and search seed only, or to go on with them."""
    spec = min(specs, key=lambda one: one.seed)
    if spec.fixed:
        return _reproduce(specs, options)
    usual = default_budget(spec.dataset)
    words = ["python", "-m", "bench", "run"]
    for family in dict.fromkeys(each.family for each in specs):
        words += ["--family", family]
    words_of = {
        "--dataset": (spec.dataset, "fashion_mnist"),
        "--tuner": (spec.tuner, DEFAULT_TUNER),
        "--trials": (spec.budget.trials, usual.trials),
        "--epochs": (spec.budget.epochs, usual.epochs),
        "--seed": (spec.seed, 0),
        "--seeds": (spec.refit_seeds, DEFAULT_REFIT_SEEDS),
        "--searches": (len({each.seed for each in specs}), 1),
        "--precision": (spec.precision, None),
        "--lookahead": (spec.lookahead, DEFAULT_LOOKAHEAD),
        "--budget": (None if spec.time_limit is None else f"{spec.time_limit}s", None),
        "--trial-timeout": (None if options.trial_timeout is None else f"{options.trial_timeout:g}s", None),
        "--workers": (None if options.scheduler else options.workers, usable_cores()),
        "--scheduler": (options.scheduler, None),
        "--data-dir": (options.data_dir, None),
        "--results": (options.results, Path("results")),
    }
    return _joined(words, words_of)


def _reproduce(specs: Sequence[RunSpec], options: Options) -> str:
    """The same for references."""
    words_of = {
        "--dataset": (specs[0].dataset, "fashion_mnist"),
        "--seed": (specs[0].seed, 0),
        # Deterministic ones have a single seed, whatever was asked.
        "--seeds": (max(spec.refit_seeds for spec in specs), DEFAULT_REFIT_SEEDS),
        "--workers": (options.workers, usable_cores()),
        "--data-dir": (options.data_dir, None),
        "--results": (options.results, Path("results")),
    }
    if all(references.describe(spec.family).deterministic for spec in specs):
        del words_of["--seeds"]
    return _joined(["python", "-m", "bench", "reproduce", *(spec.family for spec in specs)], words_of)


def _joined(words: list[str], options: Mapping[str, tuple[Any, Any]]) -> str:
    """`words`, and of `options`, name to value and default, those that are no defaults."""
    for option, (value, default) in options.items():
        if value is not None and value != default:
            words = [*words, option, str(value)]
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


def resume_blocker(spec: RunSpec) -> str | None:
    """Why no command carries out `spec` any more, None where one does."""
    if spec.protocol != PROTOCOL_VERSION:
        return f"it was begun under protocol {spec.protocol}, now it is {PROTOCOL_VERSION}"
    if spec.dataset not in names():
        return f"there is no dataset {spec.dataset!r} here"
    if spec.family not in (references.NAMES if spec.fixed else search_spaces.names()):
        return f"there is no family {spec.family!r} here"
    if spec.source != (references.source if spec.fixed else family_source)(spec.family):
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
