"""The pages of the documentation, and their code blocks as a reader would run them."""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from markdown_it import MarkdownIt

from command_line import call, training_here, variables
from packages import install

ROOT = Path(__file__).parents[1]
PAGES = tuple(
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("**/*.md")))
)
SECONDS = 280  # timeout of a command

# Commands that other tests or CI run, and where.
VENV = "python3 -m venv --without-pip .venv && python3 -m pip --python .venv install"
MAIN = f"{VENV} pip . && .venv/bin/python -m bench run --family cnn"
TESTS = f"{VENV} tox && .venv/bin/tox"
INSTALL = f"{VENV} pip . && . .venv/bin/activate"
ELSEWHERE = {
    MAIN: "tests/test_readme.py",
    INSTALL: "tests/test_readme.py",  # its first part
    TESTS: ".ci/run",
    "python -m bench serve": "tests/live/test_server.py",
    f"{VENV} pip . tox && . .venv/bin/activate": "tests/test_readme.py",  # but for tox
    "tox -m versions --notest": "tests/test_docs.py",
    "tox -m keras --notest": "tests/test_docs.py",
    "tox -e tf216,tf221 --notest": "tests/test_docs.py",
    "tox -e tf221,keras315 --notest": "tests/test_docs.py",
    ".tox/.tox/bin/uv pip uninstall --python .tox/keras315 keras": "tests/versions/test_environments.py",
    ".tox/.tox/bin/uv pip install --python .tox/keras315 --no-deps keras-nightly": (
        "tests/versions/test_environments.py"
    ),
    "python -m bench versions measure tf221 keras315 --family my.py:build_model --dataset digits --results nightly": (
        "tests/versions/test_family_subjects.py"
    ),
    "python -m bench versions measure --results repeated": "tests/versions/test_measure.py",
    "python -m bench versions measure tf216 tf221 --family my.py:build_model --dataset digits": (
        "tests/versions/test_family_subjects.py"
    ),
}
# Planned only, since docs/tutorial.md trains the same.
PLANNED = "python -m bench run --family dense --family cnn --dataset digits --preset quick --results my-results"
# Formats and tuners that need an extra, and a module that it installs.
EXTRAS = {
    "mlflow": "mlflow",
    "onnx": "tf2onnx",
    "parquet": "pyarrow",
    "tpe": "optuna",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced code block."""

    line: int
    language: str
    text: str

    @property
    def file(self) -> str | None:
        """The file that it is the content of, named by a comment in its first line; None for a script."""
        named = re.match(r"# (\S+\.(?:py|toml))\n", self.text)
        return None if named is None else named[1]

    @property
    def commands(self) -> list[str]:
        """The lines of a `console` or `sh` block."""
        return self.text.splitlines() if self.language in ("console", "sh") else []


def text_of(page: str) -> str:
    """The Markdown of a page."""
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str) -> list[Block]:
    """The fenced code blocks of a page."""
    return [
        Block(line=token.map[0] + 1, language=token.info.partition(" ")[0], text=token.content)
        for token in MarkdownIt().parse(text_of(page))
        if token.type == "fence" and token.map is not None
    ]


def clone_to(folder: Path) -> Path:
    """The files of a fresh clone: no models, no caches."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


def small(command: str, results: str | None = None) -> str:
    """The command with options that let it take seconds.

    Args:
        command: as on the page.
        results: folder for the records of training commands that name none.
    """
    if not command.startswith("python -m bench "):
        return command
    words = shlex.split(command)
    options: dict[str, str] = {}
    if command == PLANNED:
        return f"{command} --dry-run --no-estimate"
    if words[3] == "run":
        options = {"--dataset": "digits"}
        if "--dry-run" not in words:
            options |= {"--tuner": "random", "--trials": "1", "--epochs": "1"}
            command += " --refit-seeds 2"
            if "--scheduler" not in words:
                command += " --workers 1"
            command = command.replace("--searches 3", "--searches 2")
    elif words[3] == "reproduce":
        options = {"--dataset": "digits"}
        # tests/baselines trains all tutorials.
        command = (
            command.replace("reproduce tutorials", "reproduce tutorial-dense-128") + " --refit-seeds 1 --workers 1"
        )
    elif words[3] == "check-family":
        options = {"--candidates": "4", "--workers": "1"}
    if words[3] in ("run", "reproduce") and results is not None:
        options |= {"--results": results}
    return " ".join([command, *(f"{name} {value}" for name, value in options.items() if name not in words)])


@dataclass
class Reader:
    """Someone who follows a page in a folder.

    Args:
        folder: working folder.
        site: where packages of the page are installed.
        results: folder for the records of training commands that name none, as for `small`.
    """

    folder: Path
    site: Path
    results: str | None = None
    _port: int = field(init=False)
    _servers: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.site.mkdir(parents=True, exist_ok=True)
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            self._port = unused.getsockname()[1]

    def follow(self, page: str) -> None:
        """Write its files, and run its scripts and commands, in their order.

        Commands of bench run in this process, unless they need a shell; it starts and imports TensorFlow only once.
        """
        own = {"XDG_CACHE_HOME": self.folder / "cache"} if "photos" in text_of(page) else {}
        files = [self.folder / block.file for block in blocks(page) if block.file is not None]
        for file in files:  # the process from which workers are forked looks for search_spaces/ when it starts
            file.parent.mkdir(parents=True, exist_ok=True)
        with training_here(self.site, *([self.folder] if files else []), **own):
            self._follow(page)

    def _follow(self, page: str) -> None:
        for block in blocks(page):
            where = f"{page}:{block.line}"
            if block.file is not None:
                (self.folder / block.file).write_text(block.text, encoding="utf-8")
            elif block.language == "python":
                script = self.folder / f"script_{block.line}.py"
                script.write_text(block.text, encoding="utf-8")
                self._run(f"python {script.name}", where)
            for command in block.commands:
                self._command(command, where)

    def _command(self, command: str, where: str) -> None:
        command = command.replace("127.0.0.1:8786", f"127.0.0.1:{self._port}").replace("--nworkers 2", "--nworkers 1")
        if command in ELSEWHERE or not _is_installed(command):
            return
        if command.startswith("python -m pip install "):
            self._install(self.folder / command.split()[-1])
        elif command.startswith("dask "):
            port = f" --port {self._port} --dashboard-address 127.0.0.1:0" if "scheduler" in command else ""
            self._servers.append(
                subprocess.Popen(
                    shlex.split(command + port),
                    cwd=self.folder,
                    env=self._environment(command),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
            )
        elif command.startswith("python -m bench ") and not set("|&;<>$*") & set(command):
            call(*shlex.split(small(command, self.results))[3:], cwd=self.folder)
        else:
            self._run(small(command, self.results), where)

    def _run(self, command: str, where: str) -> None:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self._environment(command),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{where}: {command}\n{done.stdout}\n{done.stderr}"

    def _environment(self, command: str) -> dict[str, str]:
        own = {"XDG_CACHE_HOME": str(self.folder / "cache")} if re.search(r"photos|mine|script_", command) else {}
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        return variables(self.site, PATH=path, **own)

    def _install(self, project: Path) -> None:
        """Install a project as pip does: its packages on the path, and its metadata."""
        declared = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        name, version = declared["name"], declared["version"]
        (self.site / name.replace("-", "_")).symlink_to(project / name.replace("-", "_"))
        groups = (
            "\n".join([f"[{group}]", *(f"{key} = {value}" for key, value in points.items())])
            for group, points in declared["entry-points"].items()
        )
        install(self.site, name, "\n".join(groups) + "\n", version)

    def stop_servers(self) -> None:
        """Kill the processes that commands have left running, such as a scheduler."""
        for server in self._servers:
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def _is_installed(command: str) -> bool:
    """Whether the extra that a command needs, if any, is installed; tox installs all of them."""
    needed = re.findall(r"--(?:format|tuner) (\S+)", command)
    return all(find_spec(EXTRAS[name]) is not None for name in needed if name in EXTRAS)


@contextmanager
def reader(folder: Path, site: Path, *, results: str | None = None) -> Iterator[Reader]:
    """A reader for the block, after which no process is left."""
    following = Reader(folder, site, results)
    try:
        yield following
    finally:
        following.stop_servers()
