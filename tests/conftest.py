"""What all tests share: when files are read, how TensorFlow starts, and families that only tests have."""

import os
from pathlib import Path
from pkgutil import extend_path

import pytest

import search_spaces

FAMILIES = Path(__file__).parent / "families"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave files that are slow as a whole unread where slow tests are not wanted: they import TensorFlow."""
    if config.option.markexpr != "not slow" or collection_path.suffix != ".py":
        return None
    return True if "\npytestmark = pytest.mark.slow\n" in collection_path.read_text(encoding="utf-8") else None


@pytest.fixture(autouse=True)
def _same_tensorflow(request: pytest.FixtureRequest) -> None:
    """Start TensorFlow in slow tests as a worker does, whichever of them comes first: with one thread, in float32."""
    if request.node.get_closest_marker("slow") is not None:
        from bench.search.training import prepare_process

        prepare_process("float32")


@pytest.fixture
def families(monkeypatch: pytest.MonkeyPatch) -> None:
    """Add the families of tests/families, here and in processes started meanwhile, as a folder on PYTHONPATH does."""
    monkeypatch.syspath_prepend(FAMILIES)
    paths = [str(FAMILIES), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    monkeypatch.setattr(search_spaces, "__path__", extend_path(search_spaces.__path__, "search_spaces"))
