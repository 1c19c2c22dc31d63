"""Checks of .keras files from elsewhere before Keras loads them."""

import io
import json
import re
import zipfile
from collections.abc import Iterator
from typing import Any

import keras

from bench.errors import ModelError

CONFIG = "config.json"
HDF5 = b"\x89HDF\r\n\x1a\n"  # the first bytes of such a file
MAX_CONFIG_BYTES = 50_000_000
# Classes of Keras that execute code, or read files that the archive names.
UNSAFE = frozenset(
    {
        "FlaxLayer",
        "IntegerLookup",
        "JaxLayer",
        "Lambda",
        "StringLookup",
        "TFSMLayer",
        "TextVectorization",
        "TorchModuleWrapper",
        "__lambda__",
        "__typespec__",
    }
)
# Modules that a configuration may name; others, such as keras.utils, have functions that read and write files.
MODULES = re.compile(
    r"keras(\.(layers|initializers|regularizers|constraints|activations|optimizers|losses|metrics|dtype_policies|models"
    r"|random|src\.models|src\.ops|src\.layers|src\.dtype_policies|src\.activations|src\.random)(\.\w+)*)?"
)
# Where Keras finds a function of which a configuration has the name only.
FUNCTIONS = ("activations", "initializers", "losses", "metrics")


def check_archive(content: bytes, name: str) -> None:
    """Check that a .keras file names nothing but layers of Keras, in addition to Keras' own safe mode.

    Safe mode of older versions of Keras lets configurations call functions of other modules. Loss, metrics and
    optimizer of the model itself may be any, since they are not loaded.

    Args:
        content: of the file.
        name: of the file, for messages.

    Raises:
        ModelError: it is not a .keras file, or names classes or functions outside Keras or that execute code.
    """
    config = read_config(content, name)
    if isinstance(config, dict):
        config = config | {"compile_config": None}  # as `keras.models.load_model(compile=False)` does
    for serialized in serialized_objects(config):
        kind, module = str(serialized["class_name"]), serialized.get("module")
        if kind in UNSAFE:
            raise ModelError(f"{name}: contains {kind}, which can execute code: only built-in layers are loaded")
        if kind == "function":
            _check_function(serialized, name)
        elif kind.startswith("__"):
            continue  # a tensor, tuple or other value
        elif module is not None and not (MODULES.fullmatch(str(module)) and kind[:1].isupper()):
            raise ModelError(
                f"{name}: contains {module}.{kind}, and only built-in layers of Keras are loaded: save the model "
                "without classes and functions of your own"
            )


def read_config(content: bytes, name: str) -> Any:
    """The configuration in a .keras file.

    Raises:
        ModelError: it is not a .keras file.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if archive.getinfo(CONFIG).file_size > MAX_CONFIG_BYTES:
                raise ModelError(f"{name}: its configuration is larger than {MAX_CONFIG_BYTES:,} bytes")
            return json.loads(archive.read(CONFIG))
    except (zipfile.BadZipFile, KeyError, ValueError, OSError, EOFError) as error:
        if content.startswith(HDF5):
            problem = "is an HDF5 file, not a .keras file: load it with keras.models.load_model, then save"
        else:
            problem = "is not a .keras file, or is damaged: save"
        raise ModelError(f"{name}: {problem} the model with model.save('NAME.keras')") from error


def serialized_objects(value: Any) -> Iterator[dict[str, Any]]:
    """All serialized objects in a configuration."""
    if isinstance(value, dict):
        if "class_name" in value:
            yield value
        for each in value.values():
            yield from serialized_objects(each)
    elif isinstance(value, list):
        for each in value:
            yield from serialized_objects(each)


def _check_function(serialized: dict[str, Any], name: str) -> None:
    module, function = serialized.get("module"), str(serialized.get("config"))
    if module in (None, "builtins"):
        allowed = any(hasattr(getattr(keras, each), function) for each in FUNCTIONS)
    else:
        allowed = MODULES.fullmatch(str(module)) is not None and "models" not in str(module)
    if not allowed:
        raise ModelError(f"{name}: refers to the function {function} of {module}, which is not one of Keras'")
