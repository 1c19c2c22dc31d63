"""The log of test-set evaluations keeps every line, one file for each dataset."""

from collections import Counter
from pathlib import Path

import pytest

from bench.errors import StoreError
from bench.records.evaluation_log import EvaluationLog
from processes import next_line, process


def test_evaluations_are_logged_in_order_for_each_dataset(tmp_path: Path) -> None:
    for run in ("first", "second"):
        EvaluationLog(tmp_path, "digits").append(run)
    EvaluationLog(tmp_path, "fashion_mnist").append("third")
    assert [entry.run for entry in EvaluationLog(tmp_path, "digits").read()] == ["first", "second"]
    assert [entry.run for entry in EvaluationLog(tmp_path, "fashion_mnist").read()] == ["third"]


def test_dataset_without_a_log_was_never_evaluated(tmp_path: Path) -> None:
    assert EvaluationLog(tmp_path, "digits").read() == []


def test_log_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "records").write_bytes(b"")
    with pytest.raises(StoreError, match="cannot write"):
        EvaluationLog(tmp_path, "digits").append("run")


def test_runs_that_are_evaluated_at_the_same_time_keep_each_others_lines(tmp_path: Path) -> None:
    code = """
from bench.records.evaluation_log import EvaluationLog
print("ready", flush=True)
run = sys.stdin.readline().strip()
for _ in range(500): EvaluationLog(folder.path, "digits").append(run)
"""
    with process(code, tmp_path) as first, process(code, tmp_path) as second, process(code, tmp_path) as third:
        started = {"first": first, "second": second, "third": third}
        assert [next_line(running) for running in started.values()] == ["ready"] * 3
        for name, running in started.items():
            assert running.stdin is not None
            running.stdin.write(f"{name}\n")
            running.stdin.flush()
        assert [running.wait(timeout=60) for running in started.values()] == [0] * 3
    assert Counter(entry.run for entry in EvaluationLog(tmp_path, "digits").read()) == dict.fromkeys(started, 500)
