"""Finding datasets: built-in names, file paths, entry points of installed packages, and errors."""

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from bench.data import catalog
from bench.data.catalog import DatasetLocation
from bench.data.development import facts, load_development
from bench.data.held_out import HeldOutTestSet
from bench.errors import DataError, ExtensionError, SpecError
from bench.records.evaluation_log import EvaluationLog
from packages import install
from processes import python

SHADES = '''"""Eight dark or light images of 2 x 3 pixels, two of them for testing."""

import numpy as np

from bench.data import DataAccess, DatasetDefinition, LabeledImages, TestSetAccess


def development(access: DataAccess) -> LabeledImages:
    access.notify("making shades")
    return shades(6)


def test(access: TestSetAccess) -> LabeledImages:
    return shades(2)


def shades(n: int) -> LabeledImages:
    labels = np.arange(n) % 2
    shades = labels * 200 + np.arange(n)  # distinct
    return np.repeat(shades, 6).astype(np.uint8).reshape(n, 2, 3, 1), labels, "computed"


SHADES = DatasetDefinition(
    title="Shades",
    class_names=("dark", "light"),
    license="CC0",
    image_shape=(2, 3, 1),
    n_test=2,
    development=development,
    test=test,
)
'''


@pytest.fixture
def shades(tmp_path: Path) -> Path:
    file = tmp_path / "shades.py"
    file.write_text(SHADES)
    return file


def install_shades(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """Put a distribution with a module `shades_package` and an entry point on the path."""
    (folder / "shades_package.py").write_text(SHADES)
    install(folder, "shades-package", f"[keras_family_bench.datasets]\n{name} = {value}\n")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "shades_package", raising=False)


# By name


def test_names_are_those_of_the_files() -> None:
    assert {"digits", "fashion_mnist"} <= set(catalog.names())
    assert not any(name.startswith("_") for name in catalog.names())


def test_listing_names_imports_no_dataset() -> None:
    code = (
        "import sys; from bench.data import catalog; names = catalog.names(); "
        "print([m for m in sys.modules if m.startswith(('bench.data.sets', 'sklearn', 'keras', 'tensorflow'))])"
    )
    assert python(code) == "[]\n"


@pytest.mark.parametrize("typo", ["fashion-mnist", "Fashion_MNIST", "fashon_mnist"])
def test_unknown_name_suggests_the_nearest(typo: str) -> None:
    with pytest.raises(SpecError, match=r"digits, fashion_mnist, .*\. Did you mean fashion_mnist\?"):
        catalog.locate(typo)


def test_name_like_no_other_lists_the_valid_names_only() -> None:
    with pytest.raises(SpecError, match=r"valid names are .*mnist$"):
        catalog.locate("zzz")


def test_path_of_the_same_name_is_mentioned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    messages: list[str] = []
    assert catalog.locate("digits", notify=messages.append) == DatasetLocation("digits")
    assert messages == []
    (tmp_path / "digits").mkdir()
    assert catalog.locate("digits", notify=messages.append) == DatasetLocation("digits")
    assert [line.rpartition(" ")[2] for line in messages] == ["./digits"]


def test_package_file_is_not_a_dataset() -> None:
    with pytest.raises(SpecError, match="unknown dataset"):
        catalog.locate("__init__")


# By path


def test_file_anywhere_is_a_dataset_of_its_name(shades: Path) -> None:
    location = catalog.locate(str(shades))
    assert location == DatasetLocation("shades", shades, None)
    messages: list[str] = []
    images = load_development(location, messages.append)
    assert (images.name, images.title, len(images), images.image_shape) == ("shades", "Shades", 6, (2, 3, 1))
    assert messages == ["making shades"]
    assert facts(location, images).n_test == 2


def test_path_may_be_relative(shades: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shades.parent)
    assert catalog.locate("shades.py").path == shades


def test_worker_process_finds_the_file_and_opens_its_test_set(shades: Path, tmp_path: Path) -> None:
    location = catalog.locate(str(shades))
    log = EvaluationLog(tmp_path / "results", "shades")
    content = pickle.dumps((location, HeldOutTestSet(location, "a-run", log)))
    code = (
        "import pickle, sys; from bench.data.development import load_development; "
        "location, test_set = pickle.load(sys.stdin.buffer); print(load_development(location).checksum); "
        "print(test_set.open().labels.tolist())"
    )
    done = subprocess.run([sys.executable, "-c", code], input=content, capture_output=True, check=True, cwd="/")
    assert done.stdout.decode().split("\n")[:2] == [load_development(location).checksum, "[0, 1]"]


def test_name_without_py_suggests_the_file_in_this_folder(shades: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shades.parent)
    with pytest.raises(SpecError, match=r"To use the file in this folder: shades\.py"):
        catalog.locate("shades")


@pytest.mark.parametrize("path", ["missing.py", "no/folder", "./data.csv"])
def test_path_that_does_not_exist_is_refused(path: str) -> None:
    with pytest.raises(
        SpecError, match="does not exist: expected the name of a dataset, or the path of images or of a"
    ):
        catalog.locate(path)


def test_folder_with_the_name_of_a_python_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.py").mkdir()
    with pytest.raises(SpecError, match="is not a file: expected"):
        catalog.locate(str(tmp_path / "folder.py"))


@pytest.mark.parametrize(
    ("name", "message"),
    [("digits.py", "the name 'digits' is taken"), ("my-images.py", "letters, digits and _")],
)
def test_name_that_is_taken_or_malformed_is_refused(shades: Path, name: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        catalog.locate(str(shades.rename(shades.with_name(name))))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("TITLE = 'Mine'\n", r"must define exactly one DatasetDefinition, e\.g\. .* found 0"),
        (f"{SHADES}\nfrom dataclasses import replace\nSECOND = replace(SHADES, title='x')\n", "found 2"),
        ("import no_such_package\n", "cannot be imported: ModuleNotFoundError: No module named 'no_such_package'"),
        ("def broken(:\n", r"cannot be imported: SyntaxError: .*line 1"),
        (f"{SHADES}\nraise SystemExit(0)\n", "cannot be imported: SystemExit: 0"),
        (SHADES.replace("(2, 3, 1)", "(2, 3)"), r"cannot be imported: DatasetDefinition: image_shape must be"),
    ],
    ids=["none", "two", "import error", "syntax error", "exit", "invalid definition"],
)
def test_file_without_a_valid_definition_is_refused(shades: Path, content: str, message: str) -> None:
    shades.write_text(content)
    with pytest.raises(DataError, match=message) as caught:
        catalog.locate(str(shades)).definition()
    assert str(shades) in str(caught.value)


def test_function_that_ends_the_program_is_an_error(shades: Path) -> None:
    shades.write_text(SHADES.replace('access.notify("making shades")', "raise SystemExit"))
    with pytest.raises(DataError, match=r"shades: its function `development` called sys\.exit\(\)"):
        load_development(catalog.locate(str(shades)))


# By entry point


def test_entry_point_is_a_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_shades(tmp_path, monkeypatch, "shades", "shades_package:SHADES")
    assert "shades" in catalog.names()
    assert "shades_package" not in sys.modules
    location = catalog.locate("shades")
    assert location.path is None
    assert len(load_development(location)) == 6


def test_entry_point_and_built_in_of_one_name_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_shades(tmp_path, monkeypatch, "digits", "shades_package:SHADES")
    with pytest.raises(SpecError, match="'digits' is both built in and the entry point shades_package:SHADES"):
        catalog.locate("digits")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("shades_package:development", "in keras_family_bench.datasets must be a DatasetDefinition, got <function"),
        ("shades_package:missing", "in keras_family_bench.datasets cannot be imported: AttributeError"),
    ],
)
def test_entry_point_that_is_not_a_definition_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, message: str
) -> None:
    install_shades(tmp_path, monkeypatch, "shades", value)
    with pytest.raises(ExtensionError, match=f"{value} {message}"):
        catalog.locate("shades").definition()


def test_dataset_that_was_uninstalled_is_named() -> None:
    with pytest.raises(SpecError, match="unknown dataset 'gone': valid names"):
        DatasetLocation("gone").definition()
