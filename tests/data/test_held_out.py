"""The held-out test set: every access to its labels is logged first and possible only once."""

import copy
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.data import TestSetAccess, catalog
from bench.data.dataset import DataAccess
from bench.data.held_out import HeldOutTestSet
from bench.data.loaders import fashion_mnist, published
from bench.errors import DataError, StoreError
from bench.records.evaluation_log import EvaluationLog

DIGITS = catalog.locate("digits")


@pytest.fixture
def log(tmp_path: Path) -> EvaluationLog:
    return EvaluationLog(tmp_path, "digits")


def test_evaluation_is_in_the_log_before_anything_is_opened(log: EvaluationLog) -> None:
    test_set = HeldOutTestSet(DIGITS, "dense-random-0123456789", log)
    assert [line.run for line in log.read()] == ["dense-random-0123456789"]
    assert len(test_set.open()) == 360
    assert len(log.read()) == 1


def test_two_attempts_are_two_lines(log: EvaluationLog) -> None:
    for _ in range(2):
        HeldOutTestSet(DIGITS, "a-run", log).open()
    assert [line.run for line in log.read()] == ["a-run", "a-run"]


def test_second_open_raises(log: EvaluationLog) -> None:
    test_set = HeldOutTestSet(DIGITS, "a-run", log)
    test_set.open()
    with pytest.raises(RuntimeError, match="the test set of digits was already opened: log a second evaluation"):
        test_set.open()


def test_log_that_cannot_be_written_leaves_the_test_set_closed(tmp_path: Path) -> None:
    (tmp_path / "records").write_text("a file where the folder should be")
    with pytest.raises(StoreError, match="cannot write"):
        HeldOutTestSet(DIGITS, "a-run", EvaluationLog(tmp_path, "digits"))


def test_log_of_another_dataset_is_refused(tmp_path: Path) -> None:
    log = EvaluationLog(tmp_path, "fashion_mnist")
    with pytest.raises(ValueError, match="expected the evaluation log of digits, got that of fashion_mnist"):
        HeldOutTestSet(DIGITS, "a-run", log)
    assert log.read() == []


def test_another_process_opens_it_and_logs_nothing(log: EvaluationLog, tmp_path: Path) -> None:
    content = pickle.dumps(HeldOutTestSet(DIGITS, "a-run", log))
    code = "import pickle, sys; print(len(pickle.load(sys.stdin.buffer).open()))"
    done = subprocess.run([sys.executable, "-c", code], input=content, capture_output=True, check=True, cwd=tmp_path)
    assert int(done.stdout) == 360
    assert len(log.read()) == 1


def test_copy_of_an_opened_test_set_stays_closed(log: EvaluationLog) -> None:
    test_set = HeldOutTestSet(DIGITS, "a-run", log)
    test_set.open()
    for closed in (copy.copy(test_set), copy.deepcopy(test_set), pickle.loads(pickle.dumps(test_set))):
        with pytest.raises(RuntimeError, match="already opened"):
            closed.open()


# Attempts to bypass the log


@pytest.mark.parametrize(
    "forged",
    [None, DataAccess(), SimpleNamespace(data_dir=None, notify=print)],
    ids=["None", "DataAccess", "look-alike"],
)
@pytest.mark.parametrize("name", catalog.names())
def test_loader_refuses_everything_but_an_access_object(name: str, forged: Any) -> None:
    with pytest.raises(TypeError, match="loading a test set needs a TestSetAccess"):
        catalog.locate(name).definition().test(forged)


def test_shared_loader_refuses_it_too() -> None:
    forged: Any = DataAccess()
    with pytest.raises(TypeError, match="loading a test set needs a TestSetAccess"):
        published.load_test(forged, fashion_mnist.sources(None))


def test_access_object_cannot_be_built_without_a_log_entry() -> None:
    forged: Any = SimpleNamespace(use=lambda: None)
    with pytest.raises(TypeError, match="needs a HeldOutTestSet"):
        TestSetAccess(test_set=forged)


def test_one_log_entry_gives_one_access_object(log: EvaluationLog) -> None:
    test_set = HeldOutTestSet(DIGITS, "a-run", log)
    access = TestSetAccess(test_set=test_set)
    with pytest.raises(RuntimeError, match="already opened"):
        replace(access)
    with pytest.raises(RuntimeError, match="already opened"):
        test_set.open()


def test_number_of_images_must_be_the_stated_one(tmp_path: Path) -> None:
    file = tmp_path / "fewer.py"
    file.write_text(
        "from dataclasses import replace\n"
        "from bench.data.sets import digits\n"
        "DATASET = replace(digits.DATASET, n_test=359)\n"
    )
    test_set = HeldOutTestSet(catalog.locate(str(file)), "a-run", EvaluationLog(tmp_path, "fewer"))
    with pytest.raises(DataError, match="n_test is 359, but the test set has 360 images"):
        test_set.open()
