"""Families as files: how they are found, and what changes their digests. Nothing here imports TensorFlow.

These tests are not in tests/search_spaces, because tests/ is on the path, and that folder would be one of families.
"""

import json
import multiprocessing
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import search_spaces
from command_line import variables
from packages import install
from processes import SOURCE, python

REAL = Path(search_spaces.__file__).parent
FAMILY = '''"""What it is."""

from search_spaces import Family


class Mine(Family):
    """What it searches."""

    def architecture(self, hp, images):
        """What it maps."""
        return images
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the built-in families plus the family `mine`; no other families exist."""
    copy = tmp_path / "search_spaces"
    shutil.copytree(REAL, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "mine.py").write_text(FAMILY)
    monkeypatch.setattr(search_spaces, "__path__", [str(copy)])
    return copy


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """A folder to work in, with the family `mine` in ./search_spaces."""
    folder = tmp_path / "work"
    (folder / "search_spaces").mkdir(parents=True)
    (folder / "search_spaces" / "mine.py").write_text(FAMILY)
    return folder


# Names


def test_every_file_without_leading_underscore_is_a_family() -> None:
    files = {file.stem for file in REAL.glob("*.py") if not file.name.startswith("_")}
    assert files <= set(search_spaces.names())
    assert {"dense", "cnn"} <= files


def test_names_and_digests_import_no_keras() -> None:
    code = (
        "import sys, search_spaces; [search_spaces.source_digest(name) for name in search_spaces.names()]; "
        "print([m for m in sys.modules if m.split('.')[0] in ('bench', 'keras', 'keras_tuner', 'tensorflow')])"
    )
    assert python(code) == "[]\n"


@pytest.mark.usefixtures("families")
def test_folder_on_the_python_path_adds_its_families() -> None:
    assert {"dense", "tiny", "sometimes_nan"} <= set(search_spaces.names())
    assert search_spaces.source_digest("tiny") != search_spaces.source_digest("sometimes_nan")


def test_unknown_family_is_refused_with_the_valid_names() -> None:
    with pytest.raises(ValueError, match=r"there is no family 'cnm': valid names are .*cnn, dense"):
        search_spaces.source_digest("cnm")


def test_local_file_with_the_name_of_another_family_is_refused(
    folder: Path, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = workplace / "search_spaces"
    monkeypatch.setattr(search_spaces, "__path__", [str(folder), str(local)])
    with pytest.raises(ValueError, match="family 'mine' is defined more than once") as caught:
        search_spaces.source_digest("mine")
    assert str(local / "mine.py") in str(caught.value)


def test_second_copy_of_the_package_is_no_conflict_and_adds_its_families(
    folder: Path, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = workplace / "search_spaces"
    (copy / "__init__.py").write_text("")
    (copy / "theirs.py").write_text(FAMILY)
    monkeypatch.setattr(search_spaces, "__path__", [str(folder)])
    before = search_spaces.source_digest("mine")
    monkeypatch.setattr(search_spaces, "__path__", [str(folder), str(copy)])
    assert search_spaces.source_digest("theirs")
    assert digest_after(copy / "mine.py", "return images", "return None") == before


@pytest.mark.parametrize("text", ["", "import keras\n\n\ndef build_model(hp): ...\n\n\nclass Helper: ...\n"])
def test_file_without_a_subclass_is_refused_with_what_to_do(folder: Path, text: str) -> None:
    (folder / "mine.py").write_text(text)
    with pytest.raises(
        ValueError, match=r"mine\.py must define a subclass of search_spaces\.Family, found none: "
    ) as caught:
        search_spaces.source_digest("mine")
    assert str(folder) in str(caught.value)


# A local folder


def test_local_folder_is_found_without_the_current_folder_on_the_path(workplace: Path) -> None:
    # -P keeps the current folder off the path, as it is for a console script.
    code = "import search_spaces; search_spaces.add_current_folder(); print(search_spaces.names())"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=workplace, env=variables(), capture_output=True, text=True, check=True
    )
    assert "'mine'" in done.stdout


@pytest.mark.parametrize(
    "start", [["-m", "bench"], [str(Path(sys.executable).with_name("bench"))]], ids=["python -m bench", "bench"]
)
@pytest.mark.parametrize("shadowing", [False, True])
def test_commands_find_the_local_folder(workplace: Path, start: list[str], *, shadowing: bool) -> None:
    if shadowing:  # an __init__.py there makes it a package of the same name
        (workplace / "search_spaces" / "__init__.py").write_text("from search_spaces.mine import Mine\n")
    done = subprocess.run(
        [sys.executable, *start, "list", "--json"],
        cwd=workplace,
        env=variables() | {"PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert {"cnn", "dense", "mine"} <= set(json.loads(done.stdout)["families"])


def test_worker_processes_find_the_local_folder(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workplace)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(search_spaces, "__path__", [*search_spaces.__path__])
    search_spaces.add_current_folder()
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(search_spaces.source_digest, ["mine"]) == search_spaces.source_digest("mine")


def test_folder_without_families_is_not_put_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    search_spaces.add_current_folder()
    assert str(tmp_path) not in sys.path


# Entry points


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package whose family `theirs` uses its own helper module."""
    site = tmp_path / "site"
    folder = site / "their_package" / "families"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("raise ImportError('digests import nothing')\n")
    (folder / "__init__.py").write_text("")
    (folder / "main.py").write_text(f"from ._blocks import block\n{FAMILY}")
    (folder / "_blocks.py").write_text("def block(x): return x\n")
    install(site, "their-package", "[keras_family_bench.families]\ntheirs = their_package.families.main:Mine\n")
    monkeypatch.syspath_prepend(site)
    return folder


def test_entry_point_is_a_family_with_a_digest_of_its_code(package: Path) -> None:
    assert "theirs" in search_spaces.names()
    before = search_spaces.source_digest("theirs")
    (package / "_blocks.py").write_text("def block(x): return x + 1\n")
    assert search_spaces.source_digest("theirs") != before
    assert "their_package" not in sys.modules


def test_entry_point_and_file_of_one_name_are_refused(package: Path, folder: Path) -> None:
    (folder / "theirs.py").write_text(FAMILY)
    with pytest.raises(ValueError, match=r"defined more than once, .*their_package\.families\.main:Mine"):
        search_spaces.source_digest("theirs")


# Digests


def digest_after(file: Path, old: str, new: str) -> str:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    return search_spaces.source_digest("mine")


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
def test_digest_ignores_comments_docstrings_and_layout(folder: Path, old: str, new: str) -> None:
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


@pytest.mark.parametrize(
    "statement",
    [
        "from search_spaces._helper import block",
        "from search_spaces import _helper",
        "import search_spaces._helper",
        "from ._helper import block",
        "from . import _helper",
        "from search_spaces._package import block",
        "from search_spaces._package.inner import block",
    ],
)
def test_digest_changes_with_the_helpers_of_helpers(folder: Path, statement: str) -> None:
    (folder / "_package").mkdir()
    (folder / "_package" / "__init__.py").write_text("from .inner import block\n")
    (folder / "_package" / "inner.py").write_text("from .._deep import block\n")
    (folder / "_helper.py").write_text("from search_spaces._deep import block\n")
    (folder / "_deep.py").write_text("def block(x): return x\n")
    before = digest_after(folder / "mine.py", "from search_spaces import Family", f"import keras\n{statement}")
    (folder / "_deep.py").write_text("def block(x): return x + 1\n")
    assert search_spaces.source_digest("mine") != before


def test_helper_imported_inside_a_function_counts(folder: Path) -> None:
    (folder / "_helper.py").write_text("WIDTH = 8\n")
    before = digest_after(
        folder / "mine.py", "return images", "from search_spaces._helper import WIDTH\n        return images"
    )
    assert digest_after(folder / "_helper.py", "8", "9") != before


def test_digest_does_not_change_with_files_that_are_not_imported(folder: Path) -> None:
    before = search_spaces.source_digest("mine")
    for file in ("dense.py", "__init__.py", "_digest.py"):
        (folder / file).write_text("")
    assert search_spaces.source_digest("mine") == before


def test_digest_is_the_same_on_every_version_of_python(tmp_path: Path) -> None:
    # Syntax whose trees or printed forms differ between versions. The digest was computed with 3.11, 3.12 and 3.13.
    file = tmp_path / "syntax.py"
    file.write_text(
        '''"""Docstring."""
from . import a as b

@decorator(1, *x, k=-2.5e-3)
class A(B, metaclass=C):
    """Docstring."""
    x: int = 0x10
    async def f(self, a, /, b=1, *c, d, e=None, **g) -> "T":
        """Docstring."""
        async with x as y, z: pass
        return f"{a!r:>{b}} and {c=} {{x}}" f"u" "\\u00e9\\n", b"\\xff", 1j, ..., True, None, ""
    def g(self):
        match self:
            case {"a": [1, *r], **k} if r: return lambda q=(yield): q
            case A(x=None) | (1 | 2): del a[1:2, ::3]
        try: x = not a if b else {**c, 1: 2}
        except* ValueError as e: raise X from e
        while (n := 1) < 2 <= 3: x @= {i for i in y if i}
''',
        encoding="utf-8",
    )
    assert search_spaces.code_digest(file) == "09ba68d1c8df"
