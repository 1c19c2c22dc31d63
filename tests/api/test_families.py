"""Objects of Python as families: importable ones by name, others by their pickled content."""

import importlib
import inspect
import linecache
import threading
import tracemalloc
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf

import search_spaces
from bench.api.families import locate_family
from bench.errors import SpecError
from bench.execution.object_source import source_of
from search_spaces import FamilyLocation

pytestmark = pytest.mark.slow  # Keras Tuner imports TensorFlow

NOTEBOOK = """
import keras_tuner

UNITS = [8, 16]

def helper(units):
    return units + OFFSET

def build_net(hp):
    return helper(hp.Choice("units", UNITS))

class Net(keras_tuner.HyperModel):
    def __init__(self, depth=1):
        super().__init__()
        self.depth = depth

    def build(self, hp):
        return helper(self.depth)
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def execute(folder: Path, code: str = NOTEBOOK, name: str = "__main__", offset: int = 1) -> dict[str, Any]:
    """The names that a script defines, as if this process ran it."""
    file = folder / f"script{len(list(folder.iterdir()))}.py"
    file.write_text(f"OFFSET = {offset}\n{code}")
    module = ModuleType(name)
    exec(compile(file.read_text(), str(file), "exec"), vars(module))
    return vars(module)


def test_name_or_path_is_located_as_by_the_command_line() -> None:
    assert locate_family("cnn") == FamilyLocation(name="cnn")


def test_importable_object_is_the_family_that_the_command_line_locates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in ("my_nets.py", "net_package/__init__.py", "net_package/small.py"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text("def build_net(hp):\n    return None\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    my_nets, package, small = map(importlib.import_module, ("my_nets", "net_package", "net_package.small"))
    assert locate_family(my_nets.build_net) == search_spaces.locate("my_nets.py:build_net")
    assert locate_family(package.build_net) == search_spaces.locate("net_package:build_net")
    assert locate_family(small.build_net) == FamilyLocation(name="build_net", definition="net_package.small:build_net")
    assert locate_family(keras_tuner.applications.HyperResNet).file is None


def test_function_with_a_general_name_is_called_after_its_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "general_net.py").write_text("def build_model(hp):\n    return None\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    build_model = importlib.import_module("general_net").build_model
    assert locate_family(build_model) == search_spaces.locate("general_net.py:build_model")
    assert locate_family(build_model).name == "general_net"


def test_object_of_a_script_is_stored_and_loaded_with_what_it_uses(tmp_path: Path, cache: Path) -> None:
    location = locate_family(execute(tmp_path)["build_net"])
    assert (location.name, location.definition, location.is_pickled) == ("build_net", "__main__:build_net", True)
    assert str(location.file).startswith(str(cache))
    assert search_spaces.source_digest(location) == source_of(execute(tmp_path)["build_net"])
    loaded = search_spaces.load(location)
    assert loaded(keras_tuner.HyperParameters()) == 9


def test_instance_of_a_script_is_stored_with_its_state(tmp_path: Path) -> None:
    net = execute(tmp_path)["Net"]
    deep, shallow = locate_family(net(depth=3)), locate_family(net(depth=1))
    assert deep.name == "Net"
    assert deep.file != shallow.file
    assert search_spaces.load(deep).build(None) == 4


def test_source_of_a_stored_function_is_that_of_its_script_before_a_change(tmp_path: Path) -> None:
    build_net = execute(tmp_path)["build_net"]
    location = locate_family(build_net)
    file = build_net.__code__.co_filename
    Path(file).write_text("# changed\n")
    linecache.clearcache()
    loaded = search_spaces.load(location)
    assert inspect.getsource(loaded) == 'def build_net(hp):\n    return helper(hp.Choice("units", UNITS))\n'
    assert linecache.getline(file, 1) == "# changed\n"


LOOP = """
import keras_tuner
import tensorflow as tf

class Net(keras_tuner.HyperModel):
    def fit(self, numbers):
        @tf.function
        def positive_total(numbers):
            total = 0
            for number in numbers:
                if number > 0:
                    total += number
            return total

        return positive_total(numbers)
"""


def test_stored_hypermodel_may_have_loops_over_tensors(tmp_path: Path) -> None:
    loaded = search_spaces.load(locate_family(execute(tmp_path, LOOP)["Net"]))
    assert loaded().fit(tf.constant([1, -2, 3])) == 4


def test_digest_depends_on_the_code_and_not_on_its_place(tmp_path: Path) -> None:
    digest = source_of(execute(tmp_path)["build_net"])
    assert source_of(execute(tmp_path, f"\n\n# a comment\n{NOTEBOOK}")["build_net"]) == digest
    for changed in (NOTEBOOK.replace("[8, 16]", "[8, 32]"), NOTEBOOK.replace("units + OFFSET", "units * OFFSET")):
        assert source_of(execute(tmp_path, changed)["build_net"]) != digest
    assert source_of(execute(tmp_path, offset=2)["build_net"]) != digest


@pytest.mark.parametrize(
    ("before", "after"),
    [("[8, 8]", "[8]"), ("[[8], 16]", "[[8, 16]]"), ("[8, 16, 8]", "[8, 16, 16]"), ("[1]", "[True]")],
)
def test_equal_values_all_count(before: str, after: str, tmp_path: Path) -> None:
    digests = {source_of(execute(tmp_path, NOTEBOOK.replace("[8, 16]", each))["build_net"]) for each in (before, after)}
    assert len(digests) == 2


def test_digest_of_a_class_is_the_same_after_an_instance_was_pickled(tmp_path: Path) -> None:
    net = execute(tmp_path)["Net"]
    digest = source_of(net)
    net().__reduce_ex__(2)
    assert source_of(net) == digest


def test_methods_and_base_classes_of_a_script_count(tmp_path: Path) -> None:
    code = NOTEBOOK + "\nclass Deeper(Net):\n    pass\n"
    digest = source_of(execute(tmp_path, code)["Deeper"])
    assert source_of(execute(tmp_path, code)["Deeper"]) == digest
    changed = code.replace("helper(self.depth)", "helper(self.depth + 1)")
    assert source_of(execute(tmp_path, changed)["Deeper"]) != digest


def test_partial_function_counts_with_its_arguments() -> None:
    def build(units: int, hp: Any) -> int:
        return units

    assert source_of(partial(build, 8)) == source_of(partial(build, 8))
    assert source_of(partial(build, 8)) != source_of(partial(build, 16))


def test_closures_are_told_apart() -> None:
    def with_units(units: int) -> Any:
        return lambda hp: units

    assert source_of(with_units(8)) != source_of(with_units(16))


def test_large_arrays_count_without_much_memory() -> None:
    def using(values: Any) -> Any:
        return lambda hp: values

    images = np.zeros((3_000, 28, 28), np.float32)
    tracemalloc.start()
    first = source_of(using(images))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * images.nbytes
    images[2_000, 3, 4] = 1
    assert source_of(using(images)) != first


def test_layers_of_a_script_count_with_their_settings_and_weights_whenever_they_were_made() -> None:
    def using(rate: float, weight: int) -> Any:
        layers = keras.Sequential([keras.Input((2,)), keras.layers.Dropout(rate), keras.layers.Dense(1)])
        layers.set_weights([np.full((2, 1), weight), np.zeros(1)])
        return lambda hp: layers

    first, *others = (source_of(using(*arguments)) for arguments in ((0.1, 1), (0.1, 1), (0.2, 1), (0.1, 2)))
    assert [each == first for each in others] == [True, False, False]


class Clip(keras.constraints.Constraint):  # type: ignore[misc]
    def __init__(self, limit: int) -> None:
        self.limit = limit


def test_attributes_that_an_own_class_of_keras_leaves_out_of_its_configuration_count() -> None:
    def using(limit: int) -> Any:
        clip = Clip(limit)
        return lambda hp: clip

    assert source_of(using(2)) == source_of(using(2))
    assert source_of(using(2)) != source_of(using(3))


class WithoutState:
    def __reduce_ex__(self, protocol: Any) -> Any:
        raise RuntimeError("no state")


@pytest.mark.parametrize("family", [3, None, object()])
def test_other_objects_are_refused(family: object) -> None:
    with pytest.raises(SpecError, match=r"family must be the name of a family, .* or a hypermodel; got"):
        locate_family(family)


@pytest.mark.parametrize("kind", [threading.Lock, WithoutState])
def test_object_that_cannot_be_pickled_is_refused_with_the_way_out(kind: Any) -> None:
    lock = kind()

    def build_locked(hp: Any) -> Any:
        return lock

    with pytest.raises(SpecError, match=r"build_locked cannot be sent to worker processes: .*pass my\.py:build_model"):
        locate_family(build_locked)


def test_name_without_latin_letters_is_replaced() -> None:
    def build(hp: Any) -> None:
        return None

    build.__name__ = "\u6a21\u578b"
    assert locate_family(build).name == "model"


def test_name_of_a_built_in_family_is_refused() -> None:
    def cnn(hp: Any) -> None:
        return None

    with pytest.raises(SpecError, match="the name 'cnn' is taken by another family"):
        locate_family(cnn)
