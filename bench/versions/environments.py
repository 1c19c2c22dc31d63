"""The tox environments: Python interpreters with different versions of TensorFlow and Keras."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench.errors import SpecError
from bench.machine import Environment
from bench.versions.record import NAME

TIMEOUT_SECONDS = 120
DESCRIBE = (
    "import sys, msgspec; from bench.machine import environment; "
    "sys.stdout.buffer.write(msgspec.json.encode(environment()))"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """The interpreter of one environment."""

    name: str  # of the environment
    python: Path
    environment: Environment


def find(folder: Path, names: tuple[str, ...], checkout: Path) -> tuple[Interpreter, ...]:
    """The environments `names` in `folder`, or all of them if `names` is empty.

    Raises:
        SpecError: one is missing, or its interpreter cannot report what is installed.
    """
    if invalid := [name for name in names if NAME.fullmatch(name) is None]:
        raise SpecError(f"environments have names such as tf221, keras315 or py312-tf221, got {', '.join(invalid)}")
    existing = (path.parent.parent.name for path in folder.glob("*/bin/python"))
    selected = names or tuple(sorted(name for name in existing if NAME.fullmatch(name)))
    if not selected:
        raise SpecError(f"no environments tf* or keras* in {folder}: create them with `tox -m versions --notest`")
    return tuple(_interpreter(folder / name / "bin" / "python", name, checkout) for name in selected)


def _interpreter(python: Path, name: str, checkout: Path) -> Interpreter:
    if not python.exists():
        raise SpecError(f"no interpreter {python}: create it with `tox -e {name} --notest`")
    try:
        environment = _describe(python, checkout)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise SpecError(
            f"{python} cannot report what is installed: {error}. Recreate it with `tox -r -e {name} --notest`"
        ) from error
    return Interpreter(name=name, python=python, environment=environment)


def _describe(python: Path, checkout: Path) -> Environment:
    done = subprocess.run(
        [python, "-c", DESCRIBE], cwd=checkout, capture_output=True, timeout=TIMEOUT_SECONDS, check=False
    )
    if done.returncode != 0:
        raise ValueError((done.stderr.decode().strip().splitlines() or ["no error message"])[-1])
    environment = msgspec.json.decode(done.stdout, type=Environment)
    if "missing" in (environment.tensorflow, environment.keras):
        raise ValueError(f"tensorflow is {environment.tensorflow}, keras is {environment.keras}")
    return environment
