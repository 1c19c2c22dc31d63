"""The command line that carries out a run."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from bench.data.catalog import default_budget
from bench.spec import DEFAULT_LOOKAHEAD, DEFAULT_SEEDS, DEFAULT_TUNER, RunSpec


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
