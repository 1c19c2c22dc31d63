"""Defaults and upper limits of options; imports no library, so that the command line starts fast."""

from bench.records.choices import Preset

DEFAULT_DATASET = "fashion_mnist"
DEFAULT_PRESET: Preset = "default"
DEFAULT_TUNER = "hyperband"
DEFAULT_REFIT_SEEDS = 5

MAX_TRIALS = 100_000
MAX_EPOCHS = 10_000
MAX_MULTIPLY_ADDS = 10**12
MAX_SEED = 2**31 - 1
MAX_REFIT_SEEDS = 1_000
MAX_PENDING = 1_000
MAX_WORKERS = 1_024
