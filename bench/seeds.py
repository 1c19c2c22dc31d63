"""Seeds, derived by hashing a base seed and the purpose of each random stream."""

import hashlib
import json


def derive_seed(base: int, *labels: str | int) -> int:
    """A seed in [1, 2**31) for the purpose named by `labels`, e.g. `derive_seed(1, "refit", 0)`.

    Hashed, since neighboring seeds would give overlapping sequences of trials in Keras Tuner; never 0, which Keras
    Tuner replaces with a random number.
    """
    text = json.dumps([base, *labels], separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).digest()
    return int.from_bytes(digest[:8], "big") % (2**31 - 1) + 1
