"""Tuners: each file here defines one as `TUNER`, and the file's name is the value of --tuner.

A package can add tuners as entry points `name = module:TUNER` in the group `keras_family_bench.tuners`. The contract is
`bench.tuning.tuner.Tuner`. Importing this package does not import Keras; loading a tuner does.
"""

import importlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from bench.errors import check_name
from bench.extensions import check_no_extension, extensions, load_extension
from bench.records.spec import SearchSpec, Value
from bench.tuning.space import count_candidates, parameters
from bench.tuning.trials import Proposal

if TYPE_CHECKING:
    import keras_tuner

    from bench.tuning.tuner import Tuner

GROUP = "keras_family_bench.tuners"


def names() -> tuple[str, ...]:
    """Names of all tuners, sorted; imports none of them."""
    return tuple(sorted({*_built_in(), *extensions(GROUP)}))


def load(name: str) -> "Tuner":
    """Load a tuner by name, after checking the installed Keras Tuner.

    Raises:
        SpecError: the name is unknown or defined twice.
        ExtensionError: the entry point cannot be imported, or is not a tuner.
        CompatibilityError: the installed Keras Tuner does not behave as the tested versions do.
    """
    from bench.compat import run_checks
    from bench.tuning.tuner import Tuner

    run_checks("keras_tuner")
    check_name("tuner", name, names())
    if name in _built_in():
        check_no_extension("tuner", name, GROUP)
        tuner: Tuner = importlib.import_module(f"{__name__}.{name}").TUNER
    else:
        tuner = load_extension(extensions(GROUP)[name], Tuner, "an instance of a Tuner subclass")
    return tuner


def choose(spec: SearchSpec, hyperparameters: "keras_tuner.HyperParameters") -> "Tuner":
    """The tuner for a search: that of `spec`, or grid search if the budget covers the whole space.

    Raises:
        SpecError: the tuner is unknown.
    """
    return load(choose_name(spec, hyperparameters))


def choose_name(spec: SearchSpec, hyperparameters: "keras_tuner.HyperParameters") -> str:
    """The name of the tuner for a search, as `choose`."""
    size = count_candidates(parameters(hyperparameters))
    covered = size is not None and size <= spec.budget.trials
    # In a small space random search stops early, after 20 repeated draws; no tuner can do better than train everything.
    return "grid" if covered and load(spec.tuner).grid_may_replace else spec.tuner


def random_candidates(
    spec: SearchSpec, hyperparameters: "keras_tuner.HyperParameters", candidates: int
) -> tuple[Mapping[str, Value], ...]:
    """Hyperparameters of `candidates` random candidates; fewer if the space is smaller."""
    budget = replace(spec.budget, trials=candidates)
    spec = msgspec.structs.replace(spec, tuner="random", budget=budget)
    proposer = choose(spec, hyperparameters).proposer(spec, hyperparameters)
    values = []
    while isinstance(proposal := proposer.propose(), Proposal):
        values.append(proposal.values)
    return tuple(values)


def _built_in() -> set[str]:
    return {file.stem for file in Path(__file__).parent.glob("[!_]*.py")}
