"""Run folders: files are read as they were written; damaged files are errors, never results."""

import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest

from bench.errors import RecordError
from bench.records.files import write_atomic
from bench.records.spec import RunSpec
from bench.records.store import RunFolder, all_folders, run_folder
from builders import add_run, make_predictions, make_reference_spec, make_run, make_spec, write_run

# Specs, records and predictions


@pytest.mark.parametrize("spec", [make_spec(), make_spec(time_limit=60), make_reference_spec()])
def test_spec_is_read_as_it_was_written(spec: RunSpec, tmp_path: Path) -> None:
    folder = run_folder(tmp_path, spec)
    folder.write_spec(spec)
    assert folder.read_spec() == spec


def test_invalid_spec_in_a_file_is_a_damaged_record(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, make_spec())
    folder.write_spec(make_spec())
    folder.spec_file.write_bytes(folder.spec_file.read_bytes().replace(b'"trials": 4', b'"trials": 0'))
    with pytest.raises(RecordError, match=r"spec\.json: trials must be a whole number from 1 to"):
        folder.read_spec()


def test_missing_spec_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"spec\.json: No such file"):
        RunFolder(tmp_path).read_spec()


def test_run_is_finished_once_it_has_a_record(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert not folder.finished
    folder.write_record(make_run(make_predictions()))
    assert folder.finished


@pytest.mark.parametrize("schema", [0, 7, "1", None])
def test_unknown_schema_is_refused_with_both_numbers(tmp_path: Path, schema: object) -> None:
    folder = write_run(tmp_path, make_run(make_predictions()), make_predictions())
    content = json.loads(folder.record_file.read_bytes())
    folder.record_file.write_text(json.dumps(content | {"schema": schema, "refits": "in an unknown form"}))
    with pytest.raises(RecordError, match=rf"record\.json: found schema {schema!r}, expected 1 to 6: upgrade"):
        folder.read_record()


def test_damaged_field_of_a_record_is_named(tmp_path: Path) -> None:
    folder = write_run(tmp_path, make_run(make_predictions()), make_predictions())
    content = json.loads(folder.record_file.read_bytes())
    content["origin"]["trials"][1]["epochs"] = "three"
    folder.record_file.write_text(json.dumps(content))
    with pytest.raises(
        RecordError, match=r"record\.json: Expected `int`, got `str` - at `\$\.origin\.trials\[1\]\.epochs`"
    ):
        folder.read_record()


def test_half_a_record_is_damaged(tmp_path: Path) -> None:
    folder = write_run(tmp_path, make_run(make_predictions()), make_predictions())
    content = folder.record_file.read_bytes()
    folder.record_file.write_bytes(content[: len(content) // 2])
    with pytest.raises(RecordError, match=r"record\.json: "):
        folder.read_record()


def test_predictions_are_read_as_they_were_written(tmp_path: Path) -> None:
    record = add_run(tmp_path)
    (folder,) = all_folders(tmp_path)
    read, written = folder.read_predictions(record), make_predictions()
    for name in written.__slots__:
        assert getattr(read, name).dtype == getattr(written, name).dtype
        assert np.array_equal(getattr(read, name), getattr(written, name))


def test_predictions_file_has_the_same_bytes_every_time(tmp_path: Path) -> None:
    first, second = (RunFolder(tmp_path / name) for name in "ab")
    for folder in (first, second):
        folder.write_predictions(make_predictions())
    assert first.predictions_file.read_bytes() == second.predictions_file.read_bytes()
    with zipfile.ZipFile(first.predictions_file) as archive:  # whose times have a resolution of two seconds
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


@pytest.mark.parametrize("field", ["log_probabilities", "labels", "seeds", "wrong_indices", "wrong_images"])
def test_digest_changes_with_every_array(field: str) -> None:
    predictions = make_predictions()
    array = getattr(predictions, field).copy()
    array.flat[0] += 1
    assert replace(predictions, **{field: array}).digest() != predictions.digest()


def test_predictions_of_another_run_are_refused(tmp_path: Path) -> None:
    record = add_run(tmp_path)
    (folder,) = all_folders(tmp_path)
    other = make_predictions([[0], [0], [0]])
    folder.write_predictions(other)
    with pytest.raises(RecordError, match=rf"predictions\.npz: record\.json expects .* found {other.digest()[:16]}"):
        folder.read_predictions(record)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 truncated", b"\x93NUMPY", b"text"])
def test_damaged_predictions_are_refused(tmp_path: Path, content: bytes) -> None:
    record = add_run(tmp_path)
    (folder,) = all_folders(tmp_path)
    folder.predictions_file.write_bytes(content)
    with pytest.raises(RecordError, match=r"predictions\.npz: cannot be read"):
        folder.read_predictions(record)


def test_predictions_with_mismatched_shapes_are_refused() -> None:
    with pytest.raises(RecordError, match=r"got \{'log_probabilities': \(3, 200, 4\), 'labels': \(199,\)"):
        replace(make_predictions(), labels=make_predictions().labels[1:])


def test_predictions_of_a_model_that_diverged_are_refused() -> None:
    log_probabilities = make_predictions().log_probabilities.copy()
    log_probabilities[0, 0, 0] = np.nan
    with pytest.raises(RecordError, match="contain NaN"):
        replace(make_predictions(), log_probabilities=log_probabilities)


# Results folders


def test_rerun_has_its_own_folder(tmp_path: Path) -> None:
    spec = make_spec()
    assert run_folder(tmp_path, spec).path == tmp_path / "records" / "synthetic" / spec.name
    assert run_folder(tmp_path, spec, repeat=2).path.name == f"{spec.name}-repeat2"


def test_folders_of_all_datasets_are_listed_in_order(tmp_path: Path) -> None:
    for dataset, family in (("b", "cnn"), ("a", "dense"), ("a", "cnn")):
        spec = make_spec(dataset=dataset, family=family)
        run_folder(tmp_path, spec).write_spec(spec)
    specs = [folder.read_spec() for folder in all_folders(tmp_path)]
    assert [(spec.dataset, spec.model) for spec in specs] == [("a", "cnn"), ("a", "dense"), ("b", "cnn")]


def test_results_folder_that_does_not_exist_has_no_runs(tmp_path: Path) -> None:
    assert list(all_folders(tmp_path / "nowhere")) == []


def test_disk_bytes_count_every_file(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    write_atomic(folder.model_file(0), b"x" * 1000)
    write_atomic(folder.state_file("0001"), b"x" * 10)
    assert folder.disk_bytes() == 1010


def test_size_of_a_run_that_deletes_a_folder_meanwhile_is_no_error(tmp_path: Path) -> None:
    folder, stopped = RunFolder(tmp_path), Event()

    def train() -> None:
        while not stopped.is_set():
            folder.states_dir.mkdir()
            folder.state_file("0001").write_bytes(b"x" * 10)
            shutil.rmtree(folder.states_dir)

    thread = Thread(target=train)
    thread.start()
    try:
        assert {folder.disk_bytes() for _ in range(1000)} <= {0, 10}
    finally:
        stopped.set()
        thread.join()


def test_finished_run_without_models_is_published(tmp_path: Path) -> None:
    folder = write_run(tmp_path, make_run(make_predictions()), make_predictions())
    assert folder.published
    write_atomic(folder.model_file(0), b"model")
    assert not folder.published


def test_unfinished_run_is_not_published(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, make_spec())
    folder.write_spec(make_spec())
    assert not folder.published
