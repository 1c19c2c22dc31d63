"""The extensions of docs/extensions.md, one of each kind, work together in a run, its report and its JSON."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.records.store import all_folders
from command_line import call, run, training_here, variables
from doc_pages import reader

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """The working folder of a reader who followed the page, and the folder of packages."""
    cwd, site = tmp_path_factory.mktemp("work"), tmp_path_factory.mktemp("site")
    (cwd / "search_spaces").mkdir()
    with training_here(site, cwd), reader(cwd, site) as following:
        following.follow("docs/extensions.md")
        yield cwd, site


@pytest.fixture
def cwd(installed: tuple[Path, Path]) -> Path:
    return installed[0]


def test_all_of_them_are_listed(installed: tuple[Path, Path]) -> None:
    cwd, site = installed
    names = json.loads(run("list", "--json", cwd=cwd, env=variables(site)).stdout)
    assert "narrow" in names["families"]
    assert "descending" in names["tuners"]


def test_family_and_dataset_are_searched_by_the_tuner(cwd: Path) -> None:
    (record,) = [folder.read_record() for folder in all_folders(cwd / "results")]
    assert record.dataset.title == "Stripes"
    assert record.search is not None
    assert [trial.values["units"] for trial in record.search.trials] == [64, 56, 48]
    assert record.spec.name.startswith("narrow-descending-")


def test_metric_is_in_pages_glossary_and_json(cwd: Path) -> None:
    assert "mean confidence (%)" in (cwd / "results/leaderboard.md").read_text()
    page = (cwd / "results/stripes/README.md").read_text()
    assert "**mean confidence**: mean probability of the predicted class" in page
    rows = json.loads(call("leaderboard", "--json", cwd=cwd).stdout)
    assert all(1 / 3 < row["metrics"]["mean_confidence"] <= 1 for row in rows)


def test_page_is_made_and_checked(cwd: Path) -> None:
    page = cwd / "results/models.csv"
    assert page.read_text().startswith("model,test_accuracy\nnarrow,")
    call("report", "--check", cwd=cwd)
    page.write_text("edited")
    assert "models.csv is out of date" in call("report", "--check", cwd=cwd, code=1).stdout
    call("report", cwd=cwd)


def test_metric_is_compared(cwd: Path) -> None:
    call("reproduce", "baseline-majority", "--dataset", "stripes.py", cwd=cwd)
    assert "mean confidence" in call("compare", "narrow", "baseline-majority", cwd=cwd).stdout


def test_run_on_a_dataset_file_is_resumed_with_its_path(cwd: Path) -> None:
    folder = next(each for each in all_folders(cwd / "results") if each.run_id.startswith("narrow"))
    unfinished = folder.path.with_name(f"{folder.path.name}-repeat2")
    unfinished.mkdir()
    for file in (folder.spec_file, folder.ledger):
        (unfinished / file.name).write_bytes(file.read_bytes())
    call("resume", unfinished.name, cwd=cwd)
    assert (unfinished / "predictions.npz").read_bytes() == folder.predictions_file.read_bytes()
