"""Notebooks that are executed in tests."""

from typing import Any

import nbclient


class Client(nbclient.NotebookClient):  # type: ignore[misc]
    """Executes a notebook, and keeps the updates of its outputs."""

    updates: list[dict[str, Any]]

    def process_message(self, message: Any, cell: Any, cell_index: int) -> Any:
        if message["msg_type"] == "update_display_data":
            self.updates.append(message["content"]["data"])
        return super().process_message(message, cell, cell_index)
