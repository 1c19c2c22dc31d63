"""The digest of a hypermodel's code: it changes with the text of the code that a model uses, and with nothing else."""

import importlib
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from bench.own_tuner.model_code import text_of

SCRIPT = """
import json
import random
import model_blocks
from model_blocks import block

WIDTH = 8
rates = [0.1, 0.2]
rates[1] = 0.3
run = random.random()
calls = 0

class Scale:
    factor = 2

    def __init__(self, words=1, hp=None):
        self.words = words

    def build(self, hp):
        self.seen = hp
        return block(self.words * self.factor)

scale = Scale()

def unused():
    return "unused"

def build_model(hp, depth=1):
    global calls
    calls += 1
    rates.append(calls)
    return json.dumps([block(WIDTH), rates[0], run, scale.build(hp), model_blocks.width(depth)])
"""
BLOCKS = """
def block(units):
    return units + 1

def width(units):
    return units
"""

Script = Callable[..., dict[str, Any]]


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    """Runs a script, with other texts in place of some, and returns its variables."""
    monkeypatch.syspath_prepend(tmp_path)

    def run(*changes: tuple[str, str]) -> dict[str, Any]:
        texts = {"model_blocks": BLOCKS, "script": SCRIPT}
        for before, after in changes:
            assert any(before in text for text in texts.values())
            texts = {name: text.replace(before, after) for name, text in texts.items()}
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        for name, text in texts.items():
            (folder / f"{name}.py").write_text(text)
        monkeypatch.syspath_prepend(folder)
        sys.modules.pop("model_blocks", None)
        importlib.invalidate_caches()
        module = ModuleType("__main__")
        exec(compile(texts["script"], str(folder / "script.py"), "exec"), vars(module))
        return vars(module)

    return run


def model(variables: dict[str, Any]) -> str:
    return text_of(variables["build_model"])


def test_unchanged_script_has_the_same_digest_whatever_its_variables_hold(script: Script) -> None:
    first = script()
    digest = model(first)
    first["build_model"](None)
    assert model(first) == model(script()) == digest


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('return "unused"', 'return "changed"'),
        ("calls += 1", "calls += 1  # a comment"),
        ("scale = Scale()", "scale = Scale()\nbatch_size = 32"),
    ],
)
def test_what_the_model_does_not_use_does_not_count(before: str, after: str, script: Script) -> None:
    assert model(script((before, after))) == model(script())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("block(WIDTH)", "block(2 * WIDTH)"),
        ("WIDTH = 8", "WIDTH = 16"),
        ("[0.1, 0.2]", "[0.2, 0.2]"),
        ("rates[1] = 0.3", "rates[1] = 0.4"),
        ("depth=1", "depth=2"),
        ("units + 1", "units + 2"),
        ("return units\n", "return 2 * units\n"),
        ("factor = 2", "factor = 3"),
        ("self.words * self", "self.words + self"),
        ("scale = Scale()", "scale = Scale(2)"),
    ],
)
def test_what_the_model_uses_counts(before: str, after: str, script: Script) -> None:
    assert model(script((before, after))) != model(script())


def test_arguments_of_a_hypermodel_count_and_its_other_attributes_do_not(script: Script) -> None:
    kind = script()["Scale"]
    used = kind(8)
    digest = text_of(used.build)
    used.build(None)
    assert text_of(used.build) == text_of(kind(8).build) == digest
    assert text_of(kind(16).build) != digest


def test_arguments_of_a_partial_function_count(script: Script) -> None:
    build = script()["build_model"]
    assert text_of(partial(build, depth=2)) == text_of(partial(build, depth=2))
    assert text_of(partial(build, depth=2)) != text_of(partial(build, depth=3))


def test_last_executed_cell_that_assigns_a_variable_counts(script: Script) -> None:
    notebook = script()
    notebook["get_ipython"] = None

    def after(*cells: str) -> str:
        notebook["In"] = ["", *cells]
        return model(notebook)

    first = after("WIDTH = 8", "%magic", "plot(1)")
    assert after("WIDTH = 4", "WIDTH = 8  # again", "plot(2)") == first
    assert after("rates = []", "WIDTH = 8") == after("WIDTH = 8", "rates = []")
    assert after("WIDTH = 16") != first
    assert after("rates[0] = 1", "rates[0] = 1") == after("rates[0] = 1") != after("rates[0] = 2")


def test_function_without_source_has_the_same_digest_whenever_it_is_defined() -> None:
    first, second = ({"__name__": "__main__"} for _ in range(2))
    for variables in (first, second):
        exec("def build_model(hp):\n    return 1\n", variables)
    assert model(first) == model(second)
