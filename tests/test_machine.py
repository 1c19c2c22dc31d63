"""The machine's properties are read from system files; unavailable ones are reported as missing, not guessed."""

import math
import os
import platform
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from bench.machine import (
    affinity_cores,
    cgroup_quota,
    cores_within,
    cpu_model,
    environment,
    git_commit,
    install_command,
    installed_version,
    instruction_sets,
    read_cpuinfo,
    supports_bfloat16,
    usable_cores,
)
from processes import python

EPYC = """processor\t: 0
vendor_id\t: AuthenticAMD
model name\t: AMD EPYC 9R14
flags\t\t: fpu vme sse sse2 fma cx16 sse4_1 sse4_2 avx f16c avx2 avx512f avx512_bf16 avx512_vnni
bugs\t\t: sysret_ss_attrs

processor\t: 1
model name\t: another
flags\t\t: fpu
"""
OLD = "model name\t: Old CPU\nflags\t\t: fpu sse sse2 sse4_1 sse4_2 avx\n"
ARM = "processor\t: 0\nBogoMIPS\t: 243.75\nFeatures\t: fp asimd sve bf16 i8mm\n"


# CPU


def test_model_name_comes_from_the_first_cpu() -> None:
    assert cpu_model(EPYC) == "AMD EPYC 9R14"


def test_cpu_without_a_model_name_gives_an_empty_name() -> None:
    assert cpu_model(ARM) == ""


def test_relevant_instruction_sets_match_whole_names() -> None:
    # A substring match would find avx in avx2.
    assert instruction_sets(EPYC) == (
        "sse4_1",
        "sse4_2",
        "avx",
        "avx2",
        "fma",
        "f16c",
        "avx512f",
        "avx512_vnni",
        "avx512_bf16",
    )
    assert instruction_sets("flags\t: avx2") == ("avx2",)


def test_arm_instruction_sets_are_read() -> None:
    assert instruction_sets(ARM) == ("asimd", "bf16", "i8mm", "sve")


def test_system_without_cpuinfo_has_no_cpu_details(tmp_path: Path) -> None:
    text = read_cpuinfo(tmp_path / "cpuinfo")
    assert (text, cpu_model(text), instruction_sets(text)) == ("", "", ())


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [(EPYC, True), ("flags\t: avx512f amx_tile amx_bf16", True), (OLD, False), (ARM, False), ("", False)],
)
def test_bfloat16_needs_avx512_or_amx(cpuinfo: str, expected: bool) -> None:
    assert supports_bfloat16(cpuinfo) is expected


# Usable cores


@pytest.mark.parametrize(
    ("cores", "quota", "expected"),
    [(8, math.inf, 8), (8, 8.0, 8), (8, 2.0, 2), (8, 2.9, 2), (8, 0.5, 1), (2, 6.0, 2), (1, math.inf, 1)],
)
def test_quota_rounds_down_to_at_least_one_core(cores: int, quota: float, expected: int) -> None:
    assert cores_within(cores, quota) == expected


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_cgroup_v2_quota_of_the_process_group_applies(tmp_path: Path) -> None:
    membership = write(tmp_path / "self", "0::/user.slice/run.scope\n")
    write(tmp_path / "fs/user.slice/run.scope/cpu.max", "250000 100000\n")
    assert cgroup_quota(membership, tmp_path / "fs") == 2.5


def test_lower_quota_of_a_parent_group_applies(tmp_path: Path) -> None:
    membership = write(tmp_path / "self", "0::/a/b\n")
    write(tmp_path / "fs/a/b/cpu.max", "max 100000\n")
    write(tmp_path / "fs/a/cpu.max", "150000 50000\n")
    assert cgroup_quota(membership, tmp_path / "fs") == 3.0


def test_cgroup_v2_without_a_limit_is_unlimited(tmp_path: Path) -> None:
    membership = write(tmp_path / "self", "0::/a\n")
    write(tmp_path / "fs/a/cpu.max", "max 100000\n")
    assert cgroup_quota(membership, tmp_path / "fs") == math.inf


def test_container_reads_its_quota_at_the_mount(tmp_path: Path) -> None:
    # The path belongs to the host and does not exist inside the container.
    membership = write(tmp_path / "self", "0::/../../docker/4f0c\n")
    write(tmp_path / "fs/cpu.max", "100000 100000\n")
    assert cgroup_quota(membership, tmp_path / "fs") == 1.0


@pytest.mark.parametrize("mount", ["cpu", "cpu,cpuacct"])
def test_cgroup_v1_quota_is_read_under_either_mount_name(tmp_path: Path, mount: str) -> None:
    membership = write(tmp_path / "self", "9:memory:/docker/4f0c\n4:cpu,cpuacct:/docker/4f0c\n")
    write(tmp_path / f"fs/{mount}/docker/4f0c/cpu.cfs_quota_us", "400000\n")
    write(tmp_path / f"fs/{mount}/docker/4f0c/cpu.cfs_period_us", "100000\n")
    assert cgroup_quota(membership, tmp_path / "fs") == 4.0


def test_cgroup_v1_without_a_limit_is_unlimited(tmp_path: Path) -> None:
    membership = write(tmp_path / "self", "1:cpu:/\n0::/\n")
    write(tmp_path / "fs/cpu/cpu.cfs_quota_us", "-1\n")
    write(tmp_path / "fs/cpu/cpu.cfs_period_us", "100000\n")
    assert cgroup_quota(membership, tmp_path / "fs") == math.inf


def test_controllers_with_similar_names_are_ignored(tmp_path: Path) -> None:
    membership = write(tmp_path / "self", "2:cpuset:/a\n3:cpuacct:/a\n")
    write(tmp_path / "fs/cpu/a/cpu.cfs_quota_us", "100000\n")
    write(tmp_path / "fs/cpu/a/cpu.cfs_period_us", "100000\n")
    assert cgroup_quota(membership, tmp_path / "fs") == math.inf


def test_system_without_cgroups_is_unlimited(tmp_path: Path) -> None:
    assert cgroup_quota(tmp_path / "no file", tmp_path) == math.inf


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system cannot pin a process")
def test_pinned_process_counts_the_cores_it_is_pinned_to() -> None:
    core = min(os.sched_getaffinity(0))
    code = f"import os; os.sched_setaffinity(0, {{{core}}}); from bench.machine import *; print(usable_cores())"
    assert python(code) == "1\n"


def test_usable_cores_do_not_exceed_those_of_the_machine() -> None:
    assert 1 <= usable_cores() <= affinity_cores() <= (os.cpu_count() or 1)


# Versions and commit


def test_version_of_a_distribution_that_is_not_installed_is_missing() -> None:
    assert installed_version("no-such-distribution") == "missing"


def test_first_installed_distribution_of_several_names_counts() -> None:
    assert installed_version("no-such-distribution", "numpy") == np.__version__


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, check=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A committed checkout with a package, a family and a result."""
    for name in ("bench/__init__.py", "search_spaces/cnn.py", "results/leaderboard.md"):
        write(tmp_path / name, "x = 1\n")
    try:
        git(tmp_path, "init", "--quiet")
    except FileNotFoundError:
        pytest.skip("git is not installed")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "all")
    return tmp_path


def test_commit_of_a_clean_checkout(checkout: Path) -> None:
    assert git_commit(checkout / "bench") == git(checkout, "rev-parse", "HEAD")


@pytest.mark.parametrize("name", ["bench/__init__.py", "search_spaces/cnn.py", "search_spaces/mine.py"])
def test_changed_or_added_code_marks_the_commit_with_a_plus(checkout: Path, name: str) -> None:
    write(checkout / name, "x = 2\n")
    assert git_commit(checkout / "bench") == git(checkout, "rev-parse", "HEAD") + "+"


def test_changed_results_do_not_mark_the_commit(checkout: Path) -> None:
    write(checkout / "results/leaderboard.md", "a new row")
    assert git_commit(checkout / "bench") == git(checkout, "rev-parse", "HEAD")


def test_installed_copy_inside_a_checkout_has_no_commit(checkout: Path) -> None:
    installed = write(checkout / ".tox/lib/site-packages/bench/__init__.py", "x = 1\n").parent
    assert git_commit(installed) is None


def test_package_outside_a_checkout_has_no_commit(tmp_path: Path) -> None:
    assert git_commit(write(tmp_path / "bench/__init__.py", "").parent) is None


def test_commit_is_that_of_the_checkout_inside_a_git_hook_of_another_repository(
    checkout: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path_factory.mktemp("other")
    git(other, "init", "--quiet")
    expected = git(checkout, "rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    assert git_commit(checkout / "bench") == expected


def test_machine_without_git_has_no_commit(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(checkout))
    assert git_commit(checkout / "bench") is None


# Environment


def test_environment_describes_this_process() -> None:
    this = environment()
    assert this.python == platform.python_version()
    assert this.numpy == np.__version__
    assert this.cores == usable_cores()
    assert this.cpu != ""
    assert platform.system() in this.platform


def test_onednn_setting_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    assert environment().onednn == "default"
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    assert environment().onednn == "0"


def test_install_command_names_packages_of_every_extra_with_the_declared_bounds() -> None:
    command = install_command("tf2onnx", "six", "no-such-package")
    assert re.fullmatch(
        r"python -m pip install 'tf2onnx>=[0-9.]+,<[0-9.]+' 'six>=[0-9.]+,<[0-9.]+' no-such-package", command
    )


def test_environment_imports_none_of_the_libraries_it_lists() -> None:
    code = (
        "import sys; from bench.machine import environment; environment();"
        "print(sorted({'tensorflow', 'keras', 'keras_tuner', 'numpy', 'sklearn', 'distributed'} & set(sys.modules)))"
    )
    assert python(code) == "[]\n"
