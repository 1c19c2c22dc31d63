"""Defaults and upper limits of options; imports nothing, so that the command line starts fast."""

DEFAULT_TUNER = "hyperband"
DEFAULT_REFIT_SEEDS = 5

MAX_TRIALS = 100_000
MAX_EPOCHS = 10_000
MAX_MULTIPLY_ADDS = 10**12
MAX_SEED = 2**31 - 1
MAX_REFIT_SEEDS = 1_000
MAX_PENDING = 1_000
MAX_WORKERS = 1_024
