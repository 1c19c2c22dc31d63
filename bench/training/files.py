"""Models as the content of .keras files."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import keras

import search_spaces
from bench.training.archives import read_config, serialized_objects


def to_bytes(model: keras.Model) -> bytes:
    """The content of a .keras file with `model`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return path.read_bytes()


def from_bytes(content: bytes, *, own_code: bool = False, module: ModuleType | None = None) -> keras.Model:
    """The uncompiled model in a .keras file.

    Args:
        content: of the file.
        own_code: load layers, models and functions that are defined in modules imported already, and code in the file.
        module: that defines the model's family; where the model was saved, it may have had another name.
    """
    objects = own_objects(content, module) if own_code else {}
    with tempfile.TemporaryDirectory() as folder, _registered(objects):
        path = Path(folder) / "model.keras"
        path.write_bytes(content)
        return keras.models.load_model(path, compile=False, safe_mode=not own_code, custom_objects=objects)


@contextmanager
def _registered(objects: dict[str, Any]) -> Iterator[None]:
    """Inside the block, objects replace those of other families that are registered with Keras under the same names.

    Keras prefers registered objects to those that are given to `load_model`.
    """
    registry = keras.saving.get_custom_objects()
    before = dict(registry)
    registry.update(objects)
    try:
        yield
    finally:
        registry.clear()
        registry.update(before)


def has_own_code(content: bytes) -> bool:
    """Whether a .keras file names classes or functions outside Keras, or contains code."""
    return any(map(_is_own, serialized_objects(read_config(content, "the model"))))


def own_objects(content: bytes, module: ModuleType | None = None) -> dict[str, Any]:
    """The classes and functions outside Keras that a .keras file names, also those that are not registered with Keras.

    `module` is that of the model's family, which has those that the file names without a module.
    """
    objects: dict[str, Any] = {}
    for serialized in filter(_is_own, serialized_objects(read_config(content, "the model"))):
        called = serialized["config"] if serialized["class_name"] == "function" else serialized["class_name"]
        defined_in = str(serialized.get("module") or "builtins")
        if module is not None and (defined_in == "builtins" or search_spaces.is_module_name(defined_in, module)):
            there: ModuleType | None = module
        else:
            there = sys.modules.get(defined_in)
        name = str(called).rpartition(">")[2]  # after the package under which it is registered
        if hasattr(there, name):
            names = (name, str(called), str(serialized.get("registered_name")))
            objects |= dict.fromkeys(names, getattr(there, name))
    return objects


def _is_own(serialized: dict[str, Any]) -> bool:
    """Whether a serialized object is defined outside Keras, or may be: of functions, only the names are known."""
    kind, module = serialized["class_name"], str(serialized.get("module") or "keras")
    is_registered = ">" in str(serialized.get("registered_name"))
    return kind in ("function", "__lambda__") or is_registered or module.partition(".")[0] not in ("keras", "builtins")
