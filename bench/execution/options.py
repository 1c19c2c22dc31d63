"""How runs are carried out; nothing here changes a number."""

import re
from dataclasses import dataclass
from pathlib import Path

from bench.errors import SpecError


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Where results go, and who trains."""

    results: Path
    workers: int  # processes of this machine, where `scheduler` is None
    scheduler: str | None = None  # address of a Dask cluster that the user runs
    data_dir: Path | None = None
    trial_timeout: float | None = None  # seconds; a trial that takes longer is tried once more, then recorded as failed
    again: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.workers <= 1024:
            raise SpecError(f"workers must be a whole number from 1 to 1024, got {self.workers}")
        if self.scheduler is not None and re.fullmatch(r"[a-z]+://\S+:\d+", self.scheduler) is None:
            raise SpecError(f"--scheduler must be an address such as tcp://127.0.0.1:8786, got {self.scheduler!r}")
        if self.trial_timeout is not None and not self.trial_timeout > 0:
            raise SpecError(f"--trial-timeout must be longer than nothing, got {self.trial_timeout:g} s")
