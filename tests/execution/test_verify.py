"""python -m bench verify: a real run is what it claims to be, and one that was tampered with is not."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bench.records.store import RunFolder, count_test_readings
from command_line import SOURCE, run, variables
from whole_runs import Finished

pytestmark = pytest.mark.slow


@pytest.fixture
def copied(tiny: Finished, tmp_path: Path) -> Finished:
    """A copy of a finished run with its pages."""
    shutil.copytree(tiny.results, tmp_path / "results")
    folder = RunFolder(tmp_path / "results" / tiny.folder.path.relative_to(tiny.results))
    return Finished(folder=folder, record=tiny.record)


def edit_record(folder: RunFolder, change: Callable[[dict[str, object]], None]) -> None:
    """Change the record and nothing else."""
    record = json.loads(folder.record_file.read_text())
    change(record)
    folder.record_file.write_text(json.dumps(record))


def test_a_run_is_verified_and_the_reading_counted(copied: Finished) -> None:
    before = count_test_readings(copied.results, "digits")
    done = run("verify", "tiny", cwd=copied.results.parent)
    assert done.stdout.splitlines()[-1] == "tiny: VERIFIED"
    assert "every prediction equal bit for bit" in done.stdout
    assert done.stdout.count("agrees") == 5
    assert "oneDNN custom operations" not in done.stderr  # TensorFlow's greetings
    assert count_test_readings(copied.results, "digits") == before + 1
    run("report", "--check", cwd=copied.results.parent)


def test_an_edited_page_is_found(copied: Finished) -> None:
    page = copied.results / "leaderboard.md"
    page.write_text(page.read_text().replace("± ", "± 0"))
    done = run("verify", "tiny", cwd=copied.results.parent, code=1)
    assert "DIFFERS  numbers: not what the predictions give in leaderboard.md" in done.stdout
    assert done.stdout.splitlines()[-1] == "tiny: not verified"
    assert "± 0" in page.read_text()


def test_elsewhere_a_refit_must_lie_where_further_seeds_would(copied: Finished) -> None:
    """Exchanged predictions of the two refits stand for what another machine gives."""

    def elsewhere(record: dict[str, object]) -> None:
        record["environment"]["cpu"] = "Synthetic CPU"  # type: ignore[index]

    record = copied.folder.read_record()
    kept = copied.folder.read_predictions(record)
    swapped = replace(kept, log_probabilities=kept.log_probabilities[::-1])
    copied.folder.write_predictions(swapped)
    copied.folder.write_record(replace(record, predictions_sha256=swapped.digest()))
    edit_record(copied.folder, elsewhere)
    run("report", cwd=copied.results.parent)
    done = run("verify", "tiny", cwd=copied.results.parent)
    assert "instead of Synthetic CPU" in done.stdout
    assert "inside" in done.stdout


def test_other_predictions_on_the_same_machine_differ(copied: Finished) -> None:
    """A run whose winner is exchanged claims predictions that its values do not give."""

    def exchange(record: dict[str, object]) -> None:
        trials = record["trials"]
        winner = next(trial for trial in trials if trial["trial_id"] == record["winner"])  # type: ignore[attr-defined]
        other = next(
            trial
            for trial in trials  # type: ignore[attr-defined]
            if trial["trial_id"] != record["winner"] and trial["status"] == "ok"
        )
        assert winner["values"] != other["values"]
        record["winner"] = other["trial_id"]

    edit_record(copied.folder, exchange)
    run("report", cwd=copied.results.parent)
    done = run("verify", "tiny", cwd=copied.results.parent, code=1)
    assert "though processor and versions are the same" in done.stdout


def test_code_that_is_gone_is_told_of_and_nothing_trained(copied: Finished) -> None:
    """Without the tests' families on the path there is no `tiny`."""
    env = variables() | {"PYTHONPATH": str(SOURCE)}
    done = run("verify", "tiny", cwd=copied.results.parent, code=1, env=env)
    assert "DIFFERS  code: there is no family 'tiny' here" in done.stdout
    assert "refit: not tried" in done.stdout


def test_no_such_run_is_bad_input(copied: Finished) -> None:
    done = run("verify", "cnn", cwd=copied.results.parent, code=2)
    assert "no finished run 'cnn'; rows: tiny" in done.stderr
