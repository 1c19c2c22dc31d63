"""The interface between the executor and its worker processes."""

from typing import Protocol

import distributed

CLOSE_SECONDS = 3
START_SECONDS = 60


class Pool(Protocol):
    """Single-threaded worker processes, some of which may be ready for tasks."""

    client: distributed.Client

    def addresses(self) -> list[str]:
        """Addresses of workers that are ready for tasks.

        Raises:
            SearchError: no worker will ever be ready.
        """

    def preparing(self) -> bool:
        """Whether some workers are not ready yet."""

    def cause_of_death(self, address: str) -> str:
        """Why the worker with this address died, as a clause that starts with "its worker process"."""

    def terminate(self, address: str) -> None:
        """Kill a worker process at once, even in the middle of a task; it is replaced."""

    def messages(self) -> list[str]:
        """Messages for the user since the last call."""
