"""A benchmark suite for families of Keras models that are tuned with Keras Tuner.

`run` executes specs as `bench run` does, and `leaderboard` reads a results folder as `bench leaderboard` does.
"""

from typing import Any

__all__ = ["__version__", "leaderboard", "run"]


def __getattr__(name: str) -> Any:
    # Late: running imports Dask and TensorFlow, a leaderboard pandas and SciPy.
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
