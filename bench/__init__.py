"""A benchmark suite for families of Keras models, tuned with Keras Tuner.

The Python API: `run` executes specs as `bench run` does, and `leaderboard` reads a results folder.
"""

from typing import Any

__all__ = ["__version__", "leaderboard", "run"]


def __getattr__(name: str) -> Any:
    # Imported lazily: `run` needs Dask and TensorFlow, `leaderboard` pandas and SciPy.
    if name == "__version__":
        from bench.machine import installed_version

        return installed_version("keras-family-bench")
    if name == "run":
        from bench.execution.runner import run

        return run
    if name == "leaderboard":
        from bench.report.ranking import leaderboard

        return leaderboard
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
