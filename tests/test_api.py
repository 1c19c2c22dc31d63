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


def test_compare_tests_the_difference_of_two_runs() -> None:
    comparison = bench.compare(GOLDEN, "cnn", "dense-8510e8")
    assert (comparison.a.label, comparison.b.label) == ("cnn", "dense-8510e8")
    assert comparison.test.difference.mean > 0


@pytest.mark.parametrize("name", ["run", "verify"])
def test_function_that_trains_is_that_of_the_command(name: str) -> None:
    from bench.execution import runner, verify

    assert getattr(bench, name) is {"run": runner.run, "verify": verify.verify}[name]


def test_every_name_of_the_api_exists() -> None:
    assert all(hasattr(bench, name) for name in bench.__all__)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'bench' has no attribute 'ran'"):
        _ = bench.ran
