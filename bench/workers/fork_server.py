"""The process from which local workers are forked; it imports TensorFlow once for all of them.

It is started first, so that it imports while this process reads the data and starts the scheduler, and a worker that
dies is replaced at once. Python's fork server is used, which has a single thread.
"""

import multiprocessing
import multiprocessing.forkserver
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from bench.compat import REINSTALL, fork_server_process, kill_fork_server
from bench.errors import CompatibilityError
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
    """How to start worker processes inside the block: from a fork server that this starts, if the system allows it.

    The server is started without waiting until it has imported PRELOADED. Elsewhere than on Linux, system libraries may
    start threads, so that forking is not safe, and each worker imports everything itself.
    """
    # A program that calls this package may have started a fork server for other purposes.
    if sys.platform != "linux" or fork_server_process() is not None:
        yield "spawn"
        return
    variables = {
        **WORKER_VARIABLES,
        "PYTHONHASHSEED": "6640",  # Dask's, for all workers
        # The same modules as in this process, although Python starts its fork server in another way.
        "PYTHONPATH": os.pathsep.join(path or os.curdir for path in sys.path),
        "PYTHONSAFEPATH": "1",
    }
    with shield_children_from_sigint(), changed_variables(**variables):
        multiprocessing.set_forkserver_preload([PRELOADED])
        multiprocessing.forkserver.ensure_running()
    try:
        yield "forkserver"
    finally:
        kill_fork_server()
        multiprocessing.set_forkserver_preload(["__main__"])  # Python's default, for others in this process


def check_forked_process() -> None:
    """Check, in a worker, that the fork server had no thread that could have held a lock when it was forked.

    Raises:
        CompatibilityError: importing a library has started threads.
    """
    preloaded = sys.modules.get(PRELOADED)
    if preloaded is not None and preloaded.THREADS != 1:
        raise CompatibilityError(
            f"importing the libraries for training started threads: expected 1 thread in the process that is forked, "
            f"found {preloaded.THREADS}. {REINSTALL}"
        )
