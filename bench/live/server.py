"""An HTTP server for this machine only."""

import mimetypes
import sys
from collections import defaultdict
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from urllib.parse import unquote

from bench.errors import BenchError, SpecError
from bench.execution.steady_time import SteadyTime
from bench.live.page import PAGE, SCRIPT, live_page, script
from bench.live.progress import RunProgress, UnreadableRun, unfinished_runs
from bench.report.html.body import Body
from bench.report.html.site import INDEX, Site, page_html, site

HOST = "127.0.0.1"
CHANGING = (  # in the results folder
    *(f"records/*/*/{name}" for name in ("record.json", "plain_keras.json", "reproductions.jsonl")),
    "records/*/*.jsonl",
    "versions/*.json",
    "versions/families/*/versions/*.json",
)


class LivePages:
    """The site of a results folder, made again when records have changed, and the page of unfinished runs."""

    def __init__(self, results: Path) -> None:
        """Make the site of `results`.

        Raises:
            BenchError: a page cannot be made.
        """
        self._results = results
        self._lock = Lock()  # Matplotlib is not thread-safe
        self._live_lock = Lock()
        self._state = self._records_state()
        self._site = self._made()
        self._contents: dict[str, bytes] = {}  # of the current site
        self._times: defaultdict[str, SteadyTime] = defaultdict(SteadyTime)  # by run id

    def content(self, name: str) -> bytes | None:
        """The bytes of a file of the site; None if there is no such file.

        Raises:
            BenchError: a page cannot be made.
            FileNotFoundError: a file of the results folder was deleted.
        """
        if name == PAGE:
            return page_html(PAGE, live_page(self._results, self._unfinished_runs()), self._site.navigation)
        if name == SCRIPT:
            return script()
        with self._lock:
            if (state := self._records_state()) != self._state:
                self._site, self._contents, self._state = self._made(), {}, state
            if name not in self._contents and name in self._site.files:
                self._contents[name] = self._site.content(name)
            return self._contents.get(name)

    def _unfinished_runs(self) -> list[RunProgress | UnreadableRun]:
        """With remaining times that change gradually."""
        with self._live_lock:
            return [self._with_steady_time(run) for run in unfinished_runs(self._results)]

    def _with_steady_time(self, run: RunProgress | UnreadableRun) -> RunProgress | UnreadableRun:
        if isinstance(run, RunProgress) and run.is_running:
            return replace(run, seconds_left=self._times[run.run_id].update(run.seconds_left))
        self._times.pop(run.run_id, None)  # a resumed run gets a new estimate
        return run

    def _made(self) -> Site:
        return site(self._results, {PAGE: Body(title="Live", html="")})

    def _records_state(self) -> dict[Path, int]:
        """The files that pages are made from, with the times of their last changes."""
        state = {}
        for pattern in CHANGING:
            for path in self._results.glob(pattern):
                with suppress(FileNotFoundError):  # deleted at this moment
                    state[path] = path.stat().st_mtime_ns
        return state


class Server(ThreadingHTTPServer):
    """Answers requests from this machine; it never changes a file."""

    daemon_threads = True

    def __init__(self, results: Path, port: int = 0) -> None:
        """Listen on `port`, or on a free one if it is 0; `serve_forever` answers.

        Raises:
            BenchError: a page cannot be made.
            SpecError: the port is not free.
        """
        self.pages = LivePages(results)
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise SpecError(f"cannot listen on port {port}: {error.strerror}. Omit --port for a free one") from error

    def handle_error(self, request: object, client_address: object) -> None:
        """Print what went wrong, unless a browser no longer waits for an answer."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    @property
    def url(self) -> str:
        """Where the first page is."""
        return f"http://{HOST}:{self.server_port}/"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        """Send a file."""
        # Another name would be that of a web page elsewhere that had its name point here; a tunnel has another port.
        if (self.headers.get("Host") or "").partition(":")[0] not in (HOST, "localhost"):
            self._send(HTTPStatus.FORBIDDEN, "text/plain", f"Open {self.server.url}".encode())
            return
        path = unquote(self.path.partition("?")[0]).lstrip("/")
        if not path:
            self._send(HTTPStatus.FOUND, "text/plain", b"", Location=f"/{PAGE}")
            return
        name = path + INDEX if path.endswith("/") else path
        try:
            content = self.server.pages.content(name)
        except FileNotFoundError:  # deleted at this moment
            content = None
        except BenchError as error:
            self._send(HTTPStatus.INTERNAL_SERVER_ERROR, "text/plain", str(error).encode())
            return
        if content is None:
            self._send(HTTPStatus.NOT_FOUND, "text/plain", f"No page {name}".encode())
        else:
            self._send(HTTPStatus.OK, mimetypes.guess_type(name)[0] or "application/octet-stream", content)

    def do_HEAD(self) -> None:
        """Send the headers of a file."""
        self.do_GET()

    def _send(self, status: HTTPStatus, kind: str, content: bytes, **headers: str) -> None:
        self.send_response(status)
        charset = "; charset=utf-8" if kind.startswith("text/") else ""
        for name, value in {
            "Content-Type": kind + charset,
            "Content-Length": str(len(content)),
            "Cache-Control": "no-cache",
            "X-Content-Type-Options": "nosniff",
            **headers,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as in the base class
        """Print nothing."""
