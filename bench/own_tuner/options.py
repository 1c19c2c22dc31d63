"""How a search is executed."""

from dataclasses import dataclass

from bench.errors import SpecError, check_name
from bench.records.choices import PRECISIONS, Precision
from bench.records.limits import MAX_PENDING, MAX_WORKERS
from bench.records.spec import require


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
        for name, high in (("workers", MAX_WORKERS), ("max_pending", MAX_PENDING)):
            if getattr(self, name) is not None:
                require(name, getattr(self, name), 1, high)
        if self.seed is not None and not isinstance(self.seed, int):
            raise SpecError(f"seed must be a whole number, got {self.seed!r}")
        for name in ("time_limit", "trial_timeout"):
            seconds = getattr(self, name)
            if seconds is not None and not (isinstance(seconds, int | float) and seconds > 0):
                raise SpecError(f"{name} must be a positive number of seconds, got {seconds!r}")
        hint = "For another one, set the dtype policy of Keras inside of build"
        check_name("precision", self.precision, PRECISIONS, hint)
