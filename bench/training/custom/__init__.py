"""Models that are not a Family: any hypermodel of Keras Tuner, or a function `build_model(hp)`.

They bring their own training recipe: optimizer, loss and, if they override `HyperModel.fit`, everything else.
"""

import re


class UnsuitableModelError(Exception):
    """A model cannot be trained or evaluated by this suite as it is; the message says what to change.

    Not a BenchError, since other candidates of the same family may be suitable.
    """


def one_line(error: BaseException, limit: int = 200) -> str:
    """Type and message of an exception of Keras or of a user's code, at most `limit` characters of the latter."""
    text = re.sub(r"\x1b\[\d+m", "", str(error))  # Keras prints parts of its messages in bold
    return f"{type(error).__name__}: {' '.join(text.split())[:limit].rstrip('.')}"
