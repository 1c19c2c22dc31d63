"""Files are replaced atomically, folders are locked by one process, and a full disk is an error with advice."""

import fcntl
import os
from pathlib import Path
from threading import Timer

import pytest

from bench.errors import StoreError
from bench.records.files import LOCK_FILE, PROBE_SECONDS, check_writable, is_locked, write_atomic
from bench.records.store import RunFolder
from processes import next_line, process


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# Atomic writes


def test_write_leaves_the_file_and_nothing_else(tmp_path: Path) -> None:
    write_atomic(tmp_path / "deep" / "er" / "file.json", b"new")
    assert (tmp_path / "deep/er/file.json").read_bytes() == b"new"
    assert names(tmp_path / "deep/er") == ["file.json"]


def test_write_replaces_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"something longer")
    write_atomic(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"


def test_other_users_can_read_written_files(tmp_path: Path) -> None:
    write_atomic(tmp_path / "file", b"new")
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644


def test_reader_sees_the_old_or_the_new_content_never_a_mixture(tmp_path: Path) -> None:
    path = tmp_path / "swap"
    sizes = {100_000, 300_000}
    path.write_bytes(b"a" * 100_000)
    code = """
for n in range(10_000):
    write_atomic(folder.path / "swap", b"ab"[n % 2:n % 2 + 1] * (100_000, 300_000)[n % 2])
    if n == 0: print("writing", flush=True)
"""
    with process(code, tmp_path) as running:
        assert next_line(running) == "writing"
        contents = [path.read_bytes() for _ in range(100)]
    assert {len(content) for content in contents} <= sizes
    assert all(len(set(content)) == 1 for content in contents)


def test_file_in_place_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_bytes(b"")
    with pytest.raises(StoreError, match=r"cannot write .*taken/file.*: .*Choose a writable folder"):
        write_atomic(tmp_path / "taken" / "file", b"new")


def test_full_disk_leaves_the_old_file_and_nothing_else(small_disk: Path) -> None:
    write_atomic(small_disk / "record.json", b"old")
    with pytest.raises(StoreError, match=r"record.json: No space left on device"):
        write_atomic(small_disk / "record.json", b"x" * 200_000)
    assert (small_disk / "record.json").read_bytes() == b"old"
    assert names(small_disk) == ["record.json"]


# Writable results folders


def test_check_creates_the_folder_and_leaves_nothing_in_it(tmp_path: Path) -> None:
    check_writable(tmp_path / "results")
    assert names(tmp_path / "results") == []


def test_check_names_the_missing_space(small_disk: Path) -> None:
    with pytest.raises(StoreError, match=r"has 0\.1 MiB of free space, at least 50 MiB are required: free up space"):
        check_writable(small_disk)


def test_check_refuses_a_folder_that_cannot_be_created(tmp_path: Path) -> None:
    (tmp_path / "results").write_bytes(b"a file")
    with pytest.raises(StoreError, match=r"expected a results folder, found the file .*results"):
        check_writable(tmp_path / "results")


def test_processes_can_check_the_same_folder_at_the_same_time(tmp_path: Path) -> None:
    code = "print(sys.stdin.readline())\nfor _ in range(100): check_writable(folder.path)"
    with process(code, tmp_path) as first, process(code, tmp_path) as second:
        for running in (first, second):
            assert running.stdin is not None
            running.stdin.write("go\n")
            running.stdin.flush()
        assert [running.wait(timeout=30) for running in (first, second)] == [0, 0]


# Locks

LOCKED = "with folder.lock(): print('locked', flush=True); sys.stdin.readline()"


def test_folder_locked_by_another_process_is_refused(tmp_path: Path) -> None:
    with process(LOCKED, tmp_path) as running:
        assert next_line(running) == "locked"
        with (
            pytest.raises(StoreError, match=r"another process is using .*: wait until it ends, or stop it and repeat"),
            RunFolder(tmp_path).lock(),
        ):
            pass


def test_lock_is_released_when_its_process_is_killed(tmp_path: Path) -> None:
    with process(LOCKED, tmp_path) as running:
        assert next_line(running) == "locked"
        running.kill()
        running.wait(timeout=30)
        with RunFolder(tmp_path).lock():
            pass


def test_folder_is_locked_while_a_process_holds_the_lock(tmp_path: Path) -> None:
    assert not is_locked(tmp_path)
    with process(LOCKED, tmp_path) as running:
        assert next_line(running) == "locked"
        assert is_locked(tmp_path)
        running.kill()
        running.wait(timeout=30)
        assert not is_locked(tmp_path)


def test_asking_whether_a_folder_is_locked_creates_nothing(tmp_path: Path) -> None:
    assert not is_locked(tmp_path)
    assert not is_locked(tmp_path / "missing")
    assert names(tmp_path) == []


def test_process_that_asks_whether_a_folder_is_locked_disturbs_no_other_one(tmp_path: Path) -> None:
    with RunFolder(tmp_path).lock():
        pass
    with (tmp_path / LOCK_FILE).open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)  # as `is_locked` does, for a moment
        assert not is_locked(tmp_path)
        Timer(PROBE_SECONDS / 5, fcntl.flock, (file, fcntl.LOCK_UN)).start()
        with RunFolder(tmp_path).lock():
            pass


def test_lock_does_not_outlive_its_process_in_a_child(tmp_path: Path) -> None:
    code = """
import subprocess
with folder.lock():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    print(child.pid, flush=True)
    sys.stdin.readline()
"""
    with process(code, tmp_path) as running:
        child = int(next_line(running))
        try:
            running.kill()
            running.wait(timeout=30)
            with RunFolder(tmp_path).lock():
                pass
        finally:
            os.kill(child, 9)


def test_lock_in_a_folder_that_cannot_be_created_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "taken").write_bytes(b"")
    with pytest.raises(StoreError, match=r"cannot write .*taken"), RunFolder(tmp_path / "taken").lock():
        pass
