"""How a search is executed."""

from dataclasses import dataclass

from bench.records.spec import Precision


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a search is executed."""

    workers: int | None = None  # None for one per usable core
    scheduler: str | None = None  # address of a Dask cluster
    time_limit: float | None = None  # seconds
    trial_timeout: float | None = None  # seconds
    max_pending: int | None = None  # None for the default of the oracle
    precision: Precision = "float32"
    seed: int | None = None  # None for the oracle's own
    resume: bool = True
