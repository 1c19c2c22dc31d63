"""Bytes from elsewhere: over HTTP, or out of a Debian package without root."""

import http.client
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from bench.data.dataset import Notify

CONNECT_SECONDS = 10  # also the longest silence during a download
APT_SECONDS = 120  # for each of its steps


class Unreachable(Exception):
    """This source gives nothing; the caller tries the next, and reports this one."""


def from_web(url: str) -> bytes:
    """What `url` answers.

    Raises:
        Unreachable: no answer, an error, or a connection that broke off.
    """
    # An opener of its own: urlopen keeps the first one that it makes, with the proxies of that moment.
    opener = urllib.request.build_opener()
    try:
        with opener.open(url, timeout=CONNECT_SECONDS) as answer:
            content: bytes = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(str(error) or type(error).__name__) from error
    return content


def from_debian(package: str, unpacked: Path, notify: Notify, options: Sequence[str] = ()) -> None:
    """Unpack the newest version of a Debian or Ubuntu package into the folder `unpacked`, installing nothing.

    Package lists and caches are apt-get's in a temporary folder, so that it needs neither root nor an earlier
    `apt-get update`, and leaves the system as it was.

    Args:
        package: its name.
        unpacked: an empty folder; the package's files are put below it as they would be below /.
        notify: is told of each step, one line each.
        options: further options of apt-get, each as `Name=value`.

    Raises:
        Unreachable: no apt-get here, or it could not fetch the package.
    """
    lacking = [tool for tool in ("apt-get", "dpkg-deb") if shutil.which(tool) is None]
    if lacking:
        raise Unreachable(f"no {lacking[0]} on this machine")
    try:
        with tempfile.TemporaryDirectory(prefix="bench-apt-") as folder:
            archive = _download(package, Path(folder), notify, options)
            _run("dpkg-deb --extract", ["dpkg-deb", "--extract", str(archive), str(unpacked)], Path(folder))
    except OSError as error:
        raise Unreachable(f"{error.strerror}: {error.filename}") from error


def _download(package: str, folder: Path, notify: Notify, options: Sequence[str]) -> Path:
    for needed in ("lists/partial", "cache/archives/partial"):
        (folder / needed).mkdir(parents=True)
    settings = (
        f"Dir::State::Lists={folder / 'lists'}",
        f"Dir::Cache={folder / 'cache'}",
        # As root, apt-get would otherwise fetch as a user that cannot enter this folder.
        "APT::Sandbox::User=root",
        "Acquire::Languages=none",
        "Acquire::Retries=0",
        f"Acquire::http::Timeout={CONNECT_SECONDS}",
        f"Acquire::https::Timeout={CONNECT_SECONDS}",
        *options,
    )
    apt_get = ["apt-get", "-qq", *(part for setting in settings for part in ("-o", setting))]
    notify("reading the package lists with apt-get")
    try:
        complaint = _run("apt-get update", [*apt_get, "update"], folder)
    except Unreachable as error:
        # One source that is down, such as a third party's, must not hide a package that another source offers.
        complaint = str(error)
    notify(f"downloading the package {package} with apt-get")
    try:
        _run("apt-get download", [*apt_get, "download", package], folder)
        return next(folder.glob("*.deb"))
    except (Unreachable, StopIteration) as error:
        raise Unreachable(f"{error or 'no .deb file'}{complaint and f' (apt-get update: {complaint})'}") from error


def _run(step: str, command: Sequence[str], folder: Path) -> str:
    """Run a command in `folder`; the last line that it wrote to standard error, empty where it wrote none."""
    try:
        done = subprocess.run(
            command,
            check=False,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            timeout=APT_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise Unreachable(f"{step} was not done after {APT_SECONDS} s") from error
    complaint = done.stderr.strip().rpartition("\n")[2]
    if done.returncode != 0:
        raise Unreachable(f"{step} failed: {complaint or f'exit code {done.returncode}'}")
    return complaint
