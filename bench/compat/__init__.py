"""All uses of private or unstable APIs of TensorFlow, Keras, Keras Tuner, Dask and others, with checks of them.

A check calls the API and verifies the outcome, so that a new version of a library stops a run with an error message
instead of changing its results. The libraries are imported inside functions, since importing them takes seconds.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from bench.compat.dask import check_worker_deaths, isolate_dask_sampling
from bench.compat.keras_tuner import check_hyperband
from bench.compat.own_tuner import check_own_tuner
from bench.compat.tensorflow import check_graph_release, check_shared_tensor

CHECKS: Mapping[str, tuple[Callable[[], None], ...]] = MappingProxyType(
    {
        "tensorflow": (check_graph_release, check_shared_tensor),
        "keras_tuner": (check_hyperband,),
        "own_tuner": (check_own_tuner,),
        "dask": (isolate_dask_sampling, check_worker_deaths),
    }
)


def run_checks(library: str) -> None:
    """Run the checks of "tensorflow", "keras_tuner", "own_tuner" or "dask".

    `set_bfloat16` runs its own check.

    Raises:
        CompatibilityError: an installed version does not behave as the tested ones do.
    """
    for check in CHECKS[library]:
        check()
