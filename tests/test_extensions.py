"""Objects of other packages are found by their entry points."""

import os
from pathlib import Path

import pytest

from bench.errors import SpecError
from bench.extensions import extensions
from packages import install


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
