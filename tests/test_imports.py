"""No import depends on another import having run first."""

import subprocess
import sys

import pytest

# Third-party libraries stay imported, since importing TensorFlow once for every module would take minutes.
IMPORT_EACH_MODULE_FIRST = """
import importlib, pkgutil, sys
import bench, search_spaces

def own(name):
    return name.partition(".")[0] in ("bench", "search_spaces")

names = [module.name for package in (bench, search_spaces)
         for module in pkgutil.walk_packages(package.__path__, package.__name__ + ".") if own(module.name)]
assert len(names) > 50
for name in names[::int(sys.argv[1])]:
    if name == "bench.__main__":
        continue
    for loaded in [loaded for loaded in sys.modules if own(loaded)]:
        del sys.modules[loaded]
    importlib.import_module(name)
    print(name)
"""


@pytest.mark.slow
@pytest.mark.parametrize("step", [5, pytest.param(1, marks=pytest.mark.long)], ids=["some", "every one"])
def test_modules_can_be_imported_first(step: int) -> None:
    command = [sys.executable, "-c", IMPORT_EACH_MODULE_FIRST, str(step)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    last = done.stdout.split()[-1:]
    assert done.returncode == 0, f"failed after {last}:\n{done.stderr[-3000:]}"
