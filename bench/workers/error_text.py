"""An exception of a user's code in one line."""

import sysconfig
import traceback
from pathlib import Path

import bench
from bench.training.custom import UnsuitableModelError

MAX_MESSAGE_LENGTH = 600


def error_text(error: BaseException) -> str:
    """Type, message, and where it was raised; the message of an exception of our own suffices.

    Where: in the code of a user if possible, rather than in a library that it calls.
    """
    # TensorFlow lists every function on the way to a node.
    lines = [line for line in str(error).splitlines() if not line.lstrip().startswith('File "')]
    message = " ".join(" ".join(lines).split())
    if len(message) > MAX_MESSAGE_LENGTH:
        message = message[:MAX_MESSAGE_LENGTH] + " ..."
    if isinstance(error, UnsuitableModelError):
        return message
    frames = traceback.extract_tb(error.__traceback__)
    frame = next((frame for frame in reversed(frames) if not _is_library(frame.filename)), frames[-1])
    place = ", ".join(
        [f"in {frame.name}", f"{Path(frame.filename).name}:{frame.lineno}", *getattr(error, "__notes__", ())]
    )
    return f"{type(error).__name__}: {message} ({place})"


def _is_library(file: str) -> bool:
    """Whether it is a file of this package, of an installed one, or of Python."""
    folders = (
        str(Path(bench.__file__).parent),
        *(sysconfig.get_paths()[name] for name in ("stdlib", "purelib", "platlib")),
    )
    # The code that TensorFlow generates from a function with tf.function is of no use to its user either.
    generated = Path(file).name.startswith("__autograph_generated_file")
    return generated or file.startswith("<frozen") or any(Path(file).is_relative_to(folder) for folder in folders)
