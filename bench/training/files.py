"""Models as the content of .keras files."""

import sys
import tempfile
from pathlib import Path
from typing import Any

import keras

from bench.training.archives import read_config, serialized_objects


def to_bytes(model: keras.Model) -> bytes:
    """The content of a .keras file with `model`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return path.read_bytes()


def from_bytes(content: bytes, *, own_code: bool = False) -> keras.Model:
    """The uncompiled model in a .keras file.

    Args:
        content: of the file.
        own_code: load layers, models and functions that are defined in modules imported already, and code in the file.
    """
    objects = own_objects(content) if own_code else {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        path.write_bytes(content)
        return keras.models.load_model(path, compile=False, safe_mode=not own_code, custom_objects=objects)


def own_objects(content: bytes) -> dict[str, Any]:
    """The classes and functions outside Keras that a .keras file names; Keras finds registered ones only."""
    objects: dict[str, Any] = {}
    for serialized in serialized_objects(read_config(content, "the model")):
        module = sys.modules.get(str(serialized.get("module")))
        name = serialized["class_name"] if serialized["class_name"] != "function" else serialized.get("config")
        if module is not None and module.__name__.partition(".")[0] != "keras" and hasattr(module, str(name)):
            objects |= dict.fromkeys((str(name), str(serialized.get("registered_name"))), getattr(module, str(name)))
    return objects
