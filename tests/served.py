"""Servers of the pages, and requests to them, for tests."""

import http.client
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

from bench.live.server import Server
from command_line import Started

Answer = tuple[int, Mapping[str, str], bytes]


@contextmanager
def serving(results: Path) -> Iterator[Server]:
    """A server in this process."""
    with Server(results) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def get(server: Server, path: str, method: str = "GET", host: str | None = None) -> Answer:
    """As `request`, to a server in this process."""
    return request(server.server_port, path, method, host)


def request(port: int, path: str, method: str = "GET", host: str | None = None) -> Answer:
    """Status, headers and content; `host` replaces the header Host."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, headers={} if host is None else {"Host": host})
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()


def url_of(running: Started) -> str:
    """The URL that `bench serve` prints."""
    running.wait_until(lambda: "http://" in running.text, "URL")
    return next(word for word in running.text.split() if word.startswith("http://"))
