"""Download files over HTTP, or from a Debian package without root."""

import io
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.data.dataset import Notify

TIMEOUT_SECONDS = 10  # to connect, and between two reads
APT_SECONDS = 120  # per step


class Unreachable(Exception):
    """The source cannot be reached or lacks the files; the caller tries the next one and reports this error."""


def from_web(url: str) -> bytes:
    """The content of `url`.

    Raises:
        Unreachable: no response, an error, or a broken connection.
    """
    import pooch

    # Without pooch's cache, which would verify the compressed bytes, although mirrors recompress files. Without
    # streaming, since pooch leaves the connection open after an error.
    content = io.BytesIO()
    try:
        pooch.HTTPDownloader(timeout=TIMEOUT_SECONDS, stream=False)(url, content, None)
    except OSError as error:
        # The innermost error is the shortest description; the outer ones repeat it at length.
        cause: BaseException = error
        while inner := cause.__cause__ or cause.__context__:
            cause = inner
        raise Unreachable(str(cause) or type(cause).__name__) from error
    return content.getvalue()


def from_debian(package: str, unpacked: Path, notify: Notify, options: Sequence[str] = ()) -> None:
    """Unpack the newest version of a Debian or Ubuntu package into the folder `unpacked` without installing it.

    Package lists and caches are in a temporary folder, so that this needs neither root nor an earlier `apt-get update`,
    and does not change the system.

    Args:
        package: package name.
        unpacked: an empty folder, which serves as the root directory of the package's files.
        notify: called with a one-line message before each step.
        options: additional apt-get options, each as `Name=value`.

    Raises:
        Unreachable: apt-get is not installed, or it could not fetch the package.
    """
    missing = [tool for tool in ("apt-get", "dpkg-deb") if shutil.which(tool) is None]
    if missing:
        raise Unreachable(f"{missing[0]} is not installed")
    try:
        with tempfile.TemporaryDirectory(prefix="bench-apt-") as folder:
            archive = _download(package, Path(folder), notify, options)
            _run("dpkg-deb", ["dpkg-deb", "--extract", str(archive), str(unpacked)], Path(folder))
    except OSError as error:
        raise Unreachable(f"{error.strerror}: {error.filename}") from error


def _download(package: str, folder: Path, notify: Notify, options: Sequence[str]) -> Path:
    for subfolder in ("lists/partial", "cache/archives/partial"):
        (folder / subfolder).mkdir(parents=True)
    settings = (
        f"Dir::State::Lists={folder / 'lists'}",
        f"Dir::Cache={folder / 'cache'}",
        # As root, apt-get would otherwise download as a user without access to this folder.
        "APT::Sandbox::User=root",
        "Acquire::Languages=none",
        "Acquire::Retries=0",
        f"Acquire::http::Timeout={TIMEOUT_SECONDS}",
        f"Acquire::https::Timeout={TIMEOUT_SECONDS}",
        *options,
    )
    apt_get = ["apt-get", "-qq", *(part for setting in settings for part in ("-o", setting))]
    notify("updating package lists with apt-get")
    try:
        message = _run("apt-get update", [*apt_get, "update"], folder)
    except Unreachable as error:
        # One unavailable repository must not hide packages of the others.
        message = str(error)
    notify(f"downloading the package {package} with apt-get")
    try:
        _run("apt-get download", [*apt_get, "download", package], folder)
        return next(folder.glob("*.deb"))
    except (Unreachable, StopIteration) as error:
        raise Unreachable(f"{error or 'no .deb file'}{message and f' (apt-get update: {message})'}") from error


def _run(step: str, command: Sequence[str], folder: Path) -> str:
    """Run a command in `folder`; returns the last line of its standard error, possibly empty."""
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
        raise Unreachable(f"{step} took longer than {APT_SECONDS} s") from error
    message = done.stderr.strip().rpartition("\n")[2]
    if done.returncode != 0:
        raise Unreachable(f"{step} failed: {message or f'exit code {done.returncode}'}")
    return message
