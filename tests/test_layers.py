"""The rules of who may import and do what, held by reading the source; imports inside functions count too."""

import ast
import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

import bench

SOURCE = Path(bench.__file__).parents[1]

# Imports run from an earlier line to a later one. What shares a line does not know of its neighbours.
FLOORS = [
    ["__main__"],
    ["cli"],
    ["pipeline", "progress", "forecast", "verification"],
    ["schedule"],
    ["tally", "meter"],
    ["family_run", "reference_run"],
    ["begun_run"],
    ["stages"],
    ["command", "conditions", "events"],
    ["worker"],
    ["reporting", "search"],
    ["versions"],
    ["evaluation"],
    ["references"],
    ["data"],
    ["store", "environment"],
    ["files", "predictions"],
    ["record"],
    ["spec", "options"],
    ["seeds", "errors", "interrupts"],
    [""],  # bench/__init__.py
]
FLOOR = {f"bench.{name}".rstrip("."): number for number, names in enumerate(FLOORS) for name in names}
FAMILIES = "search_spaces/*"
MAY_IMPORT = {
    "keras": (FAMILIES, "bench/search/training.py", "bench/evaluation/judge.py"),
    "tensorflow": (FAMILIES, "bench/search/training.py", "bench/evaluation/judge.py"),
    "keras_tuner": (FAMILIES, "bench/search/oracles.py"),
}
MAY_READ_TEST_PART = ("bench/evaluation/judge.py", "bench/data/*")
MAY_PRINT = ("bench/cli*.py", "bench/progress.py")
MAY_READ_VARIABLES = ("bench/environment.py", "bench/data/folders.py")


@dataclass(frozen=True)
class File:
    """One source file: its path below the folder that holds both packages, and its syntax tree."""

    path: str
    tree: ast.Module

    @property
    def module(self) -> str:
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    def is_one_of(self, patterns: tuple[str, ...]) -> bool:
        return any(fnmatch(self.path, pattern) for pattern in patterns)


@cache
def source_files() -> list[File]:
    paths = sorted(path for package in ("bench", "search_spaces") for path in (SOURCE / package).rglob("*.py"))
    return [File(path.relative_to(SOURCE).as_posix(), ast.parse(path.read_text(encoding="utf-8"))) for path in paths]


def imports(file: File) -> Iterator[str]:
    """Dotted names of all that the file imports, wherever it does; of `from a import b` both a and a.b."""
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = _origin(file, node)
            yield from (f"{origin}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and _name(node.func).endswith(("import_module", "__import__")):
            yield from (str(given.value) for given in node.args[:1] if isinstance(given, ast.Constant))


def _origin(file: File, node: ast.ImportFrom) -> str:
    if node.level == 0:
        return node.module or ""
    package = file.module.split(".") if file.path.endswith("/__init__.py") else file.module.split(".")[:-1]
    return ".".join([*package[: len(package) - node.level + 1], *filter(None, [node.module])])


def _name(node: ast.expr) -> str:
    """Dotted name of an expression: `os.environ.get` for a function so called; empty for what has none."""
    if isinstance(node, ast.Attribute):
        return f"{_name(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def names(file: File) -> Iterator[str]:
    """Every name that the file uses, and what it imports."""
    yield from imports(file)
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Name | ast.Attribute):
            yield _name(node)


def room(file: File) -> str | None:
    """The room of bench that the file lies in; None for what is not of bench."""
    package, *rest = file.module.split(".")
    if package != "bench":
        return None
    return ".".join(["bench", *("cli" if part.startswith("cli") else part for part in rest[:1])])


def room_of_import(name: str) -> str | None:
    """The room that an imported name comes from; a name that is no room comes from the package itself."""
    found = room(File(name.replace(".", "/"), ast.Module([], [])))
    is_room = found in FLOOR or (SOURCE / f"{str(found).replace('.', '/')}.py").exists()
    return found if is_room or found is None else "bench"


# Each rule gives the offences of one file.


def imports_upwards(file: File) -> list[str]:
    own = room(file)
    if own is None:
        return []
    if own not in FLOOR:
        return [f"{own} has no floor in this test: give it one"]
    others = {found for name in imports(file) if (found := room_of_import(name)) not in (None, own)}
    return [f"{own} imports {other}" for other in sorted(filter(None, others)) if FLOOR.get(other, -1) <= FLOOR[own]]


def imports_bench_in_a_family(file: File) -> list[str]:
    if not file.is_one_of((FAMILIES,)):
        return []
    return [name for name in imports(file) if name.split(".")[0] == "bench"]


def imports_a_library_of_another_room(file: File) -> list[str]:
    found = {name.split(".")[0] for name in imports(file)}
    return [library for library in sorted(found & set(MAY_IMPORT)) if not file.is_one_of(MAY_IMPORT[library])]


def reads_the_test_part(file: File) -> list[str]:
    if file.is_one_of(MAY_READ_TEST_PART):
        return []
    return [name for name in names(file) if "sealed_test" in name.split(".")]


def prints(file: File) -> list[str]:
    if file.is_one_of(MAY_PRINT):
        return []
    words = (
        "print",
        "sys.stdout.write",
        "sys.stderr.write",
        "typer.echo",
        "typer.secho",
        "click.echo",
        "Console",
        "rich.print",
    )
    return [name for name in names(file) if name.endswith(tuple(f".{word}" for word in words)) or name in words]


def reads_environment_variables(file: File) -> list[str]:
    if file.is_one_of(MAY_READ_VARIABLES):
        return []
    words = ("os.environ", "os.environb", "os.getenv")
    return [name for name in names(file) if name in words]


Rule = Callable[[File], list[str]]
RULES: list[Rule] = [
    imports_upwards,
    imports_bench_in_a_family,
    imports_a_library_of_another_room,
    reads_the_test_part,
    prints,
    reads_environment_variables,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_no_file(rule: Rule) -> None:
    files = source_files()
    assert len(files) > 5
    assert {file.path: offences for file in files if (offences := rule(file))} == {}


OFFENCES = [
    (imports_upwards, "bench/store.py", "from bench.search.loop import Loop"),
    (imports_upwards, "bench/store.py", "from bench import data"),
    (imports_upwards, "bench/store.py", "def late():\n    import bench.pipeline"),
    (imports_upwards, "bench/data/splits.py", "from ..evaluation import metrics"),
    (imports_upwards, "bench/data/splits.py", "import importlib\nimportlib.import_module('bench.cli_data')"),
    (imports_upwards, "bench/reporting/leaderboard.py", "from bench.search import loop"),
    (imports_upwards, "bench/search/__init__.py", "from ..reporting import markdown"),
    (imports_upwards, "bench/unknown.py", ""),
    (imports_bench_in_a_family, "search_spaces/cnn.py", "from bench.spec import Value"),
    (imports_bench_in_a_family, "search_spaces/_recipe.py", "import bench"),
    (imports_a_library_of_another_room, "bench/search/loop.py", "import keras_tuner as kt"),
    (imports_a_library_of_another_room, "bench/search/training.py", "from keras_tuner import HyperParameters"),
    (imports_a_library_of_another_room, "bench/cli.py", "def run():\n    from keras import layers"),
    (imports_a_library_of_another_room, "bench/environment.py", "__import__('tensorflow')"),
    (reads_the_test_part, "bench/pipeline.py", "from bench.data.sealed_test import sealed_test"),
    (reads_the_test_part, "bench/search/training.py", "from bench import data\ndata.sealed_test('digits')"),
    (prints, "bench/store.py", "print('x')"),
    (prints, "bench/search/loop.py", "from rich.console import Console"),
    (prints, "search_spaces/cnn.py", "import sys\nsys.stdout.write('x')"),
    (reads_environment_variables, "bench/store.py", "import os\nos.environ.get('HOME')"),
    (reads_environment_variables, "bench/cli.py", "from os import environ"),
    (reads_environment_variables, "search_spaces/cnn.py", "import os\nx = os.getenv('HOME')"),
]


@pytest.mark.parametrize(("rule", "path", "text"), OFFENCES)
def test_rule_sees_an_offence(rule: Rule, path: str, text: str) -> None:
    assert rule(File(path, ast.parse(text))) != []


ALLOWED = [
    (imports_upwards, "bench/search/loop.py", "from bench.store import RunFolder\nfrom bench.search import engine"),
    (imports_upwards, "bench/cli_data.py", "from bench.cli import app\nfrom bench.pipeline import run"),
    (imports_upwards, "bench/data/splits.py", "from bench import seeds\nfrom . import catalog\nimport numpy"),
    (imports_bench_in_a_family, "search_spaces/cnn.py", "from search_spaces._family import Family\nimport benchmark"),
    (imports_a_library_of_another_room, "bench/search/oracles.py", "import keras_tuner"),
    (imports_a_library_of_another_room, "search_spaces/_family.py", "import keras, keras_tuner"),
    (reads_the_test_part, "bench/evaluation/judge.py", "from bench.data.sealed_test import sealed_test"),
    (prints, "bench/cli_data.py", "print('x')"),
    (prints, "bench/reporting/figures.py", "figure.blueprint()"),
    (reads_environment_variables, "bench/environment.py", "import os\nos.environ.get('HOME')"),
]


@pytest.mark.parametrize(("rule", "path", "text"), ALLOWED)
def test_rule_lets_the_rest_pass(rule: Rule, path: str, text: str) -> None:
    assert rule(File(path, ast.parse(text))) == []


# The same by real processes: what the light commands import, and how fast they answer.

needs_cli = pytest.mark.skipif(not (SOURCE / "bench/cli.py").exists(), reason="bench/cli.py does not exist yet")
HEAVY = {"tensorflow", "keras", "keras_tuner"}


def run_bench(*arguments: str, options: tuple[str, ...] = ()) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, *options, "-m", "bench", *arguments]
    return subprocess.run(command, cwd=SOURCE, capture_output=True, text=True, timeout=60, check=False)


@needs_cli
@pytest.mark.parametrize("command", ["--help", "list", "leaderboard", "report"])
def test_light_command_starts_without_tensorflow(command: str, tmp_path: Path) -> None:
    where = ["--results", str(tmp_path)] if command in ("leaderboard", "report") else []
    done = run_bench(command, *where, options=("-X", "importtime"))
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 2), done.stderr  # 2: there is no record to report
    assert "bench.cli" in imported
    assert {name for name in imported if name.split(".")[0] in HEAVY} == set()


@needs_cli
@pytest.mark.quiet
def test_help_answers_in_half_a_second() -> None:
    seconds = []
    for _ in range(5):
        begun = time.perf_counter()
        assert run_bench("--help").returncode == 0
        seconds.append(time.perf_counter() - begun)
    # The fastest: what else the machine does only adds.
    assert min(seconds) < 0.5, f"{', '.join(f'{one:.2f}' for one in seconds)} s"


# In tox, what is tested is what was installed.

needs_tox = pytest.mark.skipif("TOX_ENV_NAME" not in os.environ, reason="for tox: outside it, the checkout is tested")


@needs_tox
@pytest.mark.parametrize("package", ["bench", "search_spaces"])
def test_installed_package_is_tested_not_the_checkout(package: str) -> None:
    found = importlib.util.find_spec(package)
    assert found is not None
    assert Path(str(found.origin)).is_relative_to(sys.prefix)


@needs_tox
@needs_cli
def test_console_script_does_what_the_module_does() -> None:
    (script,) = Path(sys.executable).parent.glob("bench*")
    done = subprocess.run([script, "list"], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == run_bench("list").stdout


# The tests themselves


@pytest.mark.slow
def test_fast_tests_need_no_tensorflow() -> None:
    code = (
        "import pytest, sys\n"
        "pytest.main(['--collect-only', '-q', '-m', 'not slow and not quiet'])\n"
        "print({'keras', 'tensorflow'} & set(sys.modules), file=sys.stderr)"
    )
    here = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=here, capture_output=True, text=True, check=False)
    assert done.stderr == "set()\n"
