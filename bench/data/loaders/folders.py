"""Folders of this machine that may hold datasets.

It reads two environment variables itself, unlike all other files but machine.py: they name folders, which no record
keeps.
"""

import os
from pathlib import Path

import platformdirs

APP_NAME = "keras-family-bench"


def user_folder() -> Path | None:
    """The folder that BENCH_DATA_DIR names, None where it is unset or empty."""
    folder = os.environ.get("BENCH_DATA_DIR")
    return _expanded(folder) if folder else None


def cache_folder() -> Path:
    """The folder for downloads, with one subfolder for each dataset; XDG_CACHE_HOME moves it."""
    return platformdirs.user_cache_path(APP_NAME, appauthor=False)


def keras_folder() -> Path:
    """The folder in which Keras keeps its downloads.

    Source: `keras.config`: KERAS_HOME, else ~/.keras, else /tmp/.keras where the home folder cannot be written.
    """
    folder = os.environ.get("KERAS_HOME")
    if folder:
        return Path(folder)
    home = _expanded("~")
    return (home if os.access(home, os.W_OK) else Path("/tmp")) / ".keras"  # noqa: S108 - Keras' own rule


def _expanded(path: str) -> Path:
    # Path.expanduser raises for a user without a home folder, as containers have them.
    return Path(os.path.expanduser(path))  # noqa: PTH111
