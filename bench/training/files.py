"""Models as the content of .keras files."""

import tempfile
from pathlib import Path

import keras


def to_bytes(model: keras.Model) -> bytes:
    """The content of a .keras file with `model`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return path.read_bytes()


def from_bytes(content: bytes, *, safe_mode: bool = True) -> keras.Model:
    """The uncompiled model in a .keras file; without `safe_mode`, loading it may run code of the file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        path.write_bytes(content)
        return keras.models.load_model(path, compile=False, safe_mode=safe_mode)
