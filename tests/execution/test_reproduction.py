"""Reproductions of published runs: retrained, compared, logged once, merged if identical; kills change nothing."""

import re
import shutil
import signal
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import BaseFileLock

from bench.errors import RecordError
from bench.execution.folders import assign
from bench.execution.reproduction import compare, reproduction_text, settle, settle_interrupted
from bench.records.spec import RunSpec
from bench.records.store import RunFolder, all_folders, run_folder
from builders import make_environment, make_predictions, make_reference_spec, make_run, make_spec, write_run
from command_line import call, killed_before, started
from whole_runs import TINY, Finished

# Choice of the run folder


def add(results: Path, spec: RunSpec, *, repeat: int = 1, models: bool = False, **changes: Any) -> RunFolder:
    run_id = run_folder(results, spec, repeat).path.name
    folder = write_run(
        results, make_run(make_predictions(), spec=spec, **{"run_id": run_id} | changes), make_predictions()
    )
    if models:
        folder.models_dir.mkdir()
    return folder


def assigned(results: Path, spec: RunSpec, *, again: bool = False) -> tuple[str, str | None]:
    assignment = assign(results, spec, again=again)
    published = assignment.published
    return assignment.folder.path.name, None if published is None else published.path.name


def test_new_spec_gets_a_folder_named_after_it(tmp_path: Path) -> None:
    assert assigned(tmp_path, make_spec()) == (make_spec().name, None)


def test_run_with_its_models_here_is_complete(tmp_path: Path) -> None:
    add(tmp_path, make_spec(), models=True)
    assert assigned(tmp_path, make_spec()) == (make_spec().name, None)
    assert assigned(tmp_path, make_spec(), again=True) == (f"{make_spec().name}-repeat2", None)


@pytest.mark.parametrize("spec", [make_spec(), make_reference_spec()])
def test_published_run_is_reproduced_in_another_folder(spec: RunSpec, tmp_path: Path) -> None:
    add(tmp_path, spec)
    assert assigned(tmp_path, spec) == (f"{spec.name}-repeat2", spec.name)
    assert assigned(tmp_path, spec, again=True) == (f"{spec.name}-repeat2", None)


@pytest.mark.parametrize("name", ["predictions.npz", "trials.jsonl", "record.json"])
def test_damaged_published_run_is_an_error_before_training(name: str, tmp_path: Path) -> None:
    folder = add(tmp_path, make_spec())
    file = folder.path / name
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(RecordError, match=f"{name}.*: restore"):
        assign(tmp_path, make_spec(), again=False)


def test_published_run_of_an_older_schema_is_found_under_its_own_name(tmp_path: Path) -> None:
    add(tmp_path, make_spec(), run_id="dense-random-0123456789")
    assert assigned(tmp_path, make_spec()) == (make_spec().name, "dense-random-0123456789")


def test_same_precision_is_preferred_among_published_runs(tmp_path: Path) -> None:
    for precision in ("bfloat16", "float32"):
        add(tmp_path, make_spec(precision=precision))
    for precision in ("bfloat16", "float32"):
        spec = make_spec(precision=precision)
        assert assigned(tmp_path, spec) == (f"{spec.name}-repeat2", spec.name)


def test_the_newest_of_several_published_runs_is_reproduced_which_is_that_on_the_pages(tmp_path: Path) -> None:
    add(tmp_path, make_spec())
    add(tmp_path, make_spec(), repeat=2, finished="2026-02-01T00:00:00+00:00")
    assert assigned(tmp_path, make_spec()) == (f"{make_spec().name}-repeat3", f"{make_spec().name}-repeat2")


def test_another_precision_is_a_reproduction_under_different_conditions(tmp_path: Path) -> None:
    add(tmp_path, make_spec(precision="bfloat16"))
    assert assigned(tmp_path, make_spec()) == (make_spec().name, make_spec(precision="bfloat16").name)


def test_any_other_field_makes_another_run(tmp_path: Path) -> None:
    add(tmp_path, make_spec())
    for changes in ({"seed": 2}, {"refit_seeds": 4}, {"max_pending": 5}, {"time_limit": 60}):
        assert assigned(tmp_path, make_spec(**changes)) == (make_spec(**changes).name, None)


def test_changed_code_makes_another_run_and_says_so(tmp_path: Path) -> None:
    add(tmp_path, make_spec())
    assignment = assign(tmp_path, make_spec(source="1" * 12), again=False)
    assert assignment.published is None
    assert assignment.note == (
        f"The code of 'dense' differs from that of the published run {make_spec().name}: starting a new run"
    )


def test_code_that_was_verified_is_that_of_the_published_run(tmp_path: Path) -> None:
    add(tmp_path, make_spec(), verified_sources=("1" * 12,))
    assert assigned(tmp_path, make_spec(source="1" * 12))[1] == make_spec().name


def test_originals_are_reproduced_not_reproductions(tmp_path: Path) -> None:
    add(tmp_path, make_spec())
    add(tmp_path, make_spec(), repeat=2, reproduces=make_spec().name)
    assert assigned(tmp_path, make_spec()) == (f"{make_spec().name}-repeat3", make_spec().name)


# Settling, on records that were not trained


def reproduced(results: Path, *, wrong: Iterable[int] | None = None, **changes: Any) -> tuple[RunFolder, RunFolder]:
    """A published run and a finished reproduction, whose first refit misclassifies the images `wrong`, if given."""
    published = add(results, make_spec())
    predictions = make_predictions() if wrong is None else make_predictions([list(wrong), range(11), range(12)])
    record = make_run(
        predictions,
        run_id=f"{make_spec().name}-repeat2",
        reproduces=make_spec().name,
        finished="2026-02-01T00:00:00.000+00:00",
        **changes,
    )
    own = write_run(results, record, predictions)
    own.models_dir.mkdir()
    (own.models_dir / "refit-0.keras").write_bytes(b"model")
    return own, published


def test_identical_reproduction_is_logged_and_merged(tmp_path: Path) -> None:
    own, published = reproduced(tmp_path)
    before = published.record_file.read_bytes()
    folder, reproduction = settle(own, published)
    assert folder.path == published.path
    assert (reproduction.identical, reproduction.run_id, reproduction.changed_predictions) == (True, None, 0)
    assert published.reproductions() == (reproduction,)
    assert [each.path for each in all_folders(tmp_path)] == [published.path]
    assert (published.models_dir / "refit-0.keras").read_bytes() == b"model"
    assert published.record_file.read_bytes() == before
    assert assigned(tmp_path, make_spec()) == (published.path.name, None)


def test_different_reproduction_is_logged_once_and_keeps_its_folder(tmp_path: Path) -> None:
    own, published = reproduced(tmp_path, wrong=range(5, 15))
    for _ in range(2):
        folder, reproduction = settle(own, published)
    assert folder.path == own.path
    assert published.reproductions() == (reproduction,)
    assert reproduction.run_id == own.path.name
    # Images 0 to 4 are right now and images 10 to 14 wrong: five of each.
    assert (reproduction.identical, reproduction.changed_predictions) == (False, 10)
    assert not published.models_dir.exists()
    assert assigned(tmp_path, make_spec()) == (own.path.name, None)


def test_prediction_interval_is_that_of_a_mean_over_the_new_seeds(tmp_path: Path) -> None:
    own, published = reproduced(tmp_path, wrong=range(5, 15))
    # Published accuracies 190/200, 189/200, 188/200: mean 0.945, s = 0.005; t(0.975, 2) = 4.302653.
    low, high = compare(own, published).prediction_interval or (0, 0)
    half = 4.302653 * 0.005 * np.sqrt(1 / 3 + 1 / 3)
    assert (low, high) == pytest.approx((0.945 - half, 0.945 + half))


def test_conditions_name_what_differs_published_first(tmp_path: Path) -> None:
    environment = make_environment(cpu="Synthetic CPU B", tensorflow="2.20.0", git_commit=None)
    own, published = reproduced(tmp_path, wrong=range(5, 15), environment=environment)
    reproduction = compare(own, published)
    assert reproduction.conditions == {
        "tensorflow": ("2.21.0", "2.20.0"),
        "cpu": ("Synthetic CPU A", "Synthetic CPU B"),
    }
    text = reproduction_text(reproduction, published)
    assert text == (
        f"Did not reproduce {published.path.name} bit for bit: 10 of 600 predicted classes differ. Test accuracy is "
        "94.50%, published 94.50%, inside the 95% prediction interval (92.74% to 96.26%). Different conditions: "
        "tensorflow 2.20.0 (published: 2.21.0), cpu Synthetic CPU B (published: Synthetic CPU A)."
    )


def test_identical_reproduction_is_described(tmp_path: Path) -> None:
    own, published = reproduced(tmp_path)
    assert reproduction_text(compare(own, published), published) == (
        f"Reproduced {published.path.name} bit for bit: all 600 predictions equal the published ones (94.50% test "
        "accuracy)."
    )


def test_published_run_with_a_single_seed_gives_no_prediction_interval(tmp_path: Path) -> None:
    spec = make_spec(refit_seeds=1)
    own, published = (
        write_run(tmp_path, make_run(predictions, spec=spec, run_id=run_id), predictions)
        for run_id, predictions in (
            (f"{spec.name}-repeat2", make_predictions([range(5, 15)])),
            (spec.name, make_predictions(seeds=1)),
        )
    )
    reproduction = compare(own, published)
    assert reproduction.prediction_interval is None
    # Images 0 to 4 and 10 to 14 change.
    assert reproduction_text(reproduction, published).startswith(
        f"Did not reproduce {spec.name} bit for bit: 10 of 200 predicted classes differ. Test accuracy is 95.00%, "
        "published 95.00%; a single seed gives no prediction interval."
    )


def test_other_precision_is_named_as_a_condition(tmp_path: Path) -> None:
    published = add(tmp_path, make_spec(precision="bfloat16"))
    own = add(tmp_path, make_spec(), reproduces=published.path.name)
    reproduction = compare(own, published)
    assert reproduction.search_precision == "float32"
    assert reproduction.conditions == {"search_precision": ("bfloat16", "float32")}
    assert "Different conditions: search precision float32 (published: bfloat16)." in reproduction_text(
        reproduction, published
    )


def settled(results: Path) -> None:
    settle_interrupted(results, lambda _: None)


def test_lock_is_released_although_a_damaged_run_cannot_be_settled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, _ = reproduced(tmp_path)
    own.predictions_file.write_bytes(b"damaged")
    # Python releases a lock that is no longer referenced, but not necessarily at once.
    monkeypatch.setattr(BaseFileLock, "__del__", lambda _: None)
    settled(tmp_path)
    with own.lock():
        pass


@pytest.mark.parametrize("wrong", [None, range(5, 15)])
def test_reproduction_with_a_record_is_settled_by_the_next_command(wrong: range | None, tmp_path: Path) -> None:
    _, published = reproduced(tmp_path, wrong=wrong)
    for _ in range(2):
        settled(tmp_path)
    assert len(published.reproductions()) == 1
    assert len(list(all_folders(tmp_path))) == (1 if wrong is None else 2)


def test_merge_that_was_interrupted_is_completed(tmp_path: Path) -> None:
    own, published = reproduced(tmp_path)
    published.append_reproduction(compare(own, published))
    own.path.rename(published.path / "reproduction")
    settled(tmp_path)
    assert (published.models_dir / "refit-0.keras").exists()
    assert not (published.path / "reproduction").exists()
    assert len(published.reproductions()) == 1


# Whole runs


ONE_WORKER = (*TINY, "--workers", 1)
# Each session is killed at its point and the next one continues; `resume` needs a spec on disk.
TRAINING_KILLS = (
    (ONE_WORKER, "append */trials.jsonl 1"),  # between the spec and the session, which names the published run
    (("resume",), "replace */models/refit-0.keras 1"),
    (("resume",), "append */reproductions.jsonl 1"),
)
IDENTICAL_KILLS = (
    (ONE_WORKER, "replace */reproduction 1"),
    (ONE_WORKER, "replace */models 1"),
    (ONE_WORKER, "remove predictions.npz 1"),  # of the folder that was merged
    (ONE_WORKER, "replace */leaderboard.md 1"),
)
DIFFERENT_KILLS = ((ONE_WORKER, "append */reproductions.jsonl 1"), (ONE_WORKER, "replace */leaderboard.md 1"))


def clone(tiny: Finished, cwd: Path) -> RunFolder:
    """A copy of the results of `tiny` without its models, as in a fresh clone; returns the published run."""
    shutil.copytree(tiny.results, cwd / "results", ignore=shutil.ignore_patterns("models", ".lock"))
    return published_in(cwd, tiny)


def published_in(cwd: Path, tiny: Finished) -> RunFolder:
    return RunFolder(cwd / "results" / tiny.folder.path.relative_to(tiny.results))


def killed_again_and_again(kills: Iterable[tuple[tuple[object, ...], str]], cwd: Path) -> str:
    """The output of all sessions."""
    output = ""
    for arguments, stop in kills:
        with started(*arguments, cwd=cwd, env=killed_before(stop)) as running:
            assert running.end() == -signal.SIGKILL, f"never reached {stop!r}:\n{running.text}"
            output += running.text
    return output


@pytest.fixture(scope="module")
def unsettled(tiny: Finished, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with a reproduction of `tiny` that was killed in training and before it was logged."""
    cwd = tmp_path_factory.mktemp("unsettled")
    clone(tiny, cwd)
    killed_again_and_again(TRAINING_KILLS, cwd)
    return cwd


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_published_run_is_reproduced_bit_for_bit_and_then_complete(tiny: Finished, tmp_path: Path) -> None:
    published = clone(tiny, tmp_path)
    record = published.record_file.read_bytes()
    done = call(*ONE_WORKER, cwd=tmp_path)
    assert f"Reproducing the published run {published.path.name}" in done.stderr
    assert f"Reproduced {published.path.name} bit for bit: all 720 predictions equal the published ones" in done.stdout
    assert published.record_file.read_bytes() == record
    assert published.model_file(0).exists()
    assert len(list(all_folders(tmp_path / "results"))) == 1
    call("report", "--check", cwd=tmp_path)
    repeated = call(*ONE_WORKER, cwd=tmp_path)
    assert "Already complete; nothing trained. Use --again to rerun." in repeated.stderr
    assert len(published.reproductions()) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_identical_reproduction_killed_at_any_step_ends_as_one_entry_and_no_row(
    unsettled: Path, tiny: Finished, tmp_path: Path
) -> None:
    shutil.copytree(unsettled, tmp_path, dirs_exist_ok=True)
    published = published_in(tmp_path, tiny)
    killed_again_and_again(IDENTICAL_KILLS, tmp_path)
    assert "Already complete; nothing trained." in call(*ONE_WORKER, cwd=tmp_path).stderr
    (reproduction,) = published.reproductions()
    assert reproduction.identical
    assert published.model_file(0).exists()
    assert [folder.path for folder in all_folders(tmp_path / "results")] == [published.path]
    assert not (published.path / "reproduction").exists()
    call("report", "--check", cwd=tmp_path)


def edit_published(published: RunFolder) -> None:
    """Make the published run differ: another CPU model, and swapped predictions of its refits."""
    record = published.read_record()
    stored = published.read_predictions(record)
    swapped = replace(stored, log_probabilities=stored.log_probabilities[::-1])
    published.write_predictions(swapped)
    published.write_record(
        replace(
            record,
            predictions_sha256=swapped.digest(),
            environment=replace(record.environment, cpu="Synthetic CPU"),
        )
    )
    published.ledger.write_text(published.ledger.read_text().replace(record.environment.cpu, "Synthetic CPU"))


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_different_reproduction_killed_at_any_step_ends_as_one_entry_with_its_own_row(
    unsettled: Path, tiny: Finished, tmp_path: Path
) -> None:
    shutil.copytree(unsettled, tmp_path, dirs_exist_ok=True)
    published = published_in(tmp_path, tiny)
    edit_published(published)
    record = published.record_file.read_bytes()
    output = killed_again_and_again(DIFFERENT_KILLS, tmp_path)
    assert re.search(rf"Did not reproduce {published.path.name} bit for bit: \d+ of 720 predicted classes", output)
    assert "(published: Synthetic CPU)" in output
    assert (
        f"Already complete (a reproduction of {published.path.name} with different predictions); nothing trained."
        in call(*ONE_WORKER, cwd=tmp_path).stderr
    )
    (reproduction,) = published.reproductions()
    own = RunFolder(published.path.with_name(reproduction.run_id or ""))
    assert own.read_record().reproduces == published.path.name
    assert own.model_file(0).exists()
    assert not published.models_dir.exists()
    assert published.record_file.read_bytes() == record
    call("report", "--check", cwd=tmp_path)
