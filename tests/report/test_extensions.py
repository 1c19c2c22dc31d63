"""A metric and a page from an installed package that is not part of this one."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from bench.errors import MetricError
from bench.evaluation.metric import BUILT_IN, Metric
from builders import add_run
from command_line import Called, call
from packages import install

MODULE = """
from bench.evaluation.metric import Metric

top_2 = Metric(
    name="top-2 accuracy",
    unit="%",
    direction="higher",
    digits=1,
    compute=lambda evaluated: (
        (evaluated.probabilities.argsort(axis=-1)[..., -2:] == evaluated.labels[:, None]).any(axis=-1).mean()
    ),
    glossary="fraction of images whose true class is among the two most probable ones",
)


class Csv:
    name = "csv"

    def files(self, board):
        lines = ["model,test_accuracy"]
        lines += [f"{row.label},{row.test_accuracy}" for table in board.tables for row in table.everything]
        return {"export/rows.csv": "\\n".join(lines).encode()}


csv = Csv()
"""
ENTRY_POINTS = """
[keras_family_bench.metrics]
top_2 = outside_package:top_2

[keras_family_bench.pages]
csv = outside_package:csv
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an installed distribution."""
    folder = tmp_path_factory.mktemp("site")
    install_module(folder, "outside_package", MODULE, ENTRY_POINTS)
    return folder


def install_module(folder: Path, name: str, module: str, entry_points: str) -> None:
    """Install a distribution with a single module."""
    (folder / f"{name}.py").write_text(module)
    install(folder, name, entry_points)


def call_with(site: Path, *arguments: object, cwd: Path, code: int = 0) -> Called:
    """As `call`, with the distributions in `site` installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        done = call(*arguments, cwd=cwd, code=code)
    sys.modules.pop("broken", None)
    return done


@pytest.fixture(scope="module")
def results(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with two models and its report, made with the distribution installed."""
    folder = tmp_path_factory.mktemp("extended") / "results"
    add_run(folder, [range(20)] * 3)  # 20 of 200 images misclassified
    add_run(folder, [range(30)] * 3, spec={"family": "cnn"})
    call_with(site, "report", cwd=folder.parent)
    return folder


def test_a_metric_is_in_tables_and_glossary(results: Path) -> None:
    leaderboard = (results / "leaderboard.md").read_text()
    dataset = (results / "synthetic" / "README.md").read_text()
    model = (results / "synthetic" / "dense.md").read_text()
    assert all("top-2 accuracy (%)" in page for page in (leaderboard, dataset, model))
    assert "- **top-2 accuracy**: fraction of images whose true class is among the two most probable ones." in dataset


def test_a_metric_is_in_json_and_comparison(site: Path, results: Path) -> None:
    rows = json.loads(call_with(site, "leaderboard", "--json", cwd=results.parent).stdout)
    values = [row["metrics"]["top_2_accuracy"] for row in rows]
    # At least the images that are classified correctly.
    assert all(0.85 <= value <= 1 for value in values)
    text = call_with(site, "compare", "dense", "cnn", cwd=results.parent).stdout
    assert f"{100 * values[0]:.1f}" in next(line for line in text.splitlines() if line.startswith("top-2 accuracy (%)"))
    compared = json.loads(call_with(site, "compare", "dense", "cnn", "--json", cwd=results.parent).stdout)
    assert compared["metrics"]["top_2_accuracy"] == values


def test_a_page_is_written_and_checked(site: Path, results: Path) -> None:
    csv = results / "export" / "rows.csv"
    assert csv.read_text() == "model,test_accuracy\ndense,0.9\ncnn,0.85"
    (results / "records" / "synthetic" / "test_evaluations.jsonl").write_text(
        '{"time": "2026-01-01T00:00:00+00:00", "run": "dense"}\n' * 2
    )
    call_with(site, "report", cwd=results.parent)
    call_with(site, "report", "--check", cwd=results.parent)
    csv.write_text("edited")
    checked = call_with(site, "report", "--check", cwd=results.parent, code=1)
    assert "export/rows.csv is out of date" in checked.stdout


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("import absent", "broken:top_2 in keras_family_bench.metrics cannot be imported: ModuleNotFoundError"),
        (
            MODULE.replace("top-2 accuracy", "third").replace("evaluated.labels[:, None]", "evaluated.absent"),
            "metric 'third' of broken failed: AttributeError",
        ),
        (
            MODULE.replace("top-2 accuracy", "third").replace(".mean()\n", ".mean() * float('nan')\n"),
            "metric 'third' of broken: expected a finite number, got nan",
        ),
    ],
    ids=["import", "exception", "nan"],
)
def test_broken_metric_is_named(module: str, expected: str, site: Path, results: Path, tmp_path: Path) -> None:
    install_module(tmp_path, "broken", module, "[keras_family_bench.metrics]\nbroken = broken:top_2\n")
    failed = call_with(tmp_path, "leaderboard", cwd=results.parent, code=2)
    assert expected in failed.stderr
    assert "uninstall the package" in failed.stderr


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ('return {"a.txt": "text"}', "page 'csv' makes a.txt as str: expected bytes or a Picture"),
        ("return board.absent", "page 'csv' failed: AttributeError"),
    ],
    ids=["text", "exception"],
)
def test_broken_page_is_named_and_no_traceback_is_shown(
    code: str, expected: str, results: Path, tmp_path: Path
) -> None:
    module = f"class Csv:\n    name = 'csv'\n\n    def files(self, board):\n        {code}\n\n\ncsv = Csv()\n"
    install_module(tmp_path, "broken", module, "[keras_family_bench.pages]\nbroken = broken:csv\n")
    assert expected in call_with(tmp_path, "report", "--check", cwd=results.parent, code=2).stderr


def test_stale_file_that_another_command_removes_first_is_no_error(results: Path, tmp_path: Path) -> None:
    module = (
        "from matplotlib.figure import Figure\n\nfrom bench.report.figures.picture import picture\n\n\n"
        "class Meanwhile:\n    name = 'meanwhile'\n\n    def files(self, board):\n"
        "        def draw():\n            (board.results / 'synthetic/figures/stale.png').unlink()\n"
        "            return Figure()\n\n"
        "        return {'meanwhile.png': picture('meanwhile', [], draw)}\n\n\npage = Meanwhile()\n"
    )
    install_module(tmp_path, "meanwhile", module, "[keras_family_bench.pages]\nmeanwhile = meanwhile:page\n")
    shutil.copytree(results, tmp_path / "results")
    figures = tmp_path / "results" / "synthetic" / "figures"
    shutil.copy(next(figures.glob("*.png")), figures / "stale.png")
    call_with(tmp_path, "report", cwd=tmp_path)
    assert (tmp_path / "results" / "meanwhile.png").exists()
    assert not (figures / "stale.png").exists()


def test_without_the_package_its_metric_is_gone(results: Path) -> None:
    rows = json.loads(call("leaderboard", "--json", cwd=results.parent).stdout)
    assert set(rows[0]["metrics"]) == {metric.key for metric in BUILT_IN}


def test_two_metrics_of_one_name_are_an_error(site: Path, results: Path, tmp_path: Path) -> None:
    module = MODULE.replace("top-2 accuracy", "log loss")
    install_module(tmp_path, "second", module, "[keras_family_bench.metrics]\nsecond = second:top_2\n")
    failed = call_with(tmp_path, "leaderboard", cwd=results.parent, code=2)
    assert "second:top_2 in keras_family_bench.metrics: there is another metric called 'log loss'" in failed.stderr


def test_invalid_metrics_are_refused() -> None:
    with pytest.raises(MetricError, match="direction must be higher, lower or None, got 'up'"):
        Metric(name="x", unit="", direction="up", digits=1, compute=lambda _: 0.0, glossary="x")  # type: ignore[arg-type]
    with pytest.raises(MetricError, match="needs a name"):
        Metric(name="", unit="", direction=None, digits=1, compute=lambda _: 0.0, glossary="x")
