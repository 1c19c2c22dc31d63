"""`bench reproduce`: tutorials and classifiers, trained on digits in real processes."""

from pathlib import Path

import numpy as np
import pytest

from bench.baselines.catalog import CLASSIFIERS, NAMES
from bench.records.evaluation_log import EvaluationLog
from bench.records.ledger import RefitEnded
from bench.records.store import all_folders
from bench.report.runs import load
from command_line import call, started

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("here")]

REPRODUCE = ("reproduce", "--dataset", "digits", "--refit-seeds", "2")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All reference models on digits."""
    cwd = tmp_path_factory.mktemp("reproduce")
    call("reproduce", "--dataset", "digits", "--refit-seeds", 1, cwd=cwd)
    return cwd / "results"


def test_every_suitable_model_is_evaluated_once(results: Path) -> None:
    runs = {run.label: run for run in load(results).runs}
    # The convolutional network needs larger images.
    suitable = set(NAMES) - {"tutorial-cnn"}
    assert set(runs) == suitable
    assert len(EvaluationLog(results, "digits").read()) == len(suitable)
    assert runs["baseline-majority"].scores.accuracy < 0.15
    for name in suitable - {"baseline-majority"}:
        assert runs[name].scores.accuracy > 0.75, name
    assert all(np.isfinite(runs[name].scores.log_loss) for name in CLASSIFIERS)


def test_report_is_up_to_date(results: Path) -> None:
    call("report", "--check", cwd=results.parent)
    assert "tutorial-linear" in (results / "tutorials.md").read_text()
    for name in CLASSIFIERS:
        assert f"\n### Code of {name}\n" in (results / "digits" / f"{name}.md").read_text()


def test_complete_models_are_not_retrained(results: Path) -> None:
    # A deterministic model is trained once, regardless of the number of seeds.
    done = call(*REPRODUCE, "baseline-majority", "--quiet", cwd=results.parent)
    assert done.stderr == "Already complete; nothing trained. Use --again to rerun.\n"


@pytest.mark.smoke
def test_killed_command_resumes_with_equal_predictions(tmp_path: Path) -> None:
    arguments = (*REPRODUCE, "tutorial-dense-128", "--workers", "1")
    call(*arguments, "--results", "whole", cwd=tmp_path)
    with started(*arguments, cwd=tmp_path) as running:
        running.wait_until(
            lambda: any(
                isinstance(event, RefitEnded)
                for folder in all_folders(tmp_path / "results")
                if folder.ledger.exists()
                for event in folder.events()
            ),
            "a refit",
        )
        running.process.kill()
        running.end()
    call(*arguments, cwd=tmp_path)
    (folder,) = all_folders(tmp_path / "results")
    (whole,) = all_folders(tmp_path / "whole")
    assert folder.read_record().resumed == 1
    assert folder.read_record().predictions_sha256 == whole.read_record().predictions_sha256


def test_model_that_needs_larger_images_is_refused(tmp_path: Path) -> None:
    done = call("reproduce", "tutorial-cnn", "--dataset", "digits", cwd=tmp_path, code=2)
    reason = "tutorial-cnn needs images of at least 10 x 10 pixels, digits has 8 x 8"
    assert done.stderr.endswith(f"error: {reason}\n")
    assert done.stderr.count(reason) == 1
    assert "worker" not in done.stderr
    assert list(all_folders(tmp_path / "results")) == []


def test_unknown_model_is_refused(tmp_path: Path) -> None:
    assert "Did you mean tutorial-linear?" in call("reproduce", "tutorial-linea", cwd=tmp_path, code=2).stderr
