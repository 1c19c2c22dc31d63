"""bench verify: an unchanged run passes, an edited one fails."""

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import bench
import search_spaces
from bench.records.evaluation_log import EvaluationLog
from bench.records.store import RunFolder
from command_line import FAMILIES, call, run
from image_files import announced_digits
from whole_runs import Finished

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("here")]


@pytest.fixture
def copied(tiny: Finished, tmp_path: Path) -> Finished:
    """A copy of a finished run with its pages."""
    shutil.copytree(tiny.results, tmp_path / "results")
    folder = RunFolder(tmp_path / "results" / tiny.folder.path.relative_to(tiny.results))
    return Finished(folder=folder, record=tiny.record)


def edit_record(folder: RunFolder, change: Callable[[dict[str, object]], None]) -> None:
    """Change the record only."""
    record = json.loads(folder.record_file.read_text())
    change(record)
    folder.record_file.write_text(json.dumps(record))


def test_run_is_verified_and_the_evaluation_logged(copied: Finished) -> None:
    before = len(EvaluationLog(copied.results, "digits").read())
    done = run("verify", "tiny", cwd=copied.results.parent)
    assert done.stdout.splitlines()[-1] == "tiny: VERIFIED"
    assert "all predictions are identical bit for bit" in done.stdout
    assert done.stdout.count("passed") == 5
    assert "oneDNN custom operations" not in done.stderr  # a message of TensorFlow
    assert len(EvaluationLog(copied.results, "digits").read()) == before + 1
    call("report", "--check", cwd=copied.results.parent)


def test_download_of_images_is_shown(copied: Finished, tmp_path: Path) -> None:
    dataset = announced_digits(tmp_path / "announced.py")
    lines = call("verify", "tiny", "--dataset", dataset, cwd=tmp_path).stderr.splitlines()
    assert lines[0] == "Comparing the pages with the records"
    assert any(line.endswith("] loading digits") for line in lines)


def test_edited_page_is_detected(copied: Finished) -> None:
    page = copied.results / "leaderboard.md"
    page.write_text(page.read_text() + "edited")
    done = call("verify", "tiny", cwd=copied.results.parent, code=1)
    remedy = "rebuild them with `python -m bench report`, then verify again"
    assert f"FAILED  pages: out of date or edited: leaderboard.md; {remedy}" in done.stdout
    assert done.stdout.splitlines()[-1] == "tiny: not verified"
    assert page.read_text().endswith("edited")


def test_on_another_cpu_the_accuracy_must_be_inside_the_prediction_interval(copied: Finished) -> None:
    """The swapped predictions of the two refits stand in for those of another machine."""

    def elsewhere(record: dict[str, object]) -> None:
        record["environment"]["cpu"] = "Synthetic CPU"  # type: ignore[index]

    record = copied.folder.read_record()
    stored = copied.folder.read_predictions(record)
    swapped = replace(stored, log_probabilities=stored.log_probabilities[::-1])
    copied.folder.write_predictions(swapped)
    copied.folder.write_record(replace(record, predictions_sha256=swapped.digest()))
    edit_record(copied.folder, elsewhere)
    damaged = copied.folder.path.with_name("damaged") / "record.json"
    damaged.parent.mkdir()
    damaged.write_text("{")
    call("report", cwd=copied.results.parent)
    done = call("verify", "tiny", cwd=copied.results.parent)
    assert "Could not be read: records/digits/damaged/record.json: " in done.stderr
    assert "instead of Synthetic CPU" in done.stdout
    assert "inside" in done.stdout


def test_other_predictions_on_the_same_machine_fail(copied: Finished) -> None:
    """A record with another winner has predictions that its hyperparameters do not give."""

    def exchange(record: dict[str, object]) -> None:
        search: Any = record["origin"]
        trials = search["trials"]
        winner = next(trial for trial in trials if trial["trial_id"] == search["winner"])
        other = next(trial for trial in trials if trial["trial_id"] != search["winner"] and trial["status"] == "ok")
        assert winner["values"] != other["values"]
        search["winner"] = other["trial_id"]

    edit_record(copied.folder, exchange)
    call("report", cwd=copied.results.parent)
    done = call("verify", "tiny", cwd=copied.results.parent, code=1)
    assert "although CPU model and versions are the same" in done.stdout


def test_missing_family_is_named_and_nothing_is_trained(copied: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the tests' families on the path there is no `tiny`."""
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path != str(FAMILIES)])
    monkeypatch.setattr(search_spaces, "__path__", search_spaces.__path__[:1])
    done = call("verify", "tiny", cwd=copied.results.parent, code=1)
    assert "FAILED  code: there is no family 'tiny'" in done.stdout
    assert "refit: not trained" in done.stdout


def test_unknown_run_is_bad_input(copied: Finished) -> None:
    done = call("verify", "cnn", cwd=copied.results.parent, code=2)
    assert "no finished run 'cnn'; model names: tiny" in done.stderr


def test_changed_code_with_identical_predictions_is_added_to_the_record(copied: Finished) -> None:
    def pretend_older_code(record: dict[str, Any]) -> None:
        record["spec"]["source"] = "0" * 12

    edit_record(copied.folder, pretend_older_code)
    spec = json.loads(copied.folder.spec_file.read_text())
    copied.folder.spec_file.write_text(json.dumps(spec | {"source": "0" * 12}))
    call("report", cwd=copied.results.parent)
    done = call("verify", "tiny", cwd=copied.results.parent)
    source = copied.record.spec.source
    assert f"'tiny' has changed, from digest 000000000000 to {source}; predictions are identical" in done.stdout
    assert copied.folder.read_record().sources == ("0" * 12, source)
    call("report", "--check", cwd=copied.results.parent)
    checks = bench.verify("tiny", copied.results, progress=False)
    assert [check.passed for check in checks] == [True] * 4
    assert checks[1].text == f"code: 'tiny' matches the record, digest {source}"
