"""Models as the content of .keras files."""

import sys
import tempfile
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
        module: of the model's family, if that is a file; where the model was saved, it may have had another name.
    """
    objects = own_objects(content, module) if own_code else {}
    # In this scope, they come before others that are registered with Keras under the same names.
    with tempfile.TemporaryDirectory() as folder, keras.saving.custom_object_scope(objects):
        path = Path(folder) / "model.keras"
        path.write_bytes(content)
        return keras.models.load_model(path, compile=False, safe_mode=not own_code, custom_objects=objects)


def has_own_code(content: bytes) -> bool:
    """Whether a .keras file names classes or functions outside Keras, or contains code."""
    config = read_config(content, "the model")
    return any(
        serialized["class_name"] == "__lambda__"
        or str(serialized.get("module") or "keras").partition(".")[0] not in ("keras", "builtins")
        for serialized in serialized_objects(config)
    )


def own_objects(content: bytes, own_module: ModuleType | None = None) -> dict[str, Any]:
    """The classes and functions outside Keras that a .keras file names; Keras finds registered ones only."""
    objects: dict[str, Any] = {}
    for serialized in serialized_objects(read_config(content, "the model")):
        called = str(serialized.get("module"))
        is_own = own_module is not None and search_spaces.is_module_name(called, own_module)
        module = own_module if is_own else sys.modules.get(called)
        name = serialized["class_name"] if serialized["class_name"] != "function" else serialized.get("config")
        if module is not None and module.__name__.partition(".")[0] != "keras" and hasattr(module, str(name)):
            objects |= dict.fromkeys((str(name), str(serialized.get("registered_name"))), getattr(module, str(name)))
    return objects
