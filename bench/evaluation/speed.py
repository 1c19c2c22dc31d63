"""Speed compared between versions: ratios of seconds, and the noise floor below which a ratio is meaningless.

Seconds come from several processes per version and are divided by those of a reference workload timed right next to
them, so that a temporarily slow machine affects both.
"""

from collections.abc import Sequence
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

NOISE_QUANTILE = 0.95
MIN_STARTS = 4  # process starts per version, for splits into halves
MAX_SPLITS = 2_000  # per version


def log_ratio(newer: FloatArray, older: FloatArray) -> float:
    """Natural logarithm of the ratio of medians; positive if the newer version is slower.

    Args:
        newer: seconds in units of the reference workload, one per process start.
        older: the same for the version compared against.
    """
    return float(np.log(np.median(newer) / np.median(older)))


def noise_floor(versions: Sequence[FloatArray]) -> float:
    """The absolute log ratio that a version reaches against itself by chance.

    The 95th percentile over all splits of each version's starts into halves. Conservative, since halves vary more than
    the whole: for six unchanged versions with ten starts each, 1% of the ratios exceed it; for two versions with four
    starts, 7%.

    Args:
        versions: for each version, seconds in units of the reference workload, one per process start; at least
            MIN_STARTS.
    """
    absolute = [np.abs(_split_half_log_ratios(starts)) for starts in versions]
    return float(np.quantile(np.concatenate(absolute), NOISE_QUANTILE))


def _split_half_log_ratios(starts: FloatArray) -> FloatArray:
    """Log ratios between the halves of every split, or of MAX_SPLITS random ones if there are more."""
    if len(starts) < MIN_STARTS:
        raise ValueError(f"a noise floor needs at least {MIN_STARTS} starts per version, got {len(starts)}")
    half = len(starts) // 2
    if comb(len(starts), half) <= MAX_SPLITS:
        selections = np.array(list(combinations(range(len(starts)), half)))
    else:
        indices = np.tile(np.arange(len(starts)), (MAX_SPLITS, 1))
        selections = np.random.default_rng(0).permuted(indices, axis=1)[:, :half]
    complement = np.ones((len(selections), len(starts)), dtype=np.bool_)
    np.put_along_axis(complement, selections, values=False, axis=1)
    rest = np.broadcast_to(starts, complement.shape)[complement].reshape(len(selections), -1)
    ratios: FloatArray = np.log(np.median(starts[selections], axis=1) / np.median(rest, axis=1))
    return ratios
