"""The tox environments: Python interpreters with different versions of TensorFlow and Keras."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench.errors import SearchError, SpecError
from bench.machine import Environment, variables
from bench.versions.record import NAME

DESCRIBE_SECONDS = 120
DESCRIBE = "import msgspec; from bench.machine import environment; print(msgspec.json.encode(environment()).decode())"
SHOWN_LINES = 5  # of the output of a process that failed


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
    except (OSError, ValueError, SearchError) as error:
        raise SpecError(
            f"{python} cannot report what is installed: {error}. Recreate it with `tox -r -e {name} --notest`"
        ) from error
    return Interpreter(name=name, python=python, environment=environment)


def _describe(python: Path, checkout: Path) -> Environment:
    output = run_python(python, checkout, "-c", DESCRIBE, timeout=DESCRIBE_SECONDS)
    environment = msgspec.json.decode(output.strip().rpartition("\n")[2], type=Environment)
    if "missing" in (environment.tensorflow, environment.keras):
        raise ValueError(f"tensorflow is {environment.tensorflow}, keras is {environment.keras}")
    return environment


def run_python(python: Path, checkout: Path, *arguments: object, timeout: float | None = None) -> str:
    """Run the interpreter of an environment on the code of `checkout`, and return its output.

    Raises:
        SearchError: the process failed or timed out.
    """
    name = python.parents[1].name
    try:
        done = subprocess.run(
            [python, *map(str, arguments)],
            cwd=checkout,
            # Bytecode is cached, so that a version is not slower merely because it never ran before.
            env=variables(PYTHONPATH=str(checkout), PYTHONDONTWRITEBYTECODE=""),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise SearchError(f"{name} did not finish within {timeout:g} s: check whether it hangs") from error
    if done.returncode != 0:
        output = "\n".join(done.stdout.strip().splitlines()[-SHOWN_LINES:])
        raise SearchError(f"{name} failed with exit code {done.returncode}:\n{output}")
    return done.stdout
