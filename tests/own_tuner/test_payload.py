"""What is sent to workers: arrays in files that are mapped into memory, everything else pickled."""

import inspect
import linecache
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bench.training.own_tuner import payload

LARGE = np.arange(payload.MIN_BYTES, dtype=np.float32).reshape(-1, 4)


def test_large_arrays_are_memory_mapped_and_small_ones_are_not(tmp_path: Path) -> None:
    payload.write(tmp_path, {"large": LARGE, "small": LARGE[:2]})
    content = payload.read(tmp_path)
    assert isinstance(content["large"], np.memmap)
    assert type(content["small"]) is np.ndarray
    np.testing.assert_array_equal(content["large"], LARGE)
    np.testing.assert_array_equal(content["small"], LARGE[:2])


def test_array_that_is_used_twice_is_stored_once(tmp_path: Path) -> None:
    payload.write(tmp_path, [LARGE, (LARGE, LARGE)])
    assert len(list(tmp_path.glob("*.npy"))) == 1


def test_arrays_in_data_frames_and_functions_are_found(tmp_path: Path) -> None:
    frame = pd.DataFrame(LARGE, columns=list("abcd"))

    def total() -> float:
        return float(LARGE.sum())

    payload.write(tmp_path, (frame, total))
    assert (tmp_path / payload.OBJECTS).stat().st_size < 20_000
    copy, copied_total = payload.read(tmp_path)
    pd.testing.assert_frame_equal(copy, frame)
    assert copied_total() == total()


CLIP = """
class Clip:
    def __init__(self, function):
        self.function = function

def double(x):
    return 2 * x

def build():
    return Clip(double)
"""


def test_trial_may_pickle_what_its_script_defines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script, worker = (ModuleType("__main__") for _ in range(2))
    exec(CLIP, vars(script))
    monkeypatch.setitem(sys.modules, "__main__", script)
    payload.write(tmp_path, {"build": script.build})
    monkeypatch.setitem(sys.modules, "__main__", worker)
    saved = pickle.dumps(payload.read(tmp_path)["build"]())
    monkeypatch.setitem(sys.modules, "__main__", script)
    loaded = pickle.loads(saved)
    assert type(loaded) is script.Clip
    assert loaded.function is script.double


def test_source_of_a_script_is_known_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script, file = ModuleType("__main__"), tmp_path / "script.py"
    file.write_text(CLIP)
    exec(compile(CLIP, str(file), "exec"), vars(script))
    monkeypatch.setitem(sys.modules, "__main__", script)
    payload.write(tmp_path / "payload", script.build)
    file.write_text(f"# changed\n{CLIP}")
    linecache.clearcache()
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))
    build = payload.read(tmp_path / "payload")
    linecache.checkcache()
    assert inspect.getsource(build) == "def build():\n    return Clip(double)\n"


def test_changes_stay_in_the_process(tmp_path: Path) -> None:
    payload.write(tmp_path, [LARGE])
    payload.read(tmp_path)[0][:] = -1
    np.testing.assert_array_equal(payload.read(tmp_path)[0], LARGE)


def test_arrays_in_any_memory_order_keep_their_values(tmp_path: Path) -> None:
    arrays = [LARGE.T, LARGE[::2], np.asfortranarray(LARGE), LARGE.astype(">f8")]
    payload.write(tmp_path, arrays)
    for copy, array in zip(payload.read(tmp_path), arrays, strict=True):
        np.testing.assert_array_equal(copy, array)


@pytest.mark.parametrize("array", [LARGE, LARGE[:2]])
@pytest.mark.parametrize(
    "change", [lambda each: each + 1, lambda each: each.reshape(-1, 2), lambda each: each.astype(int)]
)
def test_digest_depends_on_values_shapes_and_types(array: Any, change: Callable[[Any], Any], tmp_path: Path) -> None:
    digest = payload.write(tmp_path, [array])
    assert payload.write(tmp_path, [array.copy()]) == payload.write(None, [array]) == digest
    assert payload.write(tmp_path, [change(array)]) != digest


def test_digest_depends_on_texts() -> None:
    frame = pd.DataFrame({"text": np.array(["good", "bad"], dtype=object), "stars": [5, 1]})
    digest = payload.write(None, [frame])
    assert payload.write(None, [frame.copy()]) == digest
    assert payload.write(None, [frame.replace("good", "fine")]) != digest


def test_earlier_content_is_removed(tmp_path: Path) -> None:
    payload.write(tmp_path, [LARGE, LARGE + 1])
    payload.write(tmp_path, [1])
    assert [path.name for path in tmp_path.iterdir()] == [payload.OBJECTS]
