"""The interpreters of tox environments."""

from pathlib import Path

import pytest

from bench.errors import SpecError
from bench.versions.environments import find
from processes import SOURCE
from version_records import add_interpreter


def test_invalid_environment_names_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="tf221, keras315 or py312-tf221, got type"):
        find(tmp_path, ("tf216", "type"), SOURCE)


def test_missing_environments_are_named_with_the_command_that_creates_them(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="create them with `tox -m versions --notest`"):
        find(tmp_path, (), SOURCE)
    with pytest.raises(SpecError, match="create it with `tox -e tf216 --notest`"):
        find(tmp_path, ("tf216",), SOURCE)


def test_interpreter_without_the_libraries_is_rejected(tmp_path: Path) -> None:
    add_interpreter(tmp_path, "tf216", "echo No module named msgspec >&2; exit 1")
    with pytest.raises(SpecError, match="No module named msgspec"):
        find(tmp_path, (), SOURCE)
