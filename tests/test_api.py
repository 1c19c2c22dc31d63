"""The Python API: small, lazy, and the same functions as the command line."""

import subprocess
import sys
from pathlib import Path

import pytest

import bench
from bench.machine import installed_version
from command_line import SOURCE

GOLDEN = Path(__file__).parent / "golden" / "results"


def test_import_of_bench_loads_no_library() -> None:
    code = (
        "import sys, bench; print(sorted({name.split('.')[0] for name in sys.modules} & {'pandas', 'numpy', 'dask'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=SOURCE, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_version_is_that_of_the_installed_package() -> None:
    assert bench.__version__ == installed_version("keras-family-bench")


def test_leaderboard_reads_a_results_folder() -> None:
    board = bench.leaderboard(GOLDEN)
    assert {row.run.record.spec.model for table in board.tables for row in table.rows} >= {"cnn", "dense"}


def test_run_is_the_function_behind_the_command() -> None:
    from bench.execution import runner

    assert bench.run is runner.run


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'bench' has no attribute 'ran'"):
        _ = bench.ran
