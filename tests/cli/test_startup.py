"""How the commands start: fast, without TensorFlow, and in tox from the installed package."""

import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from command_line import variables
from processes import SOURCE, python
from whole_runs import Finished

needs_tox = pytest.mark.skipif("TOX_ENV_NAME" not in os.environ, reason="outside tox the checkout is tested")


def run_bench(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "bench", *arguments]
    return subprocess.run(command, cwd=SOURCE, capture_output=True, text=True, timeout=60, check=False)


LIGHT = """
import sys
from bench.cli.app import main

for command in sys.argv[1:]:
    sys.argv = ["bench", *command.split()]
    try:
        main()
    except SystemExit as ended:
        assert ended.code in (0, 2), command  # 2: these results have no record
    assert not {"tensorflow", "keras", "keras_tuner"} & set(sys.modules), command
print("none imported TensorFlow")
"""


@pytest.mark.parametrize(
    "commands",
    [
        ["--help"],
        pytest.param(["list", "leaderboard", "report", "runs", "versions show"], marks=pytest.mark.slow),
    ],
)
def test_light_commands_start_without_tensorflow(commands: list[str], tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", LIGHT, *commands],
        cwd=tmp_path,
        env=variables(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert done.stdout.endswith("none imported TensorFlow\n")


@pytest.mark.quiet
def test_help_answers_in_half_a_second() -> None:
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        assert run_bench("--help").returncode == 0
        seconds.append(time.perf_counter() - start)
    # The minimum: other processes on the machine only add to it.
    assert min(seconds) < 0.5, ", ".join(f"{value:.2f} s" for value in seconds)


def test_command_line_imports_neither_numpy_nor_multiprocessing() -> None:
    code = "import bench.cli.app, sys; print(sorted({'multiprocessing', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"


def test_runner_imports_no_slow_library_before_the_fork_server_starts() -> None:
    code = (
        "import bench.cli.app, bench.execution.runner, sys;"
        "print(sorted({'distributed', 'pandas', 'scipy', 'sklearn', 'statsmodels'} & set(sys.modules)))"
    )
    assert python(code) == "[]\n"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere workers are not forked")
def test_run_imports_tensorflow_in_no_process_but_the_fork_server(tiny: Finished) -> None:
    assert (tiny.results.parent / "imported").read_text() == ""


@needs_tox
@pytest.mark.parametrize("package", ["bench", "search_spaces"])
def test_installed_package_is_tested_and_not_the_checkout(package: str) -> None:
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert Path(str(spec.origin)).is_relative_to(sys.prefix)


@needs_tox
def test_console_script_equals_the_module() -> None:
    (script,) = Path(sys.executable).parent.glob("bench*")
    done = subprocess.run([script, "list"], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == run_bench("list").stdout


@pytest.mark.slow
def test_fast_tests_import_no_tensorflow() -> None:
    code = (
        "import pytest, sys\n"
        "pytest.main(['--collect-only', '-q', '-m', 'not slow and not quiet'])\n"
        "print({'keras', 'tensorflow'} & set(sys.modules), file=sys.stderr)"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert done.stderr == "set()\n"
