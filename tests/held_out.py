"""Access to test sets, for tests."""

from pathlib import Path

from bench.data import TestSetAccess, catalog
from bench.data.dataset import Dataset
from bench.data.held_out import HeldOutTestSet
from bench.records.evaluation_log import EvaluationLog


def held_out(dataset: str, results: Path, data_dir: Path | None = None) -> HeldOutTestSet:
    """The test set of a dataset, logged under `results`."""
    location = catalog.locate(dataset, data_dir)
    return HeldOutTestSet(location, "a-test", EvaluationLog(results, location.name))


def open_test_set(dataset: str, results: Path, data_dir: Path | None = None) -> Dataset:
    """The test images and labels of a dataset."""
    return held_out(dataset, results, data_dir).open()


def access(results: Path) -> TestSetAccess:
    """Access for one call of a loader of test images."""
    return TestSetAccess(test_set=held_out("digits", results))
