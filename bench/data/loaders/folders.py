"""Local folders that may contain datasets, and whether they exist.

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


# The methods of Path raise an error if a parent folder is not accessible, such as the home of another user.


def exists(path: str | Path) -> bool:
    """Whether there is a file or folder that this process can see."""
    return os.path.exists(path)  # noqa: PTH110


def is_file(path: str | Path) -> bool:
    """Whether there is a file that this process can see."""
    return os.path.isfile(path)  # noqa: PTH113


def is_dir(path: str | Path) -> bool:
    """Whether there is a folder that this process can see."""
    return os.path.isdir(path)  # noqa: PTH112


def _expanded(path: str) -> Path:
    # Path.expanduser raises an error for users without a home folder, as in containers.
    return Path(os.path.expanduser(path))  # noqa: PTH111
