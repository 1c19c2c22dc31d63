"""What can go wrong for a reason the user can mend; everything else is a bug and keeps its traceback."""


class BenchError(Exception):
    """Base of every error that the command line prints as one message, with exit code 2."""


class SpecError(BenchError):
    """What was asked is impossible: an unknown name or a number out of range."""


class DataError(BenchError):
    """A dataset cannot be found, or its bytes are not the published ones."""


class RecordError(BenchError):
    """A record, a ledger or a prediction file is damaged, contradicts itself, or has an unknown schema."""


class StoreError(BenchError):
    """The results folder cannot be written, is full, or is in use by another run."""


class SearchError(BenchError):
    """A search cannot start or cannot end: no space, no trial that succeeded, no worker left."""


class MetricError(BenchError):
    """Arrays given to a metric do not fit together."""
