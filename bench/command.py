"""The command line that carries out a run, and what may keep it from doing so."""

import shlex
from collections.abc import Sequence
from pathlib import Path

import search_spaces
from bench.data.catalog import default_budget, names
from bench.errors import SpecError
from bench.spec import DEFAULT_LOOKAHEAD, DEFAULT_SEEDS, DEFAULT_TUNER, PROTOCOL_VERSION, RunSpec


def command(specs: Sequence[RunSpec], results: Path, data_dir: Path | None = None) -> str:
    """What to type to carry out `specs`, which differ in their family only, or to go on with them."""
    spec = specs[0]
    usual = default_budget(spec.dataset)
    words = ["python", "-m", "bench", "run"]
    for each in specs:
        words += ["--family", each.family]
    options = {
        "--dataset": (spec.dataset, "fashion_mnist"),
        "--tuner": (spec.tuner, DEFAULT_TUNER),
        "--trials": (spec.budget.trials, usual.trials),
        "--epochs": (spec.budget.epochs, usual.epochs),
        "--seed": (spec.seed, 0),
        "--seeds": (spec.seeds, DEFAULT_SEEDS),
        "--precision": (spec.precision, None),
        "--lookahead": (spec.lookahead, DEFAULT_LOOKAHEAD),
        "--data-dir": (data_dir, None),
        "--results": (results, Path("results")),
    }
    for option, (value, default) in options.items():
        if value is not None and value != default:
            words += [option, str(value)]
    return shlex.join(words)


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
