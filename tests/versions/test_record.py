"""Version records on disk."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from bench.errors import RecordError
from bench.versions.record import path_of, read, read_all, write
from version_records import make_record, make_results

RESULTS = Path(__file__).parents[2] / "results"


def test_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    record = make_record("tf216", "2.16.2")
    write(tmp_path, record)
    assert read(path_of(tmp_path, "tf216")) == record
    assert record.trained[0].bits.mean(axis=1)[:3].tolist() == [0.9, 0.901, 0.902]


def test_committed_records_are_readable() -> None:
    records, problems = read_all(RESULTS)
    assert not problems
    assert {"tf216", "tf221", "keras315"} <= {record.name for record in records}


def test_correct_of_another_length_is_rejected() -> None:
    with pytest.raises(ValueError, match="1500 bytes in `correct`, expected 12 seeds x 900 bits"):
        replace(make_results(0.9), n_test=900)


@pytest.mark.parametrize("content", [b"", b"{", b"{}"])
def test_damaged_record_is_named(tmp_path: Path, content: bytes) -> None:
    path = path_of(tmp_path, "tf216")
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(RecordError, match=r"tf216\.json"):
        read(path)


def test_versions_are_sorted_as_numbers(tmp_path: Path) -> None:
    for name, version in (("tf29", "2.9.1"), ("tf221", "2.21.0"), ("tf216", "2.16.2")):
        write(tmp_path, make_record(name, version))
    assert [record.name for record in read_all(tmp_path)[0]] == ["tf29", "tf216", "tf221"]


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data["trained"][0].update(correct="x"),
        lambda data: data["trained"][0].update(seeds=[1] * 12),
        lambda data: data["trained"][0].update(seeds=[], correct=""),
        lambda data: data.update(name="mine"),
        lambda data: data.update(schema=99),
        lambda data: data["environment"].update(tensorflow="missing"),
        lambda data: data["starts"][0].update(started="yesterday"),
        lambda data: data["starts"][0].update(started="2026-01-01T00:00:00"),
        lambda data: data["starts"][0]["pieces"]["step[cnn]"].update(reference_seconds=0.0),
    ],
)
def test_record_with_invalid_values_is_named(tmp_path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    write(tmp_path, make_record("tf216", "2.16.2"))
    path = path_of(tmp_path, "tf216")
    data = json.loads(path.read_bytes())
    change(data)
    path.write_text(json.dumps(data))
    with pytest.raises(RecordError, match=r"tf216\.json: .*move it away and measure that version again"):
        read(path)


def test_record_in_the_file_of_another_version_is_named(tmp_path: Path) -> None:
    write(tmp_path, make_record("tf216", "2.16.2"))
    path_of(tmp_path, "tf216").rename(path_of(tmp_path, "tf217"))
    with pytest.raises(RecordError, match=r"tf217\.json: this is the record of tf216: rename the file"):
        read(path_of(tmp_path, "tf217"))
