"""The process from which local workers are forked; it imports TensorFlow once for all of them.

It is started first, so that it imports while the main process reads the data and starts the scheduler; a worker that
dies is replaced at once. It is Python's fork server, which has a single thread.
"""

import multiprocessing
import multiprocessing.forkserver
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from bench.compat.processes import fork_server_process, kill_fork_server
from bench.machine import changed_variables
from bench.signals import shield_children_from_sigint

# Set before libraries are imported, since they read these variables only once.
WORKER_VARIABLES = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
PRELOADED = "bench.workers.preloaded"

StartMethod = Literal["forkserver", "spawn"]


@contextmanager
def fork_server() -> Iterator[StartMethod]:
    """Start the fork server for the block, which imports PRELOADED in the background; yields how to start processes.

    This is "spawn", without a server, if forking may not be safe, since system libraries start threads (elsewhere than
    on Linux), or if the calling program already uses a fork server. Each process then imports everything itself.
    """
    if sys.platform != "linux" or fork_server_process() is not None:
        yield "spawn"
        return
    variables = {
        **WORKER_VARIABLES,
        "PYTHONHASHSEED": "6640",  # Dask's, for all workers
        "JE_ARROW_MALLOC_CONF": "background_thread:false",  # pandas imports pyarrow, which would start a thread
        # The same modules as in this process, although Python starts its fork server in another way.
        "PYTHONPATH": os.pathsep.join(path or os.curdir for path in sys.path),
        "PYTHONSAFEPATH": "1",
    }
    try:
        with shield_children_from_sigint(), changed_variables(**variables):
            multiprocessing.set_forkserver_preload([PRELOADED])
            multiprocessing.forkserver.ensure_running()
        yield "forkserver"
    finally:
        kill_fork_server()
        multiprocessing.set_forkserver_preload(["__main__"])  # Python's default, for others in this process


def other_threads_when_forked() -> tuple[str, ...]:
    """In a worker, the names of other threads of the fork server: they may have held locks, which nobody releases."""
    preloaded = sys.modules.get(PRELOADED)
    return () if preloaded is None else preloaded.OTHER_THREADS
