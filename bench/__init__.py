"""A benchmark suite for families of Keras models, tuned with Keras Tuner.

The Python API has the functions behind the commands: `run` and `verify` train; `leaderboard` and `compare` read a
results folder.
"""

from importlib import import_module
from typing import Any

__all__ = ["__version__", "compare", "leaderboard", "run", "verify"]

_FUNCTIONS = {
    "compare": ("bench.report.comparison", "compare_runs"),
    "leaderboard": ("bench.report.ranking", "leaderboard"),
    "run": ("bench.execution.runner", "run"),
    "verify": ("bench.execution.verify", "verify"),
}


def __getattr__(name: str) -> Any:
    # Imported lazily: training needs Dask and TensorFlow, reading results needs pandas and SciPy.
    if name == "__version__":
        from bench.machine import installed_version

        return installed_version("keras-family-bench")
    if name in _FUNCTIONS:
        module, function = _FUNCTIONS[name]
        return getattr(import_module(module), function)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
