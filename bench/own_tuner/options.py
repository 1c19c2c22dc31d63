"""How a search is executed."""

from dataclasses import dataclass

from bench.errors import check_name
from bench.records.choices import PRECISIONS, Precision
from bench.records.limits import MAX_PENDING, MAX_SEED, MAX_WORKERS
from bench.records.spec import require, require_address, require_seconds


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

    def __post_init__(self) -> None:
        for name, low, high in (("workers", 1, MAX_WORKERS), ("max_pending", 1, MAX_PENDING), ("seed", 0, MAX_SEED)):
            if getattr(self, name) is not None:
                require(name, getattr(self, name), low, high)
        require_address("scheduler", self.scheduler)
        require_seconds("time_limit", self.time_limit)
        require_seconds("trial_timeout", self.trial_timeout)
        hint = "For another one, set the dtype policy of Keras inside build"
        check_name("precision", self.precision, PRECISIONS, hint)
