"""Run code in a new Python process, optionally hiding packages that TensorFlow and Keras do not depend on."""

import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bench.machine import variables


def output_of(code: str, hidden: Sequence[str] = ()) -> str:
    """The standard output of a new process that runs `code` and cannot import the modules `hidden`."""
    prepare = f"import sys; sys.path[:0] = {sys.path!r}; sys.modules.update(dict.fromkeys({hidden!r}))"
    return subprocess.run(
        [sys.executable, "-c", f"{prepare}; {code}"],
        # Bytecode may be cached, so that only the very first process has to compile.
        env=variables(PYTHONDONTWRITEBYTECODE=""),
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ).stdout


def optional_modules() -> list[str]:
    """Installed modules that TensorFlow and Keras do not depend on; Keras imports some of them if it finds them."""
    required = {"keras-family-bench", "msgspec", "psutil"}  # by bench.versions.workloads
    _add_with_dependencies("tensorflow", required)
    _add_with_dependencies("keras", required)
    return [
        module
        for module, distributions in metadata.packages_distributions().items()
        if required.isdisjoint(map(canonicalize_name, distributions))
    ]


def _add_with_dependencies(name: str, required: set[str]) -> None:
    """Add a distribution and, recursively, its dependencies in this environment."""
    if canonicalize_name(name) in required:
        return
    required.add(canonicalize_name(name))
    for requirement in map(Requirement, metadata.requires(name) or ()):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            _add_with_dependencies(requirement.name, required)
