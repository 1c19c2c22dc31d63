"""The server of the pages, over real HTTP."""

import os
import signal
import socket
import stat
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.errors import SpecError
from bench.live.server import Server
from bench.report.build import write
from bench.report.html.site import site
from bench.versions.record import write as write_version
from bench.versions.subjects import family_root
from builders import add_run, make_predictions, make_run, make_spec, write_unfinished_run
from command_line import call, started, variables
from served import get, request, serving, url_of
from version_records import make_record


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    add_run(folder)
    write(folder)
    return folder


@pytest.fixture(scope="module")
def server(results: Path) -> Iterator[Server]:
    with serving(results) as running:
        yield running


def test_first_page_is_that_of_unfinished_runs(server: Server) -> None:
    status, headers, _ = get(server, "/")
    assert (status, headers["Location"]) == (302, "/live.html")
    status, headers, content = get(server, "/live.html")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert b"No unfinished run" in content
    assert b'href="synthetic/dense.html"' in content


def test_every_file_of_the_site_is_served_and_nothing_is_written(server: Server, results: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in results.rglob("*")}
    made = site(results)
    for name in made.files:
        status, headers, content = get(server, f"/{name}")
        assert status == 200, name
        assert int(headers["Content-Length"]) == len(content)
        assert name.endswith(".html") or content == made.content(name), name
    assert get(server, "/synthetic/?page=1")[2] == get(server, "/synthetic/index.html")[2]
    assert get(server, "/live.js")[0] == 200
    assert before == {path: path.stat().st_mtime_ns for path in results.rglob("*")}


def test_head_has_no_content(server: Server) -> None:
    status, headers, content = get(server, "/index.html", "HEAD")
    assert (status, content) == (200, b"")
    assert int(headers["Content-Length"]) > 0


@pytest.mark.parametrize(
    "path",
    ["/gone.html", "/../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "//[", "/records", "/%00"],
)
def test_other_files_are_not_found(path: str, server: Server) -> None:
    assert get(server, path)[0] == 404


def test_pages_are_read_only(server: Server) -> None:
    assert get(server, "/index.html", "POST")[0] == 501


def test_name_of_another_host_is_refused_but_not_another_port(server: Server) -> None:
    assert get(server, "/index.html", host="example.org")[0] == 403
    for host in ("localhost:9000", "127.0.0.1", f"localhost:{server.server_port}"):  # by a tunnel, or --port 80
        assert get(server, "/index.html", host=host)[0] == 200


def test_only_this_machine_can_connect(server: Server) -> None:
    assert server.server_address[0] == "127.0.0.1"


def test_run_appears_while_it_is_unfinished_and_its_page_when_it_is_finished(tmp_path: Path) -> None:
    add_run(tmp_path)
    with serving(tmp_path) as server:
        assert get(server, "/synthetic/cnn.html")[0] == 404
        spec, predictions = make_spec(family="cnn"), make_predictions()
        record = make_run(predictions, spec=spec)
        folder = write_unfinished_run(tmp_path, spec, record, refits=2)
        live = get(server, "/live.html")[2].decode()
        assert "2 of 3" in live
        assert "91.00%" in live
        # The facts change every second: the command could not be copied if it were among them.
        facts, resume = live.partition('data-live="facts')[2].partition("</div>")[::2]
        assert "bench resume" in resume
        assert "bench resume" not in facts
        folder.write_predictions(predictions)
        folder.write_record(record)
        assert "No unfinished run" in get(server, "/live.html")[2].decode()
        status, _, content = get(server, "/synthetic/cnn.html")
        assert status == 200
        assert b"Test accuracy" in content


def test_page_waits_for_a_run_in_a_folder_that_does_not_exist_yet(tmp_path: Path) -> None:
    results = tmp_path / "new"
    with serving(results) as server:
        assert b"waiting for one" in get(server, "/live.html")[2]
        assert not results.exists()
        add_run(results)
        assert get(server, "/synthetic/dense.html")[0] == 200


@pytest.mark.parametrize(("family", "page"), [(None, "versions.html"), ("mine", "versions-mine.html")])
def test_page_of_versions_appears_when_one_is_measured(family: str | None, page: str, tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        assert get(server, f"/{page}")[0] == 404
        write_version(tmp_path if family is None else family_root(tmp_path, family), make_record("tf216", "2.16.2"))
        status, _, content = get(server, f"/{page}")
        assert status == 200
        assert b"2.16.2" in content


def test_file_instead_of_a_results_folder_is_an_error(results: Path) -> None:
    error = call("serve", "--results", "leaderboard.md", cwd=results, code=2).stderr
    assert "expected a results folder, found the file leaderboard.md" in error


def test_damaged_ledger_is_named_and_pages_are_still_served(tmp_path: Path) -> None:
    spec = make_spec()
    folder = write_unfinished_run(tmp_path, spec, make_run(make_predictions(), spec=spec))
    folder.ledger.write_text("{}\n")
    with serving(tmp_path) as server:
        status, _, content = get(server, "/live.html")
        assert status == 200
        assert b"cannot be read" in content
        assert f'data-live="unreadable {folder.run_id}"'.encode() in content
        assert b"No unfinished run" not in content
        assert get(server, "/index.html")[0] == 200


def test_browser_that_no_longer_waits_is_not_an_error(server: Server, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_connection(("127.0.0.1", server.server_port)) as connection:
        # Closing it resets the connection, as a browser does when its user goes to another page.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.sendall(f"GET /index.html HTTP/1.0\r\nHost: 127.0.0.1:{server.server_port}\r\n\r\n".encode())
    assert get(server, "/index.html")[0] == 200
    time.sleep(0.2)
    assert capfd.readouterr().err == ""


def test_port_in_use_is_an_error(server: Server, results: Path) -> None:
    with pytest.raises(SpecError, match=f"cannot listen on port {server.server_port}: .*Omit --port"):
        Server(results, server.server_port)


@pytest.mark.slow
def test_command_prints_the_url_and_ends_with_ctrl_c(results: Path) -> None:
    with started("serve", "--results", results, cwd=results) as running:
        port = int(url_of(running).rstrip("/").rpartition(":")[2])
        assert request(port, "/live.html")[0] == 200
        running.signal_all(signal.SIGINT)
        assert running.end() == 0
        assert "Traceback" not in running.text


@pytest.fixture
def browser_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The URLs that a command opens in the user's browser."""
    log, script = tmp_path / "opened.txt", tmp_path / "browser"
    script.write_text(f'#!/bin/sh\necho "$1" >> "{log}"\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("BROWSER", f"{script} %s")
    return log


@pytest.mark.slow
def test_open_shows_the_live_page_in_the_browser(results: Path, browser_log: Path) -> None:
    with started(
        "serve", "--open", "--results", results, cwd=results, env=variables(BROWSER=os.environ["BROWSER"])
    ) as running:
        url = url_of(running)
        running.wait_until(browser_log.exists, "browser")
        assert browser_log.read_text() == f"{url}\n"


@pytest.mark.slow
def test_page_is_served_to_a_browser_that_runs_in_the_terminal(results: Path, tmp_path: Path) -> None:
    script, page = tmp_path / "browser.py", tmp_path / "page.html"
    page.touch()
    script.write_text(
        "import pathlib, sys\n"
        "from urllib.request import ProxyHandler, build_opener\n"
        "page = build_opener(ProxyHandler({})).open(sys.argv[1], timeout=60).read()\n"
        "pathlib.Path(sys.argv[2]).write_bytes(page)\n"
    )
    env = variables(BROWSER=f"{sys.executable} {script} %s {page}")
    with started("serve", "--open", "--results", results, cwd=results, env=env) as running:
        running.wait_until(lambda: "<h1>Live</h1>" in page.read_text(), "page in the browser")


@pytest.mark.slow
def test_report_opens_its_first_page_in_the_browser(tmp_path: Path, browser_log: Path) -> None:
    results = tmp_path / "my results"
    results.mkdir()
    with started("report", "--open", "--results", results, cwd=tmp_path) as running:
        assert running.end() == 0
    assert browser_log.read_text() == f"{(results / 'html' / 'index.html').as_uri()}\n"


@pytest.mark.slow
def test_missing_browser_is_not_an_error(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    without = variables(PATH=str(tmp_path), BROWSER="")
    with started("report", "--open", cwd=tmp_path, env=without) as running:
        assert running.end() == 0
        assert "No browser was found. Open file://" in running.text


def test_check_and_open_exclude_each_other(results: Path) -> None:
    assert (
        "--check changes nothing"
        in call("report", "--check", "--open", "--results", results, cwd=results, code=2).stderr
    )
