"""Local folders that may contain datasets.

Besides machine.py, this is the only file that reads environment variables: they name folders, which are not recorded.
"""

import os
from pathlib import Path

import platformdirs

APP_NAME = "keras-family-bench"


def user_folder() -> Path | None:
    """The folder named by BENCH_DATA_DIR; None if it is unset or empty."""
    folder = os.environ.get("BENCH_DATA_DIR")
    return _expanded(folder) if folder else None


def cache_folder() -> Path:
    """The download cache, with one subfolder per dataset; XDG_CACHE_HOME moves it."""
    return platformdirs.user_cache_path(APP_NAME, appauthor=False)


def keras_folder() -> Path:
    """Keras' own folder for downloads.

    Source: `keras.config`: KERAS_HOME, else ~/.keras, else /tmp/.keras if the home folder is not writable.
    """
    folder = os.environ.get("KERAS_HOME")
    if folder:
        return Path(folder)
    home = _expanded("~")
    return (home if os.access(home, os.W_OK) else Path("/tmp")) / ".keras"  # noqa: S108 - Keras' own rule


def _expanded(path: str) -> Path:
    # Path.expanduser raises an error for users without a home folder, as in containers.
    return Path(os.path.expanduser(path))  # noqa: PTH111
