"""The log of test-set evaluations keeps every line, one file for each dataset."""

from pathlib import Path

import pytest

from bench.errors import StoreError
from bench.records.evaluation_log import EvaluationLog


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
