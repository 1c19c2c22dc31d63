"""The folder of a tuner: Keras Tuner's files, written atomically, and those of the search."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.compat import own_tuner as compat
from bench.errors import SpecError, StoreError
from bench.own_tuner.ledger import Ledger
from bench.records.files import lock_folder, write_atomic
from bench.training.own_tuner.exchange import Config

LEDGER = "search.jsonl"
PAYLOAD = "search_data"


class Project:
    """The folder `directory/project_name` of a tuner."""

    def __init__(self, tuner: Any) -> None:
        """Use the folder of `tuner`; Keras Tuner creates it.

        Raises:
            SpecError: it is not a local folder.
        """
        if "://" in str(tuner.directory):
            raise SpecError(
                f"the tuner's directory {str(tuner.directory)!r} is not a local folder: choose one on this machine, or "
                "on a file system that all workers share"
            )
        self.path = Path(tuner.project_dir).resolve()
        self.ledger = Ledger(self.path / LEDGER)
        self.payload = self.path / PAYLOAD  # exists during a search only
        self._tuner = tuner

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder for this process.

        Raises:
            StoreError: another process is using it, or, inside the block, it cannot be written.
        """
        try:
            with lock_folder(self.path):
                yield
        except StoreError as error:
            if not isinstance(cause := error.__cause__, OSError) or isinstance(cause, TimeoutError):
                raise
            raise StoreError(
                f"cannot write to {self.path}: {cause.strerror or cause}. Free up space, or create the tuner with "
                "another directory; trials that have ended are kept"
            ) from cause

    def write_trial(self, trial_id: str, state: Config) -> None:
        """Write the trial.json of a trial, unless it is up to date."""
        path = self.path / f"trial_{trial_id}" / "trial.json"
        content = json.dumps(state).encode()
        if not path.exists() or path.read_bytes() != content:
            write_atomic(path, content)

    def write_state(self) -> None:
        """Write oracle.json and the tuner's own file, with which Keras Tuner can load the project.

        Without a successful trial it shall not, so that the next tuner has the space of its hypermodel, which may have
        been corrected, instead of the earlier one.
        """
        trials = self._tuner.oracle.trials
        for trial_id, trial in trials.items():
            self.write_trial(trial_id, trial.get_state())
        for name, state in compat.state_files(self._tuner).items():
            write_atomic(Path(name).resolve(), json.dumps(state).encode())
        if all(trial.status != "COMPLETED" for trial in trials.values()):
            self._tuner_file.unlink(missing_ok=True)

    def clear(self) -> None:
        """Delete the files of all earlier searches."""
        # Trials last: without them, neither the ledger nor Keras Tuner could continue after a kill.
        for name in (self.ledger.path.name, self._tuner_file.name, "oracle.json"):
            (self.path / name).unlink(missing_ok=True)
        for path in self.path.glob("trial_*"):
            shutil.rmtree(path)

    @property
    def _tuner_file(self) -> Path:
        return self.path / f"{self._tuner.tuner_id}.json"
