"""Families outside `search_spaces`: which text names which object, and what changes their digests. No TensorFlow."""

import sys
from pathlib import Path

import pytest

import search_spaces
from bench.errors import SpecError
from bench.execution.models import family_source, locate_families
from search_spaces import FamilyLocation

MODEL = '''"""A model."""

import keras
import helper


def build_model(hp):
    """Build it."""
    return keras.Sequential([keras.layers.Dense(helper.UNITS)])


class Wide(keras_tuner.HyperModel):
    def build(self, hp): ...
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with two objects in my_net.py, which imports helper.py."""
    (tmp_path / "my_net.py").write_text(MODEL)
    (tmp_path / "helper.py").write_text("UNITS = 8\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def locate(text: str) -> FamilyLocation:
    return search_spaces.locate(text)


# Names


def test_function_with_a_general_name_is_called_after_its_file(folder: Path) -> None:
    location = locate("my_net.py:build_model")
    assert location == FamilyLocation(name="my_net", definition="my_net.py:build_model", file=str(folder / "my_net.py"))


def test_other_objects_are_called_by_their_own_name(folder: Path) -> None:
    assert locate("my_net.py:Wide").name == "Wide"


def test_name_before_an_equals_sign_is_used_instead(folder: Path) -> None:
    assert locate("narrow=./my_net.py:build_model") == FamilyLocation(
        name="narrow", definition="my_net.py:build_model", file=str(folder / "my_net.py")
    )


def test_module_and_object_are_located_without_a_file() -> None:
    location = locate("keras_tuner.applications:HyperResNet")
    assert location == FamilyLocation(name="HyperResNet", definition="keras_tuner.applications:HyperResNet")
    assert len(search_spaces.source_digest(location)) == 12


def test_name_of_a_family_is_located_by_its_name() -> None:
    assert locate("cnn") == FamilyLocation(name="cnn")
    assert search_spaces.source_digest(locate("cnn")) == search_spaces.source_digest("cnn")


def test_file_name_with_a_dash_gives_a_valid_name(folder: Path) -> None:
    (folder / "my_net.py").rename(folder / "my-net.v2.py")
    assert locate("my-net.v2.py:build_model").name == "my_net_v2"


# Errors


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("my_net.py", r"needs the name of an object in it; it defines my_net\.py:Wide or my_net\.py:build_model"),
        ("my_net.py:bild_model", r"defines no 'bild_model'; it defines my_net\.py:Wide or my_net\.py:build_model"),
        ("other.py:build_model", r"other\.py does not exist: expected the name of a family, or"),
        ("my_net.txt/:x", r"does not exist"),
        ("my_net.ipynb:build_model", r"my_net\.ipynb does not exist: call bench\.run\(build_model, .* notebook"),
        ("no_such_module:x", "there is no module 'no_such_module'"),
        ("keras_tuner.nothing:x", "there is no module 'keras_tuner.nothing'"),
        ("a b:x", "'a b' is neither a file nor a module"),
        ("my_net.py:a-b", "is not a family"),
        ("my_net", r"there is no family 'my_net': .* To use the file in this folder: my_net\.py:build_model"),
        ("ü=my_net.py:Wide", "the name 'ü' must consist of letters, digits and _"),
        (
            "cnn=my_net.py:Wide",
            r"the name 'cnn' of my_net\.py:Wide is taken by another family: .* NAME=my_net\.py:Wide",
        ),
        ("all=my_net.py:Wide", r"the name 'all' of my_net\.py:Wide means every family: .* NAME=my_net\.py:Wide"),
    ],
)
def test_text_that_names_no_family_is_refused_with_what_to_do(folder: Path, text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        locate_families([text])
    assert str(caught.value).startswith(f"--family {text}: ")


def test_file_that_is_not_python_is_refused(folder: Path) -> None:
    (folder / "my_net.py").write_text("def build_model(hp)\n")
    with pytest.raises(SpecError, match=r"--family my_net\.py:build_model: not valid Python: .*line 1"):
        locate_families(["my_net.py:build_model"])


def test_two_families_with_one_name_are_refused_and_the_same_one_twice_is_not(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "my_net.py").write_text(MODEL)
    with pytest.raises(SpecError, match=r"another family is called 'my_net', too: .* NAME=sub/my_net\.py:build_model"):
        locate_families(["my_net.py:build_model", "sub/my_net.py:build_model"])
    assert len(locate_families(["my_net.py:build_model", "./my_net.py:build_model", "cnn", "cnn"])) == 2


@pytest.mark.parametrize(
    "code",
    [
        "tuner = kt.RandomSearch(build_model, 'val_accuracy')\ntuner.search(x, y)\n",
        "tuner = keras_tuner.Hyperband(build_model)\nif x:\n    tuner.search(x, y)\n",
        "BayesianOptimization(build_model).search(x, y)\n",
        "tuner = make_tuner()\ntuner.search(x, y, epochs=3)\n",
        "def main():\n    if x:\n        tuner.search(x, y, validation_split=0.2)\n\nmain()\n",
        "model = build_model(hp)\nhistory = model.fit(x, y, epochs=50)\n",
        "with strategy.scope():\n    build_model(hp).fit(x, validation_data=(x, y))\n",
        "def train():\n    return build_model(hp).fit(x, y, epochs=5)\n\nhistory = train()\n",
    ],
)
def test_file_that_searches_or_trains_when_imported_is_refused(folder: Path, code: str) -> None:
    with (folder / "my_net.py").open("a") as file:
        file.write(code)
    found = r"starts a search .*\.search" if ".search(" in code else r"trains a model .*\.fit"
    with pytest.raises(SpecError, match=rf"my_net\.py {found}\): move"):
        locate_families(["my_net.py:build_model"])


@pytest.mark.parametrize(
    "code",
    [
        "tuner = kt.RandomSearch(build_model, 'val_accuracy')\nif __name__ == '__main__':\n    tuner.search(x, y)\n",
        "import re\nfound = re.search('a', 'b')\n",
        "def main():\n    kt.RandomSearch(build_model).search(x)\n",
        "def train():\n    build_model(hp).fit(x, y, epochs=5)\n\nif __name__ == '__main__':\n    train()\n",
        "scaler = StandardScaler().fit(x)\n",
    ],
)
def test_file_that_trains_only_as_a_script_is_accepted(folder: Path, code: str) -> None:
    with (folder / "my_net.py").open("a") as file:
        file.write(code)
    assert locate_families(["my_net.py:build_model"])


@pytest.mark.parametrize("code", ["from other import *\n", "from other import build_model\n", "build_model = make()\n"])
def test_objects_that_are_imported_or_assigned_are_accepted(folder: Path, code: str) -> None:
    (folder / "my_net.py").write_text(code)
    assert locate_families(["my_net.py:build_model"])


# Digests


def digest(text: str = "my_net.py:build_model") -> str:
    return family_source(locate(text))


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [("my_net.py", "keras.layers.Dense", "keras.layers.Dropout"), ("helper.py", "8", "9")],
)
def test_digest_changes_with_the_file_and_its_helpers(folder: Path, file: str, old: str, new: str) -> None:
    before = digest()
    (folder / file).write_text((folder / file).read_text().replace(old, new))
    assert digest() != before


def test_digest_ignores_docstrings_other_files_the_path_and_the_working_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = digest()
    (folder / "my_net.py").write_text(MODEL.replace('"""Build it."""', "# Build it."))
    (folder / "unrelated.py").write_text("x = 1\n")
    assert digest() == before
    monkeypatch.chdir(folder.parent)
    assert digest(f"{folder.name}/my_net.py:build_model") == before


def test_digest_covers_packages_in_the_folder_and_their_relative_imports(folder: Path) -> None:
    (folder / "blocks").mkdir()
    (folder / "blocks" / "__init__.py").write_text("from .residual import block\n")
    (folder / "blocks" / "residual.py").write_text("def block(x): return x\n")
    (folder / "helper.py").write_text("from blocks import block\nUNITS = 8\n")
    before = digest()
    (folder / "blocks" / "residual.py").write_text("def block(x): return x + 1\n")
    assert digest() != before


def test_digest_covers_the_suite_recipe_only_for_a_family(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "mine.py").write_text("from search_spaces import Family\n\nclass Mine(Family): ...\n")
    before = {text: digest(text) for text in ("mine.py:Mine", "my_net.py:build_model")}
    copy = folder / "copy" / "search_spaces"
    copy.mkdir(parents=True)
    for file in Path(search_spaces.__file__).parent.glob("*.py"):
        (copy / file.name).write_text(file.read_text())
    (copy / "_recipe.py").write_text((copy / "_recipe.py").read_text().replace("128", "64"))
    monkeypatch.setattr(search_spaces, "__path__", [str(copy)])
    assert digest("mine.py:Mine") != before["mine.py:Mine"]
    assert digest() == before["my_net.py:build_model"]


def test_missing_file_is_named_when_a_run_is_resumed(folder: Path) -> None:
    location = locate("my_net.py:build_model")
    (folder / "my_net.py").unlink()
    with pytest.raises(SpecError, match=r"family 'my_net' cannot be loaded: .*my_net\.py does not exist: restore it"):
        family_source(location)


# Loading


def test_file_is_imported_with_its_helpers_and_again_after_a_change(folder: Path) -> None:
    (folder / "plain_net.py").write_text("import plain_helper\n\ndef build(hp): return plain_helper.UNITS, 1\n")
    (folder / "plain_helper.py").write_text("UNITS = 8\n")
    location = locate("plain_net.py:build")
    before = list(sys.path)
    assert search_spaces.load(location)(None) == (8, 1)
    assert search_spaces.load(location) is search_spaces.load(location)
    assert sys.modules["plain_net"].__file__ == location.file
    assert [path for path in sys.path if path not in before] == [str(folder)]
    (folder / "plain_net.py").write_text("def build(hp): return 2\n")
    assert search_spaces.load(location)(None) == 2


def test_file_called_like_an_installed_module_does_not_replace_it(folder: Path) -> None:
    import json

    (folder / "json.py").write_text("def build(hp): return 'mine'\n")
    assert search_spaces.load(locate("json.py:build"))(None) == "mine"
    assert sys.modules["json"] is json


def test_two_files_of_one_name_are_two_modules(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "same_stem.py").write_text("def build(hp): return 1\n")
    (folder / "sub" / "same_stem.py").write_text("def build(hp): return 2\n")
    assert search_spaces.load(locate("same_stem.py:build"))(None) == 1
    assert search_spaces.load(locate("sub/same_stem.py:build"))(None) == 2
    assert search_spaces.load(locate("same_stem.py:build"))(None) == 1


def test_helper_of_another_folder_is_not_taken_for_the_one_of_the_same_name(folder: Path) -> None:
    for name in ("first", "second"):
        (folder / name).mkdir()
        (folder / name / f"{name}_net.py").write_text("import same_helper\n\ndef build(hp): return same_helper.NAME\n")
        (folder / name / "same_helper.py").write_text(f"NAME = {name!r}\n")
    assert search_spaces.load(locate("first/first_net.py:build"))(None) == "first"
    expected = r"imports .*second/same_helper\.py, but .* same name, .*first/same_helper\.py, is .*: rename one"
    with pytest.raises(ImportError, match=expected):
        search_spaces.load(locate("second/second_net.py:build"))
    assert search_spaces.load(locate("first/first_net.py:build"))(None) == "first"


def test_failed_import_is_raised_and_tried_again(folder: Path) -> None:
    (folder / "broken_net.py").write_text("import no_such_library\n\ndef build(hp): ...\n")
    location = locate("broken_net.py:build")
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match="no_such_library"):
            search_spaces.load(location)


def test_nested_object_is_found_and_a_missing_one_is_named(folder: Path) -> None:
    (folder / "nested_net.py").write_text("class Models:\n    small = 3\n")
    assert search_spaces.load(locate("nested_net.py:Models.small")) == 3
    with pytest.raises(ValueError, match=r"nested_net\.py defines no 'Models\.large'"):
        search_spaces.load(locate("nested_net.py:Models.large"))
