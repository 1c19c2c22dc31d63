"""Seeds: every random stream of a run starts from a hash of its purpose."""

import hashlib
import json


def derive_seed(base: int, *labels: str | int) -> int:
    """A seed in [1, 2**31) for the purpose named by `labels`, e.g. `derive_seed(1, "refit", 0)`.

    Hashed, since neighboring seeds give Keras Tuner overlapping sequences of trials; never 0, which Keras Tuner
    replaces by a random number.
    """
    text = json.dumps([base, *labels], separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).digest()
    return int.from_bytes(digest[:8], "big") % (2**31 - 1) + 1
