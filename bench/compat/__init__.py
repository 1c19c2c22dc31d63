"""All uses of private or unstable APIs of TensorFlow, Keras Tuner, Dask and Python, each with a start-up check.

A check calls the API and verifies the outcome, so that a new version of a library stops a run with an error message
instead of changing its results. The libraries are imported inside functions, since importing them takes seconds.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from bench.compat.dask import WorkerDeathLog, check_worker_deaths, cluster_workers, isolate_dask_sampling
from bench.compat.keras_tuner import Rung, check_hyperband, draw_in_turn, hyperband_brackets, keep_in_memory
from bench.compat.own_tuner import (
    check_objective,
    check_own_tuner,
    execution_metrics,
    extend_trial,
    held_files,
    hyperparameters_of,
    max_failures,
    needs_results,
    oracle_settings,
    overridden,
    planned_trials,
    propose_ahead,
    reset,
    restored_options,
    retry_ongoing,
    run_trial,
    seeded_values,
    space_config,
    state_files,
    trial_ids,
    without_tensorboard,
)
from bench.compat.processes import fork_server_process, kill_fork_server, without_main_module
from bench.compat.tensorflow import (
    ALIGNMENT,
    check_bfloat16_active,
    check_graph_release,
    check_shared_tensor,
    graph_calls,
    release_graphs,
    set_bfloat16,
    shared_tensor,
    silence_graph_reports,
    without_autotune,
)

__all__ = [
    "ALIGNMENT",
    "CHECKS",
    "Rung",
    "WorkerDeathLog",
    "check_bfloat16_active",
    "check_graph_release",
    "check_hyperband",
    "check_objective",
    "check_own_tuner",
    "check_shared_tensor",
    "check_worker_deaths",
    "cluster_workers",
    "draw_in_turn",
    "execution_metrics",
    "extend_trial",
    "fork_server_process",
    "graph_calls",
    "held_files",
    "hyperband_brackets",
    "hyperparameters_of",
    "isolate_dask_sampling",
    "keep_in_memory",
    "kill_fork_server",
    "max_failures",
    "needs_results",
    "oracle_settings",
    "overridden",
    "planned_trials",
    "propose_ahead",
    "release_graphs",
    "reset",
    "restored_options",
    "retry_ongoing",
    "run_checks",
    "run_trial",
    "seeded_values",
    "set_bfloat16",
    "shared_tensor",
    "silence_graph_reports",
    "space_config",
    "state_files",
    "trial_ids",
    "without_autotune",
    "without_main_module",
    "without_tensorboard",
]

CHECKS: Mapping[str, tuple[Callable[[], None], ...]] = MappingProxyType(
    {
        "tensorflow": (check_graph_release, check_shared_tensor),
        "keras_tuner": (check_hyperband,),
        "own_tuner": (check_own_tuner,),
        "dask": (isolate_dask_sampling, check_worker_deaths),
    }
)


def run_checks(*libraries: str) -> None:
    """Run the checks of "tensorflow", "keras_tuner", "own_tuner" or "dask".

    `set_bfloat16` runs its own check.

    Raises:
        CompatibilityError: an installed version does not behave as the tested ones do.
    """
    for library in libraries:
        for check in CHECKS[library]:
            check()
