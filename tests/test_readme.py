"""The README is true: its commands run, and its numbers are those in results/."""

import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest

from command_line import variables
from image_files import noise, save

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands(page: str) -> list[str]:
    return [line for block in re.findall(r"```console\n(.*?)```", page, re.DOTALL) for line in block.splitlines()]


COMMANDS = commands(README)
VENV = "python3 -m venv --without-pip .venv && python3 -m pip --python .venv install"
MAIN = f"{VENV} . && .venv/bin/python -m bench run --family cnn"
TESTS = f"{VENV} tox && .venv/bin/tox"  # run by .ci/run
TIMED = (
    "python -m bench run --family cnn --dataset digits --preset quick"  # run and timed in tests/execution/test_run.py
)
# Those on images, a model and a photo of the reader's own, which are run in this order.
OWN = [line for line in COMMANDS if "photos" in line or "--results mine" in line]
GUIDE = (ROOT / "docs" / "own_images_and_models.md").read_text(encoding="utf-8")
INSTALL, *GUIDE_COMMANDS = commands(GUIDE)
(MY_MODEL,) = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
RUNNING = [line for line in COMMANDS if line not in (MAIN, TESTS, TIMED, *OWN)]
# A run of the main command that takes seconds.
SMALL = "--dataset digits --tuner random --trials 2 --epochs 1 --refit-seeds 1 --workers 2 --data-dir ."
# A forecast times training steps, which takes a minute with the images of Fashion-MNIST.
SMALLER = {"python -m bench run --family dense --family cnn --dry-run": "--dataset digits"}
SECONDS = 280

# Makes the Python outside a virtual environment refuse `pip install` (PEP 668), as on Debian.
EXTERNALLY_MANAGED = """
import sys, sysconfig
from pathlib import Path
if sys.prefix == sys.base_prefix:
    here, get_path = str(Path(__file__).parent), sysconfig.get_path
    sysconfig.get_path = lambda name, *a, **o: here if name == "stdlib" else get_path(name, *a, **o)
"""


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a fresh clone: no models, no caches."""
    folder: Path = tmp_path_factory.mktemp("readme") / "clone"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


def test_readme_has_the_commands_that_are_named_here() -> None:
    assert {MAIN, TESTS, TIMED, *SMALLER} <= set(COMMANDS)
    assert TESTS in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_table_is_that_of_the_leaderboard() -> None:
    table = re.search(r"<!-- leaderboard -->\n(.*?)<!-- /leaderboard -->", README, re.DOTALL)
    assert table is not None
    rows = table_cells(table[1])
    assert len(rows) >= 4
    pages = ("leaderboard.md", "fashion_mnist/README.md")
    published = [row for page in pages for row in table_cells((ROOT / "results" / page).read_text(encoding="utf-8"))]
    assert [row for row in rows if row not in published] == []


def table_cells(text: str) -> list[list[str]]:
    """The cells of all rows of all tables, without links, since these depend on the folder of the page."""
    lines = (line for line in text.splitlines() if line.startswith("|") and not set(line) <= set("|:-"))
    return [[cell.strip() for cell in re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", line).split("|")] for line in lines]


def test_speedups_are_those_of_the_benchmark() -> None:
    page = (ROOT / "results" / "benchmarks" / "versus_keras_tuner.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in row.split("|")] for row in page.splitlines() if "suite, bfloat16" in row]
    measured = {row[1]: row[4] for row in rows[:2]}  # the table of medians comes first
    claimed = re.search(r"trained (\S+) times as many dense trials .* (\S+) times as many cnn", README, re.DOTALL)
    assert claimed is not None
    assert {"dense": claimed[1], "cnn": claimed[2]} == measured


def test_false_positive_rates_are_those_of_the_simulation() -> None:
    page = (ROOT / "results" / "benchmarks" / "power.md").read_text(encoding="utf-8")
    table = re.findall(r"^\|[^|]+\| [\d.]+ and [\d.]+ *\|(.+)\|$", page, re.MULTILINE)
    rates = [float(cell) for row in table for cell in row.split("|")]
    assert len(rates) == 36
    assert f"{min(rates)}% to {max(rates)}% of comparisons" in README.replace("\n  ", " ")


def test_accuracies_of_tuners_are_those_of_the_simulation() -> None:
    page = (ROOT / "results" / "benchmarks" / "tuners.md").read_text(encoding="utf-8")
    claimed = re.search(r"<!-- tuners -->\n(.*?)<!-- /tuners -->", README, re.DOTALL)
    assert claimed is not None
    text = claimed[1].replace("\n", " ")
    for family in ("cnn", "dense"):
        simulated = re.findall(rf"^\| {family} +\|.* simulated \| +(\S+) \| +(\S+) \|", page, re.MULTILINE)
        (mean, low), (random_mean, random_low) = simulated  # hyperband, random
        means = f"{mean}% for both on {family}" if mean == random_mean else f"{mean}% vs. {random_mean}% for {family}"
        assert means in text
        assert f"{low}% vs. {random_low}% for {family}" in text


def test_links_lead_to_files() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.slow
@pytest.mark.parametrize("line", RUNNING)
def test_command_runs(line: str, clone: Path) -> None:
    words = shlex.split(f"{line} {SMALLER.get(line, '')}")
    assert words[:3] == ["python", "-m", "bench"], "other commands need their own test"
    done = subprocess.run(
        [sys.executable, *words[1:]],
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


# Runs with these options take seconds.
SMALL_OWN = {
    "run": "--tuner random --trials 2 --epochs 1 --refit-seeds 1 --workers 2",
    "check-family": "--candidates 4 --workers 2",
}


def fill_with_own_files(folder: Path) -> None:
    """The files of a reader: photos of two classes, a model to tune, a trained model, and a photo."""
    import keras

    for label, name in enumerate(("dark", "light")):
        for number, pixels in enumerate(noise(20, 40, 30, 3, seed=label)):
            save(folder / "photos" / name / f"{number}.png", pixels // 2 + 127 * label)
    save(folder / "new.jpg", noise(1, 60, 50, 3)[0] // 2)
    (folder / "my.py").write_text(MY_MODEL, encoding="utf-8")
    layers = [keras.Input((32, 32, 3)), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2, "softmax")]
    model = keras.Sequential(layers)
    model.set_weights([np.tile([-10.0, 10.0], (3, 1)), np.array([15.0, -15.0])])  # dark below a mean of 0.5
    model.save(folder / "mine.keras")


def test_guide_installs_as_readme_does() -> None:
    assert f"{VENV} . && . .venv/bin/activate" == INSTALL


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lines", "results", "rows"),
    [
        pytest.param(OWN, "mine", ("my", "cnn", "mine"), id="readme"),
        pytest.param(GUIDE_COMMANDS, "results", ("my", "cnn"), id="guide", marks=pytest.mark.long),  # nearly the same
    ],
)
def test_commands_on_own_models_and_images_run(
    lines: list[str], results: str, rows: tuple[str, ...], tmp_path: Path
) -> None:
    assert len(lines) == 7
    fill_with_own_files(tmp_path)
    for line in lines:
        words = shlex.split(line)
        options = shlex.split(SMALL_OWN.get(words[3], ""))
        done = subprocess.run(
            [sys.executable, *words[1:], *options],
            cwd=tmp_path,
            env=variables(XDG_CACHE_HOME=str(tmp_path / "cache")),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{line}: {done.stderr}"
    board = (tmp_path / results / "leaderboard.md").read_text(encoding="utf-8")
    assert all(f"| [{name}](" in board for name in rows)


@pytest.mark.slow
@pytest.mark.smoke
@pytest.mark.timeout(900)
def test_main_command_runs_on_an_externally_managed_python_without_ensurepip(clone: Path, tmp_path: Path) -> None:
    system = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    if subprocess.run([system, "-m", "pip", "--version"], capture_output=True, check=False).returncode != 0:
        pytest.skip(f"{system} has no pip")
    # Without ensurepip, as on Debian, only `venv --without-pip` works.
    lacking = 'case "$*" in *--without-pip*) ;; "-m venv"*) echo "ensurepip is not available" >&2; exit 1;; esac'
    (tmp_path / "python3").write_text(f'#!/bin/sh\n{lacking}\nexec "{system}" "$@"\n', encoding="utf-8")
    (tmp_path / "python3").chmod(0o755)
    (tmp_path / "sitecustomize.py").write_text(EXTERNALLY_MANAGED, encoding="utf-8")
    (tmp_path / "EXTERNALLY-MANAGED").write_text("[externally-managed]\nError=managed by the test\n", encoding="utf-8")
    environment = variables(PATH=f"{tmp_path}:/usr/bin:/bin")
    # Dependencies come from this environment, where tox has installed what the package declares: once is enough.
    environment |= {"PYTHONPATH": f"{tmp_path}:{sysconfig.get_path('purelib')}"}

    def shell(line: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["bash", "-c", line], cwd=clone, env=environment, capture_output=True, text=True, timeout=900, check=False
        )

    refused = shell("python3 -m pip install . || python3 -m venv other")
    assert "externally-managed-environment" in refused.stderr
    assert refused.returncode != 0
    done = shell(f"{MAIN} {SMALL}")
    assert done.returncode == 0, done.stderr
    assert "cnn" in done.stdout
