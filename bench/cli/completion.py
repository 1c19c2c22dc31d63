"""What a shell completes after an option: names of families, datasets, tuners, reference models and runs."""

from collections.abc import Iterable
from pathlib import Path

import typer

import search_spaces
from bench.command import DEFAULT_RESULTS


def families(incomplete: str) -> list[str]:
    """Names of families, and `all`."""
    return _matching(["all", *search_spaces.names()], incomplete)


def family(incomplete: str) -> list[str]:
    """Names of families, where one is expected."""
    return _matching(search_spaces.names(), incomplete)


def datasets(incomplete: str) -> list[str]:
    """Names of datasets."""
    from bench.data import catalog

    return _matching(catalog.names(), incomplete)


def tuners(incomplete: str) -> list[str]:
    """Names of tuners."""
    from bench.tuning import tuners

    return _matching(tuners.names(), incomplete)


def reference_models(incomplete: str) -> list[str]:
    """Names of reference models and their groups."""
    from bench.baselines.catalog import GROUPS, NAMES

    return _matching([*GROUPS, *NAMES], incomplete)


def runs(context: typer.Context, incomplete: str) -> list[str]:
    """Names of models with a run, and run ids, of the results folder that the command line names."""
    every = run_ids(context, "")
    return _matching(dict.fromkeys([*map(_model, every), *every]), incomplete)


def run_ids(context: typer.Context, incomplete: str) -> list[str]:
    """Run ids of the results folder that the command line names."""
    from bench.records.store import all_folders

    group = context.parent.params if context.parent is not None else {}  # `bench runs` has --results, too
    results = Path(context.params.get("results") or group.get("results") or DEFAULT_RESULTS)
    return _matching(sorted(folder.run_id for folder in all_folders(results)), incomplete)


def _model(run_id: str) -> str:
    from bench.records.store import without_digest
    from bench.tuning import tuners

    name = without_digest(run_id)
    model, _, tuner = name.rpartition("-")
    return model if tuner in tuners.names() else name


def _matching(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
