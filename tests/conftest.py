"""Shared by all tests: collection, TensorFlow configuration, test families, shared runs."""

import gc
import json
import os
import re
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from pkgutil import extend_path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

import search_spaces
from bench.machine import installed_version

if TYPE_CHECKING:
    from whole_runs import Finished

FAMILIES = Path(__file__).parent / "families"
IMPORTED = Path(__file__).parent / "imported"

# If a shell starts the tests in the background, they ignore Ctrl-C, and so would the commands that they interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Commands format their output for a pipe, also those that run in this process.
for _name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
    os.environ.pop(_name, None)


def pytest_report_header() -> str:
    """Show the versions under test."""
    libraries = ("tensorflow", "keras", "keras-tuner", "numpy", "pandas", "distributed")
    return ", ".join(f"{name} {installed_version(name)}" for name in libraries)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not import files of slow tests when slow tests are deselected: they import TensorFlow."""
    if not config.option.markexpr.startswith("not slow") or collection_path.suffix != ".py":
        return None
    text = collection_path.read_text(encoding="utf-8")
    return True if re.search(r"^pytestmark = .*slow", text, re.MULTILINE) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with files of slow tests, of these with files that run commands, of these without a shared run.

    Parallel processes, with short files left, then end at about the same time, and do not all wait for the shared run.
    """
    slow = {item.path for item in items if item.get_closest_marker("slow") is not None}
    modules = re.compile("^from (command_line|doc_pages|tuner_scripts) ", re.MULTILINE)
    commands = {path for path in slow if modules.search(path.read_text(encoding="utf-8"))}
    shared = {item.path for item in items if "tiny" in getattr(item, "fixturenames", ())}
    items.sort(key=lambda item: (item.path not in slow, item.path not in commands, item.path in shared))


@pytest.fixture(autouse=True)
def _same_tensorflow(request: pytest.FixtureRequest) -> None:
    """Configure TensorFlow in slow tests as in a worker: one thread, float32."""
    if request.node.get_closest_marker("slow") is not None:
        from bench.training.precision import prepare_process

        prepare_process("float32")


@pytest.fixture(scope="module", autouse=True)
def _modules_are_no_garbage() -> None:
    """Do not scan what is imported in garbage collections, as in a worker: Keras collects before it builds a model."""
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _small_pictures() -> Iterator[None]:
    """Draw fast in this process."""
    from bench.report.figures import picture

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(picture, "DPI", 50)
        yield


@pytest.fixture
def families(monkeypatch: pytest.MonkeyPatch) -> None:
    """Add the families of tests/families, here and in child processes, as a folder on PYTHONPATH does."""
    monkeypatch.syspath_prepend(FAMILIES)
    paths = [str(FAMILIES), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    monkeypatch.setattr(search_spaces, "__path__", extend_path(search_spaces.__path__, "search_spaces"))


@pytest.fixture(scope="module")
def here() -> Iterator[None]:
    """`call` may train."""
    from command_line import training_here

    with training_here():
        yield


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> "Finished":
    """An uninterrupted run of `tiny` with two workers, which leaves `imported` next to its results."""
    from command_line import run, variables
    from whole_runs import TINY, finished

    # With pytest-xdist, the process that is first makes it for all of them.
    base = tmp_path_factory.getbasetemp()
    cwd = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "tiny"
    cwd.mkdir(exist_ok=True)
    output = cwd / "output.json"
    with FileLock(cwd / "lock"):
        if not output.exists():
            env = variables(IMPORTED, IMPORTED=str(cwd / "imported"))
            done = run(*TINY, "--workers", 2, cwd=cwd, env=env)
            output.write_text(json.dumps({"stdout": done.stdout, "stderr": done.stderr}))
    return replace(finished(cwd / "results", "tiny"), **json.loads(output.read_text()))


@pytest.fixture(scope="session")
def undisturbed(tiny: "Finished", tmp_path_factory: pytest.TempPathFactory) -> "Callable[[str], Finished]":
    """Returns the uninterrupted run of `tiny` by a tuner and two workers, made at the first call."""
    from whole_runs import finished, searches

    @cache
    def run_of(tuner: str) -> "Finished":
        if tuner == "random":
            return tiny
        return finished(searches([tuner], 2, tmp_path_factory.mktemp(tuner)), "tiny", tuner)

    return run_of


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    from command_line import small_disk

    with small_disk(tmp_path / "small", "64k") as disk:
        yield disk
