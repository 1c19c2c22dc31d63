"""The folder of a tuner: errors name it, and what can be done."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.errors import SpecError, StoreError
from bench.own_tuner.project import LEDGER, Project
from bench.records.files import append_line, lock_folder


def make(folder: Path) -> Project:
    tuner: Any = SimpleNamespace(directory=str(folder), project_dir=str(folder / "mine"))
    return Project(tuner)


def test_folder_that_cannot_be_written_is_an_error_with_a_remedy_for_tuners(tmp_path: Path) -> None:
    project = make(tmp_path)
    (tmp_path / "mine" / LEDGER).mkdir(parents=True)
    remedy = r"^cannot write to .*mine: Is a directory\. Free up space, or create the tuner with another directory"
    with pytest.raises(StoreError, match=remedy), project.locked():
        append_line(project.ledger.path, b"{}\n")
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"^cannot write to .*another directory"), make(tmp_path / "file").locked():
        pass


def test_folder_is_locked_inside_the_block_only(tmp_path: Path) -> None:
    for _ in range(2):
        with (
            make(tmp_path).locked(),
            pytest.raises(StoreError, match=r"another process is using .*mine"),
            lock_folder(tmp_path / "mine"),
        ):
            pass
    with (
        lock_folder(tmp_path / "mine"),
        pytest.raises(StoreError, match=r"another process is using .*mine"),
        make(tmp_path).locked(),
    ):
        pass


def test_remote_directory_is_an_error() -> None:
    tuner: Any = SimpleNamespace(directory="gs://bucket", project_dir="gs://bucket/mine")
    with pytest.raises(SpecError, match=r"'gs://bucket' is not a local folder: choose one on this machine"):
        Project(tuner)
