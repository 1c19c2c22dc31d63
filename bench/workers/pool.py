"""The interface between the executor and its worker processes."""

from typing import Protocol

import distributed

CLOSE_SECONDS = 3
START_SECONDS = 60


class Pool(Protocol):
    """Worker processes with one thread each, of which some may be given tasks."""

    client: distributed.Client

    def addresses(self) -> list[str]:
        """Addresses of the workers that are ready for tasks.

        Raises:
            SearchError: no worker will ever be ready.
        """

    def preparing(self) -> bool:
        """Whether there are workers that are not ready yet."""

    def cause_of_death(self, address: str) -> str:
        """Why the worker with this address died, as a clause that starts with "its worker process"."""

    def terminate(self, address: str) -> None:
        """Stop a worker process at once, even in the middle of a task; another takes its place."""

    def messages(self) -> list[str]:
        """Messages for the user since the last call."""

    def close(self) -> None:
        """Stop the tasks of this process, even the running ones."""
