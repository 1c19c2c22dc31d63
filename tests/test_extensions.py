"""Objects of other packages are found by their entry points."""

import os
from pathlib import Path

import pytest

from bench.errors import SpecError
from bench.extensions import extensions


def install(folder: Path, name: str, entry_points: str) -> None:
    """Make a distribution with entry points, as pip does."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry_points)


def test_extensions_are_the_entry_points_of_installed_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "lion", "[tests.animals]\nlion = os.path:join\n[tests.plants]\noak = os.path:split\n")
    install(tmp_path, "seal", "[tests.animals]\nseal = os.path:split\n")
    monkeypatch.syspath_prepend(tmp_path)
    animals = extensions("tests.animals")
    assert animals.keys() == {"lion", "seal"}
    assert animals["lion"].load() is os.path.join
    assert extensions("tests.stones") == {}


def test_two_extensions_with_one_name_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "lion", "[tests.animals]\nlion = os.path:join\n")
    install(tmp_path, "seal", "[tests.animals]\nlion = os.path:split\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SpecError, match=r"'lion' in tests\.animals is defined twice"):
        extensions("tests.animals")
