"""Writes down which slow libraries `python -m bench` has imported when it ends; Python imports this from PYTHONPATH.

The variable IMPORTED names the file.
"""

import atexit
import os
import sys
from pathlib import Path


def _write() -> None:
    names = {"tensorflow", "keras", "keras_tuner"} & set(sys.modules)
    Path(os.environ["IMPORTED"]).write_text(" ".join(sorted(names)), encoding="utf-8")


# Workers inherit the variable and the path, but not the command line.
if "IMPORTED" in os.environ and sys.orig_argv[1:3] == ["-m", "bench"]:
    atexit.register(_write)
