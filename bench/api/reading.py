"""Read a results folder: needs neither TensorFlow nor a dataset."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api.python_names import python_names
from bench.api.run import Run
from bench.command import DEFAULT_RESULTS
from bench.errors import SpecError
from bench.records.files import require_results_dir
from bench.report.comparison import RunComparison, compare_runs
from bench.report.frames import runs_frame
from bench.report.ranking import leaderboard as ranked

if TYPE_CHECKING:
    import pandas as pd


def load(name: str, results: str | Path = DEFAULT_RESULTS) -> Run:
    """The finished run with the model name on the leaderboard or the run id `name`.

    Raises:
        SpecError: there is none, or there are several.
        RecordError: it cannot be read.
        StoreError: there is no results folder.
    """
    with python_names():
        require_results_dir(Path(results))
        return Run(Path(results), name)


def leaderboard(results: str | Path = DEFAULT_RESULTS) -> "pd.DataFrame":
    """One row per model and table, in the order of the leaderboard; a run that cannot be read gives a warning.

    A reference model that is compared in several tables has a row in each. Of repeated runs, only the newest is listed.

    Raises:
        StoreError: there is no results folder.
    """
    with python_names():
        require_results_dir(Path(results))
        board = ranked(Path(results))
    for problem in board.problems:
        warnings.warn(f"could not be read: {problem}", stacklevel=2)
    return runs_frame(board)


def compare(a: Run | str, b: Run | str, results: str | Path | None = None) -> RunComparison:
    """Compare two runs on the same test images: significance test, metrics, errors, costs.

    Args:
        a: a run, its model name on the leaderboard, or its id.
        b: another one.
        results: the results folder, by default that of the runs, or `results`.

    Raises:
        SpecError: there is no such run, several have that name, or they were evaluated on different data.
    """
    given = [each.results for each in (a, b) if isinstance(each, Run)] + ([Path(results)] if results else [])
    folders = {folder.resolve(): folder for folder in given}
    if len(folders) > 1:
        raise SpecError(f"the runs are in different results folders: {', '.join(sorted(map(str, folders.values())))}")
    folder = next(iter(folders.values()), DEFAULT_RESULTS)
    with python_names():
        require_results_dir(folder)
        return compare_runs(folder, *(each.run_id if isinstance(each, Run) else each for each in (a, b)))
