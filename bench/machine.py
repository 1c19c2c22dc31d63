"""The machine and the process environment: versions, CPU, usable cores, git commit.

This is the only module that reads them, except for the environment variables of data/loaders/folders.py.
"""

import math
import os
import platform
import shlex
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

# Linux names of the instruction sets that determine which kernels TensorFlow and oneDNN use.
RELEVANT_INSTRUCTION_SETS = (
    "sse4_1",
    "sse4_2",
    "avx",
    "avx2",
    "fma",
    "f16c",
    "avx_vnni",
    "avx512f",
    "avx512bw",
    "avx512vl",
    "avx512_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "amx_tile",
    "amx_int8",
    "amx_bf16",
    "asimd",
    "asimddp",
    "bf16",
    "i8mm",
    "sve",
)
QUOTA_FILES_V1 = ("cpu.cfs_quota_us", "cpu.cfs_period_us")  # of cgroups, version 1
GIT_TIMEOUT_SECONDS = 20
DISTRIBUTION = "keras-family-bench"
Machine = tuple[str, int, tuple[str, ...]]  # CPU model, usable cores, instruction sets


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """The machine and library versions of a run."""

    python: str
    tensorflow: str
    keras: str
    keras_tuner: str
    numpy: str
    scikit_learn: str
    distributed: str
    platform: str  # system, release, architecture
    cpu: str  # model name
    cores: int  # usable by this process: CPU affinity and cgroup quota
    instruction_sets: tuple[str, ...]  # those of RELEVANT_INSTRUCTION_SETS that the CPU has
    onednn: str  # value of TF_ENABLE_ONEDNN_OPTS; "default" if unset
    git_commit: str | None  # of the checkout, followed by "+" if it had uncommitted changes
    threads: int = 1  # in each training process; always 1 before schema 3

    @property
    def machine(self) -> Machine:
        """What must be equal for times to be comparable."""
        return self.cpu, self.cores, self.instruction_sets


def machine_names(environments: Iterable[Environment]) -> dict[Machine, str]:
    """Name each machine by its CPU model, and by cores and instruction sets where several have the same CPU model."""
    machines = sorted({environment.machine for environment in environments})
    models = Counter(cpu for cpu, _, _ in machines)
    return {
        (cpu, cores, sets): cpu if models[cpu] == 1 else f"{cpu}, {cores} cores, {' '.join(sets)}"
        for cpu, cores, sets in machines
    }


def environment() -> Environment:
    """The machine and library versions of this process; imports none of the libraries."""
    text = read_cpuinfo()
    return Environment(
        python=platform.python_version(),
        tensorflow=installed_version("tensorflow", "tensorflow-cpu", "tf-nightly"),
        keras=installed_version("keras", "keras-nightly"),
        keras_tuner=installed_version("keras-tuner"),
        numpy=installed_version("numpy"),
        scikit_learn=installed_version("scikit-learn"),
        distributed=installed_version("distributed"),
        platform=f"{platform.system()} {platform.release()} {platform.machine()}",
        cpu=cpu_model(text) or platform.processor() or platform.machine(),
        cores=usable_cores(),
        instruction_sets=instruction_sets(text),
        onednn=os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default"),
        git_commit=git_commit(Path(__file__).resolve().parent),
    )


def installed_version(*names: str) -> str:
    """Version of the first of these distributions that is installed, or of "python"; "missing" if none is."""
    if names == ("python",):
        return platform.python_version()
    for name in names:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return "missing"


def install_command(*packages: str) -> str:
    """The command that installs packages in the versions that this project supports.

    It names no extra: the user's folder need not be a checkout, and no index has this project.
    """
    from packaging.requirements import Requirement

    try:
        requirements = [Requirement(each) for each in metadata.requires(DISTRIBUTION) or ()]
    except metadata.PackageNotFoundError:  # run from a checkout
        requirements = []
    # Lower bound first.
    bounds = {each.name: ",".join(sorted(map(str, each.specifier), reverse=True)) for each in requirements}
    return shlex.join(["python", "-m", "pip", "install", *(f"{name}{bounds.get(name, '')}" for name in packages)])


def discard_output() -> None:
    """Send what this process still writes to standard output to nowhere."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


def read_cpuinfo(path: Path = Path("/proc/cpuinfo")) -> str:
    """The content of /proc/cpuinfo; empty on systems other than Linux."""
    return _read(path)


def _cpuinfo_field(text: str, *names: str) -> str:
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in names:
            return value.strip()
    return ""


def cpu_model(cpuinfo: str) -> str:
    """The CPU's model name; empty if `cpuinfo` has none, as on most ARM systems."""
    return _cpuinfo_field(cpuinfo, "model name")


def instruction_sets(cpuinfo: str) -> tuple[str, ...]:
    """The `RELEVANT_INSTRUCTION_SETS` that the CPU has, in that order; empty if `cpuinfo` is."""
    flags = _cpuinfo_field(cpuinfo, "flags", "Features").split()
    return tuple(name for name in RELEVANT_INSTRUCTION_SETS if name in flags)


def supports_bfloat16(cpuinfo: str | None = None) -> bool:
    """Whether the CPU has bfloat16 arithmetic; without it TensorFlow emulates bfloat16, slower than float32."""
    available = instruction_sets(read_cpuinfo() if cpuinfo is None else cpuinfo)
    return "avx512_bf16" in available or "amx_bf16" in available


def usable_cores() -> int:
    """Number of cores that this process may use, at least 1, limited by CPU affinity and cgroup CPU quota.

    A fractional quota is rounded down: one worker too many would be throttled, and training times would not be
    comparable.
    """
    quota = cgroup_quota(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))
    return cores_within(affinity_cores(), quota)


def cores_within(cores: int, quota: float) -> int:
    """Whole cores within both `cores` and `quota` (in cores, `math.inf` for unlimited); at least 1."""
    return max(1, cores if quota >= cores else math.floor(quota))


def affinity_cores() -> int:
    """Number of cores in this process' CPU affinity; all cores if the system has no affinity."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cgroup_quota(membership: Path, root: Path) -> float:
    """The lowest CPU quota, in cores, of this process' cgroup and its ancestors; `math.inf` if none is limited.

    Args:
        membership: file that lists the process' cgroups (/proc/self/cgroup).
        root: mount point of the cgroup file systems (/sys/fs/cgroup).
    """
    quotas = [math.inf]
    for line in _read(membership).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            quotas += [_quota(folder, "cpu.max") for folder in _and_parents(root, path)]
        elif "cpu" in controllers.split(","):
            for mount in {root / "cpu", root / controllers}:
                quotas += [_quota(folder, *QUOTA_FILES_V1) for folder in _and_parents(mount, path)]
    return min(quotas)


def _and_parents(mount: Path, path: str) -> list[Path]:
    # In a container, `path` may be a host path that does not exist here; the mount is then the cgroup itself.
    steps = [step for step in path.split("/") if step not in ("", "..")]
    return [mount.joinpath(*steps[:depth]) for depth in range(len(steps) + 1)]


def _quota(folder: Path, *files: str) -> float:
    """The CPU quota of a cgroup in cores, from files that contain its quota and its period."""
    words = [word for file in files for word in _read(folder / file).split()]
    return int(words[0]) / int(words[1]) if len(words) == 2 and all(map(str.isdigit, words)) else math.inf


def _read(path: Path) -> str:
    """The content of a file; empty if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def git_commit(package: Path) -> str | None:
    """The commit of the checkout that contains `package`; None outside a checkout or without git.

    Followed by "+" if the code of `package` or `search_spaces` differs from that commit, including new files. Changed
    results do not count.
    """
    # An installed copy may be inside a checkout (e.g. in .tox) without being tracked.
    tracked = _git(package, "ls-files", "--error-unmatch", "__init__.py")
    commit = _git(package, "rev-parse", "HEAD")
    if tracked is None or commit is None:
        return None
    changes = _git(package.parent, "status", "--porcelain", "--", package.name, "search_spaces")
    return commit if changes == "" else f"{commit}+"


def _git(folder: Path, *arguments: str) -> str | None:
    executable = shutil.which("git")
    if executable is None:
        return None
    # Inside a git hook, GIT_DIR and similar variables point to another repository.
    variables = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = [executable, "--no-optional-locks", *arguments]
    try:
        process = subprocess.run(
            command, cwd=folder, env=variables, capture_output=True, text=True, timeout=GIT_TIMEOUT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return process.stdout.strip() if process.returncode == 0 else None


def other_threads() -> tuple[str, ...]:
    """Names of the threads of this process besides its main thread, including those of libraries; Linux only."""
    names = {thread.native_id: thread.name for thread in threading.enumerate()}
    others = []
    for task in Path("/proc/self/task").iterdir():
        if (number := int(task.name)) != os.getpid():
            with suppress(OSError):  # it has ended
                others.append(names.get(number) or (task / "comm").read_text(encoding="utf-8").strip())
    return tuple(others)


def variables(**changes: str) -> dict[str, str]:
    """This process' environment variables with `changes`, for a child process."""
    return {**os.environ, **changes}


def set_variable(name: str, value: str) -> None:
    """Set an environment variable of this process and its children."""
    os.environ[name] = value


@contextmanager
def changed_variables(**changes: str) -> Iterator[None]:
    """Change environment variables of this process inside the block, for child processes that are started there."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def silence_prints() -> Iterator[None]:
    """Discard what Python code prints: a search imports and builds a user's model hundreds of times."""
    with Path(os.devnull).open("w", encoding="utf-8") as discard, redirect_stdout(discard):
        yield


@contextmanager
def silence_stderr() -> Iterator[None]:
    """Discard standard error, including that of C++ code such as TensorFlow's messages at import."""
    sys.stderr.flush()
    original = os.dup(2)
    discard = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(discard, 2)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(original, 2)
        os.close(original)
        os.close(discard)
