"""What the README shows is true: each command in it runs, and each of its figures stands in results/."""

import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from bench.machine import supports_bfloat16
from command_line import variables

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL) for line in block.splitlines()]
# Carried out in a new virtual environment, or, the tests' own command, by .ci/run.
INSTALLING = [line for line in COMMANDS if "pip install" in line]
TIMED = "python -m bench run --family cnn --dataset digits"  # carried out in test_run.py, which also times it
RUNNING = [line for line in COMMANDS if line not in (*INSTALLING, TIMED)]
SECONDS = 280


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's files as a clone has them, models and caches left out."""
    folder: Path = tmp_path_factory.mktemp("readme") / "clone"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


def test_the_two_commands_stand_in_it() -> None:
    assert "pip install . && python -m bench run --family cnn" in INSTALLING
    assert "pip install tox && tox" in INSTALLING
    assert TIMED in COMMANDS
    assert "pip install tox && tox" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_its_table_is_that_of_the_leaderboard() -> None:
    shown = re.search(r"<!-- leaderboard -->\n(.*?)<!-- /leaderboard -->", README, re.DOTALL)
    assert shown is not None
    rows = [line for line in shown[1].splitlines() if line.startswith("|")]
    assert len(rows) >= 4
    leaderboard = (ROOT / "results" / "leaderboard.md").read_text(encoding="utf-8").splitlines()
    assert [row for row in rows if row not in leaderboard] == []


def test_its_speeds_are_those_of_the_benchmark() -> None:
    page = (ROOT / "results" / "benchmarks" / "versus_keras_tuner.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in row.split("|")] for row in page.splitlines() if "suite, bfloat16" in row]
    measured = {row[1]: row[4] for row in rows[:2]}  # the table of medians comes first
    shown = re.search(r"trained (\S+) times as many dense trials .* (\S+) times as many of cnn", README, re.DOTALL)
    assert shown is not None
    assert {"dense": shown[1], "cnn": shown[2]} == measured


def test_its_links_lead_somewhere() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.slow
@pytest.mark.parametrize("line", RUNNING)
def test_each_command_runs(line: str, clone: Path) -> None:
    words = shlex.split(line)
    assert words[:3] == ["python", "-m", "bench"], "a command of another kind needs a test of its own"
    finished = "run" in words and "--dataset" not in words
    # The committed runs searched in bfloat16; where the processor has none, the same command would train for minutes.
    precision = ["--precision", "bfloat16"] if finished else []
    done = subprocess.run(
        [sys.executable, *words[1:], *precision],
        cwd=clone,
        env=variables(clone),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout or done.stderr
    if finished and "--dry-run" not in words:
        assert "Finished before" in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(
    not supports_bfloat16(), reason="the committed run searched in bfloat16, which this processor lacks"
)
def test_the_main_command_runs_in_a_new_virtual_environment(clone: Path) -> None:
    line = next(line for line in INSTALLING if ".venv" in line)
    # Dependencies are found in this environment, where tox has installed what the package declares: once is enough.
    variables_of_a_user = variables() | {"PYTHONPATH": sysconfig.get_path("purelib")}
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=clone,
        env=variables_of_a_user,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Finished before" in done.stderr
    assert "cnn" in done.stdout
