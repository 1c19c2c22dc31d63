"""The README's main command runs, and the numbers in the README and the documentation are those in results/."""

import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from command_line import variables
from doc_pages import INSTALL, MAIN, PAGES, ROOT, TESTS, blocks, clone_to, text_of

TEXT = "\n".join(map(text_of, PAGES))

NUMBERS = {"1": "one", "2": "two", "3": "three"}

# A run of the main command that takes seconds.
SMALL = "--dataset digits --tuner random --trials 1 --epochs 1 --refit-seeds 1 --workers 1 --data-dir ."

# Makes the Python outside a virtual environment refuse `pip install` (PEP 668), as on Debian.
EXTERNALLY_MANAGED = """
import sys, sysconfig
from pathlib import Path
if sys.prefix == sys.base_prefix:
    here, get_path = str(Path(__file__).parent), sysconfig.get_path
    sysconfig.get_path = lambda name, *a, **o: here if name == "stdlib" else get_path(name, *a, **o)
"""


def test_readme_has_the_main_commands() -> None:
    commands = {command for block in blocks("README.md") for command in block.commands}
    assert MAIN in commands
    assert TESTS in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert TESTS in TEXT
    assert MAIN.startswith(INSTALL.partition(" && . .venv")[0])


def test_ci_fails_if_tox_cannot_be_installed_though_an_earlier_one_is_there(tmp_path: Path) -> None:
    scripts = {".venv/bin/tox": "exit 0", "bin/python3": "exit 1", "bin/chromium": "exit 0"}
    for name, text in scripts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    (tmp_path / ".ci").mkdir()
    ci = shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci" / "run")
    done = subprocess.run(["bash", ci], env=variables(PATH=f"{tmp_path}/bin:/usr/bin:/bin"), check=False)
    assert done.returncode == 1


def test_tables_of_the_leaderboard_are_copies() -> None:
    pages = ("leaderboard.md", "fashion_mnist/README.md")
    published = [row for page in pages for row in table_cells((ROOT / "results" / page).read_text(encoding="utf-8"))]
    for table in re.findall(r"<!-- leaderboard -->\n(.*?)<!-- /leaderboard -->", TEXT, re.DOTALL):
        rows = table_cells(table)
        assert len(rows) >= 4
        assert [row for row in rows if row not in published] == []


def test_findings_are_copies() -> None:
    published = " ".join((ROOT / "results" / "leaderboard.md").read_text(encoding="utf-8").split())
    (block,) = re.findall(r"<!-- findings -->\n(.*?)<!-- /findings -->", TEXT, re.DOTALL)
    findings = [" ".join(finding.split()) for finding in re.split(r"^- ", block, flags=re.MULTILINE)[1:]]
    assert len(findings) >= 2
    assert [finding for finding in findings if f"- {finding}" not in published] == []
    (human,) = re.findall(r"human accuracy of\s+([\d.]+%)", text_of("README.md"))
    assert f"human accuracy of {human}" in published


def table_cells(text: str) -> list[list[str]]:
    """The cells of all rows of all tables, without links, since these depend on the folder of the page."""
    lines = (line for line in text.splitlines() if line.startswith("|") and not set(line) <= set("|:-"))
    return [[cell.strip() for cell in re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", line).split("|")] for line in lines]


def test_speedups_are_those_of_the_benchmark() -> None:
    page = (ROOT / "results" / "benchmarks" / "versus_keras_tuner.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in row.split("|")] for row in page.splitlines() if "| suite, " in row]
    # The table of medians comes first.
    measured = {(row[1], row[2].removeprefix("suite, ")): row[3] for row in rows[:4]}
    assert len(measured) == 4
    claims = re.findall(
        r"in bfloat16 trained\s(\S+) times as many dense\strials.*?and (\S+) times as many cnn.*?"
        r"both in float32, it was (\S+) and\s(\S+)\stimes",
        TEXT,
        re.DOTALL,
    )
    assert claims == [
        tuple(measured[family, precision] for precision in ("bfloat16", "float32") for family in ("dense", "cnn"))
    ]


def test_comparison_with_the_tutorial_of_keras_tuner_is_that_of_the_benchmark() -> None:
    page = (ROOT / "results" / "benchmarks" / "time_to_accuracy.md").read_text(encoding="utf-8")
    header, *summary = table_cells(page.partition("## Rounds")[0])
    rows = {cells[1]: dict(zip(header, cells, strict=True)) for cells in summary}
    (rounds,) = re.findall(r"^The same in every row: .*\brounds: (\d+)", page, re.MULTILINE)
    speedups = {name: row["speedup, median"] for name, row in rows.items()}
    low, high = (rows["tutorial"][name] for name in ("lowest", "highest"))
    differences = {name: row["difference (pp)"].partition(" ")[0] for name, row in rows.items()}
    claims = re.findall(
        r"(\S+)\s+times \((\S+) to (\S+) in (\w+) rounds\) as fast\s+as.*?(\S+) points\s+more accurate.*?"
        r"stock Hyperband\s+over.*?(\S+) times as fast, and for cnn (\S+) times, "
        r"with\s+accuracies that differ by (\S+) and (\S+)\s+points",
        TEXT,
        re.DOTALL,
    )
    assert len(claims) == 2
    tutorial = speedups["tutorial"], low, high, NUMBERS[rounds], differences["tutorial"].removeprefix("+")
    assert set(claims) == {
        (*tutorial, *(values[name] for values in (speedups, differences) for name in ("dense", "cnn")))
    }


def test_start_up_time_is_that_of_the_benchmark() -> None:
    page = (ROOT / "results" / "benchmarks" / "startup.md").read_text(encoding="utf-8")
    measured = float(re.findall(r"^\| current .*\| +([\d.]+) \| \w+", page, re.MULTILINE)[0])
    claims = re.findall(r"first training step (\S+) s after", TEXT)
    assert claims
    assert all(float(claim) == pytest.approx(measured, abs=0.05) for claim in claims)


def test_false_positive_rates_are_those_of_the_simulation() -> None:
    page = (ROOT / "results" / "benchmarks" / "power.md").read_text(encoding="utf-8")
    table = re.findall(r"^\|[^|]+\| [\d.]+ and [\d.]+ *\|(.+)\|$", page, re.MULTILINE)
    rates = [float(cell) for row in table for cell in row.split("|")]
    assert len(rates) == 36
    claims = re.findall(r"(\S+)% to (\S+)% of\s+comparisons", TEXT)
    assert claims
    assert set(claims) == {(str(min(rates)), str(max(rates)))}


def test_accuracies_of_tuners_are_those_of_the_simulation() -> None:
    page = (ROOT / "results" / "benchmarks" / "tuners.md").read_text(encoding="utf-8")
    claims = re.findall(r"<!-- tuners -->\n(.*?)<!-- /tuners -->", TEXT, re.DOTALL)
    assert claims
    for claimed in claims:
        text = claimed.replace("\n", " ")
        for family in ("cnn", "dense"):
            simulated = re.findall(rf"^\| {family} +\|.* simulated \| +(\S+) \| +(\S+) \|", page, re.MULTILINE)
            (mean, low), (random_mean, random_low) = simulated  # hyperband, random
            same = mean == random_mean
            means = f"{mean}% for both on {family}" if same else f"{mean}% vs. {random_mean}% for {family}"
            assert means in text
            assert f"{low}% vs. {random_low}% for {family}" in text
        twice = re.search(r"^\| dense +\| +90 \| random .* \+([\d.]+) \(\+", page, re.MULTILINE)
        assert twice is not None
        assert f"the {twice[1]} points with twice the budget" in text
        larger = re.findall(
            r"^\| \w+ +\| +(?:180|360|48|96) \| random .* ([+-][\d.]+) \(([+-][\d.]+) to ([+-][\d.]+)\) \|$",
            page,
            re.MULTILINE,
        )
        assert len(larger) == 4
        assert all(float(low) <= 0 <= float(high) for _, low, high in larger)
        assert f"differ by at most {max(abs(float(mean)) for mean, *_ in larger):.2f} points" in text
        assert not re.search(r"hyperband with factor \d is shown to be better", page)


def test_bound_of_bfloat16_is_that_of_the_benchmark() -> None:
    page = (ROOT / "results" / "benchmarks" / "bfloat16.md").read_text(encoding="utf-8")
    bounds = [float(value) for value in re.findall(r"95% upper bound of ([\d.]+) \(goal", page)]
    claims = re.findall(r"less than\s+([\d.]+) points on average\s+\(95%\s+upper\s+bound", TEXT)
    assert claims
    assert all(max(bounds) <= float(claim) <= max(bounds) + 0.011 for claim in claims)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_main_command_runs_on_an_externally_managed_python_without_ensurepip(tmp_path: Path) -> None:
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
    clone = clone_to(tmp_path / "clone")

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
