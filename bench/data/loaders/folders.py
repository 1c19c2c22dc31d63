"""Folders of this machine that may hold datasets.

The one file beside environment.py that reads environment variables: they say where the user keeps files, and no record
keeps them.
"""

import os
from pathlib import Path

import platformdirs

APP_NAME = "keras-family-bench"


def user_folder() -> Path | None:
    """The folder that BENCH_DATA_DIR names, None where it is unset or empty."""
    named = os.environ.get("BENCH_DATA_DIR")
    return _expanded(named) if named else None


def cache_folder() -> Path:
    """Where this suite keeps what it downloads, one folder for each dataset; XDG_CACHE_HOME moves it."""
    return platformdirs.user_cache_path(APP_NAME, appauthor=False)


def keras_folder() -> Path:
    """Where Keras keeps what it downloads.

    Source: `keras.config`: KERAS_HOME, else ~/.keras, else /tmp/.keras where the home folder cannot be written.
    """
    named = os.environ.get("KERAS_HOME")
    if named:
        return Path(named)
    home = _expanded("~")
    return (home if os.access(home, os.W_OK) else Path("/tmp")) / ".keras"  # noqa: S108 - Keras' own rule


def _expanded(path: str) -> Path:
    # Path.expanduser raises for a user without a home folder, as containers have them.
    return Path(os.path.expanduser(path))  # noqa: PTH111
