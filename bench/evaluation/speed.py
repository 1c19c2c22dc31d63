"""Is one version slower than another? Ratios of seconds, and the noise below which a ratio says nothing.

Seconds come from several process starts of each version and are divided by those of a reference workload that was
measured beside them, so that a slow minute of the machine weighs on both.
"""

from collections.abc import Sequence
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

NOISE_QUANTILE = 0.95
MIN_STARTS = 4  # of a version, that its repeats can be halved
MAX_SPLITS = 2_000  # of one version's repeats into halves


def log_ratio(newer: FloatArray, older: FloatArray) -> float:
    """Natural logarithm of the ratio of the medians; above 0 where the newer version takes longer.

    Args:
        newer: seconds in units of the reference workload, one for each process start.
        older: the same of the version that it is compared with.
    """
    return float(np.log(np.median(newer) / np.median(older)))


def noise_floor(versions: Sequence[FloatArray]) -> float:
    """How far apart, as an absolute log ratio, halves of the repeats of one and the same version come to lie.

    The 95th percentile over every way of halving the repeats of each version. Half as many repeats scatter more than
    all of them: of six unchanged versions with ten repeats each 1 % lie above it, but of two with four repeats 7 %.

    Args:
        versions: for each version, seconds in units of the reference workload, one for each process start; at least
            MIN_STARTS.
    """
    apart = [np.abs(_halvings(repeats)) for repeats in versions]
    return float(np.quantile(np.concatenate(apart), NOISE_QUANTILE))


def _halvings(repeats: FloatArray) -> FloatArray:
    """Log ratios of the halves, for each way of halving, or for MAX_SPLITS drawn ones."""
    if len(repeats) < MIN_STARTS:
        raise ValueError(f"a noise floor takes at least {MIN_STARTS} repeats of a version, got {len(repeats)}")
    half = len(repeats) // 2
    if comb(len(repeats), half) <= MAX_SPLITS:
        ways = np.array(list(combinations(range(len(repeats)), half)))
    else:
        everything = np.tile(np.arange(len(repeats)), (MAX_SPLITS, 1))
        ways = np.random.default_rng(0).permuted(everything, axis=1)[:, :half]
    others = np.ones((len(ways), len(repeats)), dtype=np.bool_)
    np.put_along_axis(others, ways, values=False, axis=1)
    rest = np.broadcast_to(repeats, others.shape)[others].reshape(len(ways), -1)
    found: FloatArray = np.log(np.median(repeats[ways], axis=1) / np.median(rest, axis=1))
    return found
