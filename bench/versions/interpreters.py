"""The Python interpreters of tox's environments, each with a TensorFlow and a Keras of its own."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench.errors import SpecError
from bench.machine import Environment
from bench.versions.record import NAME

SECONDS = 120
ASK = (
    "import sys, msgspec; from bench.machine import environment; "
    "sys.stdout.buffer.write(msgspec.json.encode(environment()))"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """One environment."""

    name: str
    python: Path
    environment: Environment


def find(folder: Path, names: tuple[str, ...], checkout: Path) -> tuple[Interpreter, ...]:
    """The environments called `names` in `folder`, all for none.

    Raises:
        SpecError: one is not there, or its interpreter cannot say what is installed in it.
    """
    if strange := [name for name in names if NAME.fullmatch(name) is None]:
        raise SpecError(f"environments are called such as tf221, keras315 or py312-tf221, got {', '.join(strange)}")
    made = (path.parent.parent.name for path in folder.glob("*/bin/python"))
    asked = names or tuple(sorted(name for name in made if NAME.fullmatch(name)))
    if not asked:
        raise SpecError(f"no environment tf* or keras* in {folder}: `tox -m versions --notest` makes them")
    return tuple(_interpreter(folder / name / "bin" / "python", name, checkout) for name in asked)


def _interpreter(python: Path, name: str, checkout: Path) -> Interpreter:
    if not python.exists():
        raise SpecError(f"no interpreter {python}: `tox -e {name} --notest` makes it")
    try:
        found = _ask(python, checkout)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise SpecError(
            f"{python} cannot say what is installed: {error}. `tox -r -e {name} --notest` makes it anew"
        ) from error
    return Interpreter(name=name, python=python, environment=found)


def _ask(python: Path, checkout: Path) -> Environment:
    done = subprocess.run([python, "-c", ASK], cwd=checkout, capture_output=True, timeout=SECONDS, check=False)
    if done.returncode != 0:
        raise ValueError((done.stderr.decode().strip().splitlines() or ["no reason given"])[-1])
    found = msgspec.json.decode(done.stdout, type=Environment)
    if "missing" in (found.tensorflow, found.keras):
        raise ValueError(f"tensorflow is {found.tensorflow}, keras is {found.keras}")
    return found
