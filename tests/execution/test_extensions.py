"""One extension of each kind, all from outside the package, work together in a run, its report and its JSON."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.records.store import all_folders
from command_line import call, run, training_here, variables

pytestmark = pytest.mark.slow

# A family is a file in the folder `search_spaces` of the working folder.
FAMILY = """
import keras
from search_spaces import Family


class Narrow(Family):
    def architecture(self, hp, images):
        units = hp.Int("units", 4, 64)
        return keras.layers.Dense(units, activation="relu")(keras.layers.Flatten()(images))
"""

# A dataset is a file anywhere.
DATASET = """
import numpy as np
from bench.data import DatasetDefinition


def images(classes, seed):
    labels = np.repeat(np.arange(3), classes)
    pixels = np.random.default_rng(seed).integers(0, 60, (len(labels), 6, 6, 1))
    pixels[np.arange(len(labels)), labels] += 150
    return pixels.astype(np.uint8), labels, "generated"


DATASET = DatasetDefinition(
    title="Stripes",
    class_names=("top", "second", "third"),
    license="public domain",
    image_shape=(6, 6, 1),
    n_test=60,
    development=lambda access: images(100, 0),
    test=lambda access: images(20, 1),
)
"""

# Tuners, metrics and pages are objects in an installed distribution.
DISTRIBUTION = """
import keras_tuner
from bench.evaluation.metric import Metric
from bench.tuning.tuner import Tuner, settings


class Descending(Tuner):
    needs_results = False

    def oracle(self, spec, hyperparameters):
        return DescendingOracle(spec.budget.trials, **settings(spec, hyperparameters))


class DescendingOracle(keras_tuner.Oracle):
    def __init__(self, trials, **arguments):
        super().__init__(max_trials=trials, **arguments)
        self.units = [64 - 8 * number for number in range(trials)]

    def populate_space(self, trial_id):
        if not self.units:
            return {"status": "STOPPED", "values": None}
        values = {hp.name: hp.default for hp in self.hyperparameters.space}
        return {"status": "RUNNING", "values": values | {"units": self.units.pop(0)}}


class CsvPage:
    name = "csv"

    def files(self, board):
        rows = [f"{row.label},{row.run.record.dataset.name}" for table in board.tables for row in table.rows]
        return {"models.csv": "\\n".join(["model,dataset", *rows, ""]).encode()}


TUNER = Descending()
METRIC = Metric(
    name="confidence",
    unit="%",
    direction=None,
    digits=1,
    compute=lambda evaluated: evaluated.probabilities.max(axis=-1).mean(),
    glossary="mean probability of the predicted class",
)
PAGE = CsvPage()
"""
ENTRY_POINTS = """
[keras_family_bench.tuners]
descending = outside_extensions:TUNER

[keras_family_bench.metrics]
confidence = outside_extensions:METRIC

[keras_family_bench.pages]
csv = outside_extensions:PAGE
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """A working folder with a search of the family by the tuner on the dataset, and the folder of packages."""
    cwd, site = tmp_path_factory.mktemp("work"), tmp_path_factory.mktemp("site")
    (cwd / "search_spaces").mkdir()
    (cwd / "search_spaces" / "narrow.py").write_text(FAMILY)
    (cwd / "stripes.py").write_text(DATASET)
    (site / "outside_extensions.py").write_text(DISTRIBUTION)
    metadata = site / "outside_extensions-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: outside-extensions\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(ENTRY_POINTS)
    search = ("--family", "narrow", "--dataset", "stripes.py", "--tuner", "descending", "--trials", 3, "--epochs", 2)
    with training_here(site, cwd):
        call("run", *search, "--refit-seeds", 1, "--searches", 2, "--workers", 1, cwd=cwd)
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
    records = [folder.read_record() for folder in all_folders(cwd / "results")]
    assert [record.dataset.title for record in records] == ["Stripes", "Stripes"]
    for record in records:
        assert record.search is not None
        assert [trial.values["units"] for trial in record.search.trials] == [64, 56, 48]
        assert record.spec.name.startswith("narrow-descending-")


def test_metric_is_in_pages_glossary_json_and_comparison(cwd: Path) -> None:
    assert "confidence (%)" in (cwd / "results/leaderboard.md").read_text()
    page = (cwd / "results/stripes/README.md").read_text()
    assert "**confidence**: mean probability of the predicted class" in page
    rows = json.loads(call("leaderboard", "--json", cwd=cwd).stdout)
    assert all(1 / 3 < row["metrics"]["confidence"] <= 1 for row in rows)
    a, b = (folder.path.name for folder in all_folders(cwd / "results"))
    assert "confidence" in call("compare", a, b, cwd=cwd).stdout


def test_page_is_made_and_checked(cwd: Path) -> None:
    page = cwd / "results/models.csv"
    assert len(page.read_text().splitlines()) == 3
    call("report", "--check", cwd=cwd)
    page.write_text("edited")
    assert "models.csv is out of date" in call("report", "--check", cwd=cwd, code=1).stdout
    call("report", cwd=cwd)


def test_run_on_a_dataset_file_is_resumed_with_its_path(cwd: Path) -> None:
    folder = next(all_folders(cwd / "results"))
    unfinished = folder.path.with_name(f"{folder.path.name}-repeat2")
    unfinished.mkdir()
    for file in (folder.spec_file, folder.ledger):
        (unfinished / file.name).write_bytes(file.read_bytes())
    call("resume", unfinished.name, cwd=cwd)
    assert (unfinished / "predictions.npz").read_bytes() == folder.predictions_file.read_bytes()
