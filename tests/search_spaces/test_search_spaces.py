"""Families as files: which there are, and what makes one another one. Nothing here imports TensorFlow."""

import shutil
from pathlib import Path

import pytest

import search_spaces

REAL = Path(search_spaces.__file__).parent
FAMILY = '''"""What it is."""

from search_spaces._family import Family


class Mine(Family):
    """What it searches."""

    def architecture(self, hp, images):
        """What it maps."""
        return images
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the real folder with the family `mine` in it, which is where families are looked for."""
    copy = tmp_path / "search_spaces"
    shutil.copytree(REAL, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "mine.py").write_text(FAMILY)
    monkeypatch.setattr(search_spaces, "__path__", [str(copy)])
    return copy


def digest_after(file: Path, old: str, new: str) -> str:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    return search_spaces.source_digest("mine")


def test_every_file_without_leading_underscore_is_a_family() -> None:
    found = {file.stem for file in REAL.glob("*.py") if not file.name.startswith("_")}
    assert found <= set(search_spaces.names())
    assert {"dense", "cnn"} <= found


@pytest.mark.usefixtures("families")
def test_folder_on_the_python_path_adds_its_families() -> None:
    assert {"dense", "tiny", "sometimes_nan"} <= set(search_spaces.names())
    assert search_spaces.source_digest("tiny") != search_spaces.source_digest("sometimes_nan")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("What it is.", "Something else."),
        ('    """What it searches."""\n', ""),
        ('"""What it maps."""', "# What it maps."),
        ("return images", "return (\n            images\n        )"),
    ],
    ids=["docstring", "no docstring", "comment", "layout"],
)
def test_digest_stays_where_only_words_and_layout_change(folder: Path, old: str, new: str) -> None:
    before = search_spaces.source_digest("mine")
    assert digest_after(folder / "mine.py", old, new) == before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("mine.py", "return images", "return images + 0"),
        ("mine.py", "class Mine", "class Yours"),
        ("_recipe.py", "BATCH_SIZE = 128", "BATCH_SIZE = 64"),
        ("_family.py", "1 / 255", "1 / 256"),
    ],
)
def test_digest_changes_with_the_code_of_family_base_and_recipe(folder: Path, file: str, old: str, new: str) -> None:
    before = search_spaces.source_digest("mine")
    assert digest_after(folder / file, old, new) != before


def test_digest_does_not_change_with_another_family(folder: Path) -> None:
    before = search_spaces.source_digest("mine")
    (folder / "dense.py").write_text("")
    assert search_spaces.source_digest("mine") == before
