"""Folders that environment variables name."""

from pathlib import Path

import pytest

from bench.data.loaders import folders


def test_user_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_DATA_DIR", "/some/where")
    assert folders.user_folder() == Path("/some/where")


@pytest.mark.parametrize("value", [None, ""])
def test_no_user_folder(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.delenv("BENCH_DATA_DIR", raising=False)
    if value is not None:
        monkeypatch.setenv("BENCH_DATA_DIR", value)
    assert folders.user_folder() is None


def test_keras_home_is_respected(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert folders.keras_folder() == tmp_path


def test_keras_folder_in_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KERAS_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert folders.keras_folder() == tmp_path / ".keras"
