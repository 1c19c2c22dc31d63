"""A benchmark suite for families of Keras models, tuned with Keras Tuner.

`run`, `evaluate` and `verify` train or evaluate as the commands do; `load`, `leaderboard` and `compare` read a results
folder; `search` replaces `tuner.search` in scripts that use Keras Tuner:

    import bench

    run = bench.run(family="cnn", dataset="digits", preset="quick")
    run.test_accuracy, run.trials, run.predictions, run.model()
    bench.leaderboard()
"""

from importlib import import_module
from typing import Any

__all__ = ["__version__", "compare", "evaluate", "leaderboard", "load", "run", "search", "verify"]

_FUNCTIONS = {
    "compare": "bench.api.reading",
    "evaluate": "bench.api.training",
    "leaderboard": "bench.api.reading",
    "load": "bench.api.reading",
    "run": "bench.api.training",
    "search": "bench.api.search",
    "verify": "bench.api.training",
}


def __getattr__(name: str) -> Any:
    # Imported lazily: training needs Dask and TensorFlow, reading results needs pandas and SciPy.
    if name == "__version__":
        from bench.machine import DISTRIBUTION, installed_version

        return installed_version(DISTRIBUTION)
    if name in _FUNCTIONS:
        return getattr(import_module(_FUNCTIONS[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
